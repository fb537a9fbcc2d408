"""A tiny random model of each kind that an adapter takes, in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from .tiny import REFINERS, SAVERS


@pytest.fixture(scope="session")
def segmenter_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """From a kind to its folder, which is not to be changed."""
    folders: dict[str, Path] = {}

    def save(kind: str) -> Path:
        if kind not in folders:
            torch.manual_seed(0)
            folders[kind] = {**SAVERS, **REFINERS}[kind](tmp_path_factory.mktemp(kind.replace("/", "-")))
        return folders[kind]

    return save


@pytest.fixture(params=sorted(SAVERS))
def folder(request: pytest.FixtureRequest, segmenter_folder: Callable[[str], Path]) -> Path:
    """Each kind in turn."""
    return segmenter_folder(request.param)


@pytest.fixture(scope="session")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
