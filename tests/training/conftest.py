"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from ..models.clipseg.goldens import FACTS, golden_processor


@pytest.fixture(autouse=True)
def fresh_accelerate_state() -> Iterator[None]:
    """Accelerate keeps settings such as the precision for the whole process; each test sets its own."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIPSeg as transformers saves it, with random weights."""
    folder = tmp_path_factory.mktemp("stock")
    torch.manual_seed(0)
    CLIPSegForImageSegmentation(CLIPSegConfig(**FACTS["model_config"])).save_pretrained(folder)
    golden_processor().save_pretrained(folder)
    return folder
