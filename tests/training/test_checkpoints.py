"""The output folder: whose it is, what it keeps, and that nothing in it is ever half written."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from accelerate import Accelerator

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.training.checkpoints import CheckpointManager, TrainState

from .tiny import TinyModel, TinyProcessor, arguments, weights


def test_foreign_content_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for changes in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(ConfigurationError, match="holds other files"):
            CheckpointManager(tmp_path).check(arguments(tmp_path, **changes))
    file = tmp_path / "thesis.tex"
    with pytest.raises(ConfigurationError, match="is a file"):
        CheckpointManager(file).check(arguments(file))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_overwriting_keeps_files_that_are_not_of_a_run(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path)
    folder.start(arguments(tmp_path), step=0)
    (tmp_path / "notes.txt").write_text("keep")
    (tmp_path / "best").mkdir()
    folder.log({"step": 1})
    assert folder.check(arguments(tmp_path, overwrite=True)) is None
    folder.start(arguments(tmp_path, overwrite=True), step=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arguments.yaml", "notes.txt"]


def test_resuming_needs_the_same_arguments(tmp_path: Path) -> None:
    CheckpointManager(tmp_path).start(arguments(tmp_path), step=0)
    same = arguments(tmp_path, resume=True, workers=2, log_every=5, micro_batch_size=1)
    assert CheckpointManager(tmp_path).check(same) is None
    with pytest.raises(ConfigurationError, match=r"learning_rate: 0.05 -> 0.5; schedule: 'poly' -> 'cosine'"):
        CheckpointManager(tmp_path).check(arguments(tmp_path, resume=True, learning_rate=0.5, schedule="cosine"))


def test_newest_state_counts_and_unfinished_ones_do_not(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path)
    folder.start(arguments(tmp_path), step=0)
    for name in ("step-00000900", "step-00001000", ".unfinished"):
        (folder.checkpoints / name).mkdir(parents=True)
    assert folder.check(arguments(tmp_path, resume=True)) == folder.checkpoints / "step-00001000"


def test_log_is_cut_where_the_state_is(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path)
    for step in (1, 2, 3):
        folder.log({"step": step, "loss": math.nan})
    with folder.log_file.open("a") as file:
        file.write('{"step": 2, "lo')  # killed while writing
    folder.start(arguments(tmp_path), step=2)
    assert [json.loads(line) for line in folder.log_file.read_text().splitlines()] == [
        {"step": 1, "loss": None},
        {"step": 2, "loss": None},
    ]


def test_failed_saving_leaves_the_earlier_model(tmp_path: Path) -> None:
    class FullDisk(TinyProcessor):
        def save_pretrained(self, folder: Path) -> None:
            raise OSError("no space left")

    accelerator = Accelerator(cpu=True)
    folder = CheckpointManager(tmp_path)
    folder.save_model("last", accelerator, TinyModel(), TinyProcessor())
    before = weights(tmp_path)
    with pytest.raises(OSError, match="no space"):
        folder.save_model("last", accelerator, TinyModel(), FullDisk())
    assert all((tensor == before[name]).all() for name, tensor in weights(tmp_path).items())
    folder.save_model("last", accelerator, TinyModel(), TinyProcessor())
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def test_progress_survives_a_round_trip() -> None:
    progress, restored = TrainState(step=3, best=12.5, loss_sum=0.5, loss_count=2), TrainState()
    restored.load_state_dict(progress.state_dict())
    assert restored == progress
