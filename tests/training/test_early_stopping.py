"""A run ends early when evaluations no longer improve, or when its time is up; and a resumed run knows it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.training import TrainArguments, loop, train
from ovparts_hf.training.setup import TrainingSetup

from .tiny import Evaluator, arguments, assert_same_weights, log_lines, newest_checkpoint, tiny_setup


def evaluations(folder: Path) -> list[int]:
    return [line["step"] for line in log_lines(folder) if "eval_hIoU" in line]


def test_ends_when_evaluations_do_not_improve(tmp_path: Path) -> None:
    settings = {"steps": 12, "eval_every": 2, "patience": 2}
    folder = train(
        arguments(tmp_path / "run", **settings), tiny_setup(), Evaluator((30.0, 20.0, 40.0, 10.0, 40.0, 50.0))
    )
    assert evaluations(folder) == [2, 4, 6, 8, 10]
    stopped = train(arguments(tmp_path / "ten", steps=10, eval_every=2, schedule="constant"), tiny_setup(), Evaluator())
    assert newest_checkpoint(folder).name == newest_checkpoint(stopped).name == "step-00000010"


def test_patience_changes_nothing_that_is_learned(tmp_path: Path) -> None:
    settings = {"steps": 6, "eval_every": 2}
    plain = train(arguments(tmp_path / "plain", **settings), tiny_setup(), Evaluator())
    patient = train(arguments(tmp_path / "patient", patience=9, time_limit=3600, **settings), tiny_setup(), Evaluator())
    assert_same_weights(plain, patient)
    assert_same_weights(plain, patient, name="best")


def test_a_run_that_failed_in_an_evaluation_stops_where_it_would_have(tmp_path: Path) -> None:
    scores = Evaluator((30.0, 20.0, 10.0))
    settings = {"steps": 12, "eval_every": 2, "patience": 2}
    whole = train(arguments(tmp_path / "whole", **settings), tiny_setup(), scores)

    def fails(*given: Any, **options: Any) -> SimpleNamespace:
        if len(rest.calls) == 2:
            rest.calls.append({})
            raise RuntimeError("no disk")
        rest.scores = (30.0, 20.0, 0.0, 10.0)
        return rest(*given, **options)

    rest = Evaluator()
    with pytest.raises(RuntimeError, match="no disk"):
        train(arguments(tmp_path / "run", **settings), tiny_setup(), fails)
    resumed = train(arguments(tmp_path / "run", resume=True, **settings), tiny_setup(), fails)
    assert evaluations(resumed) == evaluations(whole) == [2, 4, 6]
    assert_same_weights(whole, resumed)
    again = train(arguments(tmp_path / "run", resume=True, **settings), tiny_setup(), fails)
    assert evaluations(again) == [2, 4, 6]
    assert_same_weights(whole, again)


def test_the_step_at_which_time_is_up_is_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    evaluator = Evaluator()
    folder = train(arguments(tmp_path / "run", time_limit=45, eval_every=100, log_every=100), tiny_setup(), evaluator)
    step = int(newest_checkpoint(folder).name.removeprefix("step-"))
    assert 1 <= step < 7
    assert evaluations(folder) == [step] and (folder / "best").exists() and (folder / "last").exists()
    assert [line["step"] for line in log_lines(folder) if "learning_rate" in line] == [step]
    longer = train(arguments(tmp_path / "run", time_limit=10_000, eval_every=100, resume=True), tiny_setup(), evaluator)
    assert newest_checkpoint(longer).name == "step-00000007"


def test_a_run_takes_at_least_one_step(tmp_path: Path) -> None:
    folder = train(arguments(tmp_path / "run", time_limit=0), tiny_setup())
    assert newest_checkpoint(folder).name == "step-00000001"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patience": 0}, "patience is 0; it must be at least 1"),
        ({"time_limit": -1}, "time_limit is -1.0; it must be at least 0"),
        ({"held_out": 1, "task": "supervised"}, "held_out is 1.0; a share of the images lies between 0 and 1"),
        ({"held_out": 0.1}, "unseen objects, whose labels would decide when to stop"),
        ({"held_out": 0.1, "task": "supervised", "eval_data": "x"}, "choose one"),
    ],
)
def test_bad_values_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TrainArguments(data="data", output="out", model="toy", **changes)


def test_held_out_images_are_evaluated_and_not_trained_on(garden_folder: Path) -> None:
    settings = {"data": garden_folder, "output": "out", "model": "toy", "task": "supervised", "crop_size": 96}
    whole = TrainingSetup.load(TrainArguments(**settings))
    setup = TrainingSetup.load(TrainArguments(**settings, held_out=0.25, seed=3))
    held = set(setup.eval_dataset.splits["validation"]["image_id"])
    trained = {
        setup.dataset.splits["train"]["image_id"][each.row]
        for each in setup.training_set(TrainArguments(**settings)).records
    }
    assert len(held) == 3 and not held & trained
    assert held | trained == set(whole.dataset.splits["train"]["image_id"])
