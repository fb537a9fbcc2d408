"""Two processes learn what one does, and resume as exactly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ovparts_hf.training import train

from .tiny import arguments, log_lines, tiny_setup, weights
from .two_processes import RUNS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained_by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("two")
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    process = subprocess.run(
        [*command, "-m", "tests.training.two_processes", str(out)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
    )
    assert process.returncode == 0, process.stderr[-4000:]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_two_processes_learn_what_one_does(trained_by_two: Path, tmp_path: Path, name: str) -> None:
    alone = tiny_setup()
    alone.model.dropout = nn.Identity()
    expected = weights(train(arguments(tmp_path / name, **RUNS[name]), alone))
    for key, tensor in weights(trained_by_two / name).items():
        torch.testing.assert_close(tensor, expected[key], rtol=0, atol=1e-5, msg=key)
    for ours, theirs in zip(log_lines(trained_by_two / name), log_lines(tmp_path / name), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)  # the gradient norm too, to which AdamW is blind


@pytest.mark.slow
def test_resumed_run_of_two_processes_equals_uninterrupted_one(trained_by_two: Path) -> None:
    expected = weights(trained_by_two / "whole")
    for name, tensor in weights(trained_by_two / "parts").items():
        assert torch.equal(tensor, expected[name]), name
    assert log_lines(trained_by_two / "parts") == log_lines(trained_by_two / "whole")
