"""Two processes learn what one does, and resume as exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from ovparts_hf.training import train

from .tiny import arguments, assert_same_weights, log_lines, tiny_setup
from .two_processes import RUNS, run_in_two_processes, train_all


@pytest.fixture(scope="module")
def trained_by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("two")
    run_in_two_processes(train_all, out)
    return out


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_learn_what_one_does(trained_by_two: Path, tmp_path: Path, name: str) -> None:
    alone = tiny_setup()
    alone.model.dropout = nn.Identity()
    folder = train(arguments(tmp_path / name, **RUNS[name]), alone)
    assert_same_weights(trained_by_two / name, folder, tolerance=1e-5)
    for ours, theirs in zip(log_lines(trained_by_two / name), log_lines(folder), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)  # the gradient norm too, to which AdamW is blind


def test_resumed_run_of_two_processes_equals_uninterrupted_one(trained_by_two: Path) -> None:
    assert_same_weights(trained_by_two / "parts", trained_by_two / "whole")
    assert log_lines(trained_by_two / "parts") == log_lines(trained_by_two / "whole")
