"""Two processes with FSDP2 learn what one does without, and resume as exactly."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import nn
from torch.distributed.tensor import DTensor

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.loading import load_model
from ovparts_hf.training import train
from ovparts_hf.training.sharding import plan_shards

from .test_setup import arguments as real_arguments
from .tiny import arguments, assert_same_real_runs, assert_same_weights, log_lines, tiny_setup
from .two_processes import run_in_two_processes, train_all, use_fsdp2

pytestmark = pytest.mark.skipif(torch.__version__ < "2.7", reason="FSDP2 with single numbers needs PyTorch 2.7")


def train_tiny(out: Path) -> None:
    use_fsdp2()
    prompts = tiny_setup()
    prompts.model.scale = nn.Parameter(torch.ones(()))
    with pytest.raises(ConfigurationError, match="no shards of single numbers such as scale"):
        train(arguments(out / "refused"), prompts)
    with pytest.raises(ConfigurationError, match="closed vocabulary, such as MaskFormer"):
        plan_shards(Accelerator(), load_model("toy-maskformer")[0])
    train_all(out)


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sharded")
    run_in_two_processes(train_tiny, out)
    return out


def test_shards_learn_what_one_process_does(sharded: Path, tmp_path: Path) -> None:
    alone = tiny_setup()
    alone.model.dropout = nn.Identity()
    folder = train(arguments(tmp_path / "run"), alone)
    assert_same_weights(sharded / "plain", folder, tolerance=1e-5)
    for ours, theirs in zip(log_lines(sharded / "plain"), log_lines(folder), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_resumed_shards_equal_uninterrupted_ones(sharded: Path) -> None:
    assert_same_weights(sharded / "parts", sharded / "whole")
    assert log_lines(sharded / "parts") == log_lines(sharded / "whole")


def test_one_process_resumes_what_shards_began(sharded: Path) -> None:
    last = sharded / "plain" / "last" / "model.safetensors"
    before = last.read_bytes()
    alone = tiny_setup()
    train(arguments(sharded / "plain", resume=True), alone)
    assert last.read_bytes() == before
    assert not any(isinstance(parameter, DTensor) for parameter in alone.model.parameters())


def train_real(make: partial, out: Path) -> None:
    use_fsdp2("transformer_based_wrap")
    assert Accelerator().is_fsdp2
    train(make(out))


def test_a_real_model_is_trained_and_evaluated_by_two_processes_as_by_one(
    pretrained: Path, pascal_folder: Path, tmp_path: Path
) -> None:
    """Which share its weights; `test_launch` has two that do not."""
    options = {"steps": 2, "eval_every": 2, "optimizer": "sgd", "learning_rate": 0.1}
    make = partial(real_arguments, pascal_folder, pretrained, **options)
    alone = train(make(tmp_path / "one"))
    run_in_two_processes(partial(train_real, make), tmp_path / "two")
    assert_same_real_runs(tmp_path / "two", alone)
