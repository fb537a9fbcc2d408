"""The output folder: whose it is, what it keeps, and that nothing in it is ever half written."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from ovparts_hf.errors import CheckpointError, ConfigurationError
from ovparts_hf.training import checkpoints, train
from ovparts_hf.training.checkpoints import CheckpointManager, TrainState
from ovparts_hf.training.manifest import find_damage

from .tiny import TinyModel, TinyProcessor, arguments, log_lines, tiny_setup, weights


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


@pytest.mark.parametrize("content", [b"", b"steps: [", b"\xff\xfe\xfa", b"- 1"])
def test_arguments_that_cannot_be_read_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "arguments.yaml").write_bytes(content)
    with pytest.raises(ConfigurationError, match="arguments.yaml"):
        CheckpointManager(tmp_path).check(arguments(tmp_path, resume=True))


def test_newest_checkpoint_counts_and_unfinished_ones_do_not(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path)
    folder.start(arguments(tmp_path), step=0)
    for step in (900, 1000):
        folder.save_checkpoint(Accelerator(cpu=True), step)
    (folder.checkpoints / ".unfinished").mkdir()
    assert folder.check(arguments(tmp_path, resume=True)) == folder.checkpoints / "step-00001000"


def test_earlier_versions_kept_checkpoints_in_states(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path)
    folder.start(arguments(tmp_path), step=0)
    earlier = tmp_path / "states" / "step-00000900"
    earlier.mkdir(parents=True)
    (earlier / "custom_checkpoint_0.pkl").touch()
    assert folder.check(arguments(tmp_path, resume=True)) == earlier
    folder.save_checkpoint(Accelerator(cpu=True), step=900)
    assert folder.check(arguments(tmp_path, resume=True)) == folder.checkpoints / "step-00000900"
    assert not earlier.parent.exists()
    earlier.mkdir(parents=True)
    folder.start(arguments(tmp_path, overwrite=True), step=0)
    assert [path.name for path in tmp_path.iterdir()] == ["arguments.yaml"]


@pytest.mark.parametrize("killed_in", ["save_state", "rename", "rmtree"])
def test_there_is_always_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str) -> None:
    accelerator, folder = Accelerator(cpu=True), CheckpointManager(tmp_path)
    folder.start(arguments(tmp_path), step=0)
    folder.save_checkpoint(accelerator, step=1)

    def killed(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    def killed_unless_unfinished(path: Path, **options: Any) -> None:
        if path.name != ".unfinished":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if killed_in == "save_state":
            patch.setattr(accelerator, "save_state", lambda path: Path(path).mkdir() or killed())
        elif killed_in == "rename":
            patch.setattr(Path, "rename", killed)
        else:
            folder.save_checkpoint(accelerator, step=0)
            patch.setattr(checkpoints.shutil, "rmtree", killed_unless_unfinished)
        folder.save_checkpoint(accelerator, step=2)
    newest = "step-00000002" if killed_in == "rmtree" else "step-00000001"
    assert folder.check(arguments(tmp_path, resume=True)) == folder.checkpoints / newest
    assert list((folder.checkpoints / newest).iterdir())
    folder.save_checkpoint(accelerator, step=3)
    kept = "step-00000001" if killed_in != "rmtree" else "step-00000002"
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == [kept, "step-00000003"]


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_checkpoint_is_replaced_without_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int) -> None:
    accelerator, folder = Accelerator(cpu=True), CheckpointManager(tmp_path)
    folder.start(arguments(tmp_path), step=0)
    folder.save_checkpoint(accelerator, 3, evaluated=0)
    rename, done = Path.rename, []

    def rename_until_killed(path: Path, target: Path) -> Path:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        return rename(path, target)

    def killed(*args: Any, **options: Any) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", rename_until_killed)
        patch.setattr(checkpoints.shutil, "rmtree", killed)
        folder.save_checkpoint(accelerator, 3, evaluated=3)
    newest = folder.check(arguments(tmp_path, resume=True))
    assert newest is not None and newest.name.startswith("step-00000003")
    folder.start(arguments(tmp_path), step=3)
    for evaluated in (0, 3):
        folder.save_checkpoint(accelerator, 3, evaluated=evaluated)
    assert json.loads((folder.checkpoints / "step-00000003" / "progress.json").read_text()) == {"evaluated": 3}
    assert [path.name for path in folder.checkpoints.iterdir()] == ["step-00000003"]


DAMAGE = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:-2] + bytes([path.read_bytes()[-2] ^ 1, 0x7D])),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "a folder": lambda path: path.unlink() or path.mkdir(),
}


SHORT = {"steps": 4, "save_every": 1, "log_every": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    return train(arguments(tmp_path_factory.mktemp("finished") / "run", **SHORT), tiny_setup())


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.bin", "random_states_0.pkl", "progress.json", "manifest.json"]
)
def test_damaged_checkpoint_gives_way_to_the_one_before(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    whole, lines = weights(run), log_lines(run)
    assert [path.name for path in sorted((run / "checkpoints").iterdir())] == ["step-00000003", "step-00000004"]
    DAMAGE[damage](run / "checkpoints" / "step-00000004" / name)
    train(arguments(run, resume=True, **SHORT), tiny_setup())
    assert f"step-00000004 is damaged: {name}" in caplog.text
    assert "continues from step-00000003" in caplog.text
    assert weights(run).keys() == whole.keys() and log_lines(run) == lines
    for key, tensor in weights(run).items():
        assert torch.equal(tensor, whole[key]), key
    assert find_damage(run / "checkpoints" / "step-00000004") is None


def test_a_checkpoint_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, fsync, rename = [], os.fsync, Path.rename

    def recorded_fsync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "rename", lambda path, target: events.append("renamed") or rename(path, target))
    CheckpointManager(tmp_path / "run").save_checkpoint(Accelerator(cpu=True), step=1)
    before, after = events[: events.index("renamed")], events[events.index("renamed") + 1 :]
    files = {path.name for path in (tmp_path / "run" / "checkpoints" / "step-00000001").iterdir()}
    assert "manifest.json" in files and set(before) == {*files, ".unfinished"}
    assert after == ["checkpoints", "run"]


def test_run_without_an_intact_checkpoint_does_not_start_over(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path)
    folder.start(arguments(tmp_path), step=0)
    for step in (1, 2):
        folder.save_checkpoint(Accelerator(cpu=True), step)
        (folder.checkpoints / f"step-0000000{step}" / "random_states_0.pkl").unlink()
    with pytest.raises(CheckpointError, match="step-00000002 is damaged.*step-00000001 is damaged.*overwrite=true"):
        folder.check(arguments(tmp_path, resume=True))


def test_damaged_newer_checkpoints_are_removed(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path)
    for step in (1, 2):
        folder.save_checkpoint(Accelerator(cpu=True), step)
    folder.start(arguments(tmp_path), step=1)
    assert [path.name for path in folder.checkpoints.iterdir()] == ["step-00000001"]


def test_leftovers_of_a_killed_save_are_removed(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path)
    folder.start(arguments(tmp_path), step=0)
    for name in (".last.ab12", ".best.ab12", ".git"):
        (tmp_path / name).mkdir()
    folder.start(arguments(tmp_path), step=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "arguments.yaml", "log.jsonl"]


def test_log_is_cut_where_the_checkpoint_is(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path)
    for step in (1, 2, 3):
        folder.log({"step": step, "loss": math.nan, "learning_rate": 0.1})
        folder.log({"step": step, "eval_hIoU": 1.0})
    with folder.log_file.open("a") as file:
        file.write('\0\0\0\n[]\n{"step": "1"}\n{}\n')  # power failure
        file.write('{"step": 2, "lo')  # killed while writing
    folder.start(arguments(tmp_path), step=2, evaluated=1)
    assert [json.loads(line) for line in folder.log_file.read_text().splitlines()] == [
        {"step": 1, "loss": None, "learning_rate": 0.1},
        {"step": 1, "eval_hIoU": 1.0},
        {"step": 2, "loss": None, "learning_rate": 0.1},
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
    after = weights(tmp_path)
    assert after.keys() == before.keys() and after
    for name, tensor in after.items():
        assert torch.equal(tensor, before[name]), name
    folder.save_model("last", accelerator, TinyModel(), TinyProcessor())
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def test_train_state_survives_a_round_trip() -> None:
    state, restored = TrainState(step=3, best=12.5, loss_sum=0.5, loss_count=2), TrainState()
    restored.load_state_dict(state.state_dict())
    assert restored == state
