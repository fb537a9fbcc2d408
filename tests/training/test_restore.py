"""A checkpoint is data: nothing in it runs, and one of an earlier version continues as exactly."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from ovparts_hf.errors import CheckpointError
from ovparts_hf.training import train
from ovparts_hf.training.checkpoints import CheckpointManager
from ovparts_hf.training.manifest import write_manifest
from ovparts_hf.training.restore import load_data

from .tiny import arguments, as_earlier_version, assert_same_weights, newest_checkpoint, tiny_setup, weights


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def change_schedule(checkpoint: Path, change: dict) -> None:
    """Writes other values into a schedule, under a manifest that knows of it."""
    progress = json.loads((checkpoint / "progress.json").read_text())
    progress["schedule"] |= change
    (checkpoint / "progress.json").write_text(json.dumps(progress))
    (checkpoint / "manifest.json").unlink()
    write_manifest(checkpoint)


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize(
    "name", ["optimizer.bin", "random_states_0.pkl", "custom_checkpoint_0.pkl", "custom_checkpoint_1.pkl"]
)
def test_code_in_a_checkpoint_never_runs(tmp_path: Path, name: str, earlier: bool) -> None:
    folder = train(arguments(tmp_path / "run", steps=2), tiny_setup())
    checkpoint = newest_checkpoint(folder)
    if earlier:
        as_earlier_version(checkpoint)
    torch.save({"state": Evil(tmp_path / "ran")}, checkpoint / name)
    if not earlier:
        (checkpoint / "manifest.json").unlink()
        write_manifest(checkpoint)
    if earlier or not name.startswith("custom"):  # which this version does not read
        with pytest.raises(CheckpointError, match="more than tensors and numbers.*overwrite=true"):
            train(arguments(folder, steps=2, resume=True), tiny_setup())
    else:
        train(arguments(folder, steps=2, resume=True), tiny_setup())
    assert not (tmp_path / "ran").exists()


def test_the_pickle_of_the_test_is_evil(tmp_path: Path) -> None:
    torch.save(Evil(tmp_path / "ran"), tmp_path / "evil.pkl")
    with pytest.raises(CheckpointError):
        load_data(tmp_path / "evil.pkl")
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "evil.pkl", weights_only=False)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "progress",
    [[], {}, {"state": [], "schedule": {}}, {"state": {"best": None, "step": 2}, "schedule": "x"}]
    + [{"state": {"best": None, "step": step}, "schedule": {}} for step in ({}, -1, 1.5, True, "2", None)],
)
def test_progress_without_a_meaning_is_refused(tmp_path: Path, progress: object) -> None:
    folder = train(arguments(tmp_path / "run", steps=2), tiny_setup())
    checkpoint = newest_checkpoint(folder)
    (checkpoint / "progress.json").write_text(json.dumps(progress))
    (checkpoint / "manifest.json").unlink()
    write_manifest(checkpoint)
    with pytest.raises(CheckpointError, match="cannot be resumed from.*overwrite=true"):
        train(arguments(folder, steps=2, resume=True), tiny_setup())


@pytest.mark.parametrize(
    "change",
    [{"last_epoch": value} for value in ("2", None, 1.5, -1, True)]
    + [{"_step_count": []}, {"_last_lr": 0.1}, {"_last_lr": []}, {"_last_lr": ["0.1", "0.1"]}]
    + [{"_last_lr": [None, None]}, {"_last_lr": [float("nan"), 0.1]}],
)
def test_a_schedule_of_other_than_numbers_is_refused(tmp_path: Path, change: dict) -> None:
    folder = train(arguments(tmp_path / "run", steps=2), tiny_setup())
    change_schedule(newest_checkpoint(folder), change)
    with pytest.raises(CheckpointError, match="its schedule has .* belong.*overwrite=true"):
        train(arguments(folder, steps=2, resume=True), tiny_setup())


def test_a_checkpoint_replaces_no_method_of_the_schedule(tmp_path: Path) -> None:
    folder = train(arguments(tmp_path / "run", steps=2), tiny_setup())
    change_schedule(newest_checkpoint(folder), {"step": 3, "lr_lambdas": 5, "base_lrs": "x", "optimizer": None})
    train(arguments(folder, steps=2, resume=True), tiny_setup())


def test_numbers_of_numpy_are_read(tmp_path: Path) -> None:
    torch.save({"best": np.float64(12.5), "ids": np.arange(3, dtype=np.uint32)}, tmp_path / "a.pkl")
    loaded = load_data(tmp_path / "a.pkl")
    assert loaded["best"] == 12.5 and loaded["ids"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.bin", "random_states_0.pkl", "custom_checkpoint_1.pkl"]
)
@pytest.mark.parametrize("content", [None, b"", b"junk"])
def test_damaged_checkpoint_of_an_earlier_version_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    folder = train(arguments(tmp_path / "run", steps=2), tiny_setup())
    checkpoint = newest_checkpoint(folder)
    as_earlier_version(checkpoint)
    (checkpoint / name).unlink()
    if content is not None:
        (checkpoint / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="overwrite=true"):
        train(arguments(folder, steps=2, resume=True), tiny_setup())


def test_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = train(arguments(tmp_path / "run", steps=2), tiny_setup())
    other = tiny_setup()
    other.model.frozen = torch.nn.Linear(3, 2).requires_grad_(False)
    with pytest.raises(CheckpointError, match="cannot be resumed from"):
        train(arguments(folder, steps=2, resume=True), other)


def test_checkpoint_of_an_earlier_version_continues_exactly(tmp_path: Path) -> None:
    whole = train(arguments(tmp_path / "whole"), tiny_setup())
    broken = tiny_setup()
    read, reads = broken.dataset.read, []
    broken.dataset.read = lambda record: reads.append(record) or read(record if len(reads) < 15 else None)
    with pytest.raises(AttributeError):
        train(arguments(tmp_path / "parts", save_every=3), broken)
    checkpoint = CheckpointManager(tmp_path / "parts").check(arguments(tmp_path / "parts", resume=True))
    as_earlier_version(checkpoint)
    torch.manual_seed(99)
    assert_same_weights(whole, train(arguments(tmp_path / "parts", resume=True), tiny_setup()))


def test_finished_run_of_an_earlier_version_may_be_resumed(tmp_path: Path) -> None:
    folder = train(arguments(tmp_path / "run", steps=2), tiny_setup())
    before = weights(folder)
    as_earlier_version(newest_checkpoint(folder))
    train(arguments(folder, steps=2, resume=True), tiny_setup())
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(folder).items()) and before
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-00000002"]
    assert (newest_checkpoint(folder) / "manifest.json").exists()
