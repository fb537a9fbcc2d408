"""A run learns, logs, keeps its best model, and continues exactly where it stopped."""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from ovparts_hf.errors import ConfigurationError, OVPartsError
from ovparts_hf.training import TrainingInterrupted, loop, signals, train
from ovparts_hf.utils import precision

from .tiny import (
    Evaluator,
    TinyModel,
    arguments,
    as_earlier_version,
    assert_same_weights,
    log_lines,
    newest_checkpoint,
    tiny_setup,
    weights,
)


class StopAt:
    """An evaluation that receives a signal in one of its calls."""

    def __init__(self, call: int, number: int = signal.SIGTERM) -> None:
        self.evaluator = Evaluator()
        self.call = call
        self.number = number

    def __call__(self, *args: Any, **options: Any) -> SimpleNamespace:
        result = self.evaluator(*args, **options)
        if len(self.evaluator.calls) == self.call:
            os.kill(os.getpid(), self.number)
        return result


def test_learns_and_writes_what_it_promises(tmp_path: Path) -> None:
    given = tiny_setup()
    before = {name: tensor.clone() for name, tensor in given.model.state_dict().items()}
    folder = train(arguments(tmp_path / "run", steps=40, log_every=10, batch_size=5), given)
    lines = log_lines(folder)
    assert [line["step"] for line in lines] == [10, 20, 30, 40]
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    assert lines[0]["learning_rate"] == pytest.approx(0.05 * (1 - 9 / 40) ** 0.9)
    assert all(line["gradient_norm"] > 0 for line in lines)
    after = weights(folder)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if not name.startswith("frozen")}
    assert (folder / "last" / "processor_config.json").exists()
    assert yaml.safe_load((folder / "arguments.yaml").read_text())["steps"] == 40
    assert not (folder / "best").exists()
    assert not list(folder.rglob(".*"))


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_run_equals_uninterrupted_one(tmp_path: Path, workers: int) -> None:
    whole = train(arguments(tmp_path / "whole", eval_every=3, workers=workers), tiny_setup(), Evaluator())
    options = {"eval_every": 3, "workers": workers}
    with pytest.raises(TrainingInterrupted) as stopped:
        train(arguments(tmp_path / "parts", **options), tiny_setup(), StopAt(1))
    assert stopped.value.code == 128 + signal.SIGTERM
    assert not (tmp_path / "parts" / "last").exists()
    torch.manual_seed(99)
    resumed = train(arguments(tmp_path / "parts", resume=True, **options), tiny_setup(), Evaluator(scores=(20.0, 40.0)))
    assert_same_weights(whole, resumed)
    assert log_lines(whole) == log_lines(resumed)


def test_worker_processes_change_nothing(tmp_path: Path) -> None:
    assert_same_weights(
        train(arguments(tmp_path / "none", steps=3), tiny_setup()),
        train(arguments(tmp_path / "two", steps=3, workers=2), tiny_setup()),
    )


def test_run_resumes_from_periodic_state_after_a_crash(tmp_path: Path) -> None:
    whole = train(arguments(tmp_path / "whole", save_every=2, log_every=1), tiny_setup())
    crashing = tiny_setup()
    read, reads = crashing.dataset.read, []

    def failing_read(record: Any) -> Any:
        reads.append(record)
        if len(reads) > 4 * 5 + 1:  # in step 6
            raise RuntimeError("disk on fire")
        return read(record)

    crashing.dataset.read = failing_read
    options = {"save_every": 2, "log_every": 1}
    with pytest.raises(RuntimeError, match="disk on fire"):
        train(arguments(tmp_path / "crashed", **options), crashing)
    kept = sorted(path.name for path in (tmp_path / "crashed" / "checkpoints").iterdir())
    assert kept == ["step-00000002", "step-00000004"]
    assert len(log_lines(tmp_path / "crashed")) == 5
    resumed = train(arguments(tmp_path / "crashed", resume=True, **options), tiny_setup())
    assert_same_weights(whole, resumed)
    assert log_lines(whole) == log_lines(resumed)


@pytest.mark.parametrize("options", [{}, {"classes_per_image": 3, "task": "few_shot"}])
def test_accumulated_batch_equals_whole_batch(tmp_path: Path, options: dict[str, Any]) -> None:
    def run(name: str, micro_batch_size: int | None) -> Path:
        given = tiny_setup()
        given.model.dropout = nn.Identity()
        return train(arguments(tmp_path / name, micro_batch_size=micro_batch_size, **options), given)

    whole, accumulated = run("whole", None), run("accumulated", 1)
    assert_same_weights(whole, accumulated, tolerance=1e-5)
    for ours, theirs in zip(log_lines(whole), log_lines(accumulated), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)  # the gradient norm too, to which AdamW is blind


def test_evaluates_on_time_and_keeps_the_best(tmp_path: Path) -> None:
    evaluator = Evaluator(scores=(math.nan, 30.0, math.nan, 20.0))
    snapshots = []
    given = tiny_setup()

    def evaluate(model: nn.Module, *args: Any, **options: Any) -> SimpleNamespace:
        snapshots.append({name: tensor.cpu().clone() for name, tensor in model.state_dict().items()})
        return evaluator(model, *args, **options)

    folder = train(arguments(tmp_path / "run", eval_every=2, eval_batch_size=3), given, evaluate)
    assert len(evaluator.calls) == 4  # after 2, 4, 6 and 7 steps
    assert evaluator.calls[0]["batch_size"] == 3
    best = weights(folder, "best")
    assert best.keys() == snapshots[1].keys()
    for name, tensor in best.items():
        assert torch.equal(tensor, snapshots[1][name]), name
    scores = [line["eval_hIoU"] for line in log_lines(folder) if "eval_hIoU" in line]
    assert scores == [None, 30.0, None, 20.0]


@pytest.mark.parametrize(("seconds", "expected"), [(60, TrainingInterrupted), (-1, KeyboardInterrupt)])
def test_second_signal_acts_unless_it_repeats_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, expected: type[BaseException]
) -> None:
    monkeypatch.setattr(signals.SignalHandler, "repeat_seconds", seconds)

    def evaluate(*args: Any, **options: Any) -> SimpleNamespace:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return Evaluator()(*args, **options)

    with pytest.raises(expected):
        train(arguments(tmp_path / "run", eval_every=1), tiny_setup(), evaluate)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signal_to_all_processes_spares_the_loaders(tmp_path: Path) -> None:
    given = tiny_setup()
    read, parent = given.dataset.read, os.getpid()

    def signalled_read(record: Any) -> Any:
        for process in (os.getpid(), parent):
            os.kill(process, signal.SIGTERM)
        return read(record)

    given.dataset.read = signalled_read
    others = set(multiprocessing.active_children())
    earlier = signal.signal(signal.SIGTERM, lambda *_: None)  # a loader may send its last one after training has ended
    try:
        with pytest.raises(TrainingInterrupted):
            train(arguments(tmp_path / "run", workers=2), given)
    finally:
        gc.collect()  # the loaders end with what holds them, a traceback
        for loader in set(multiprocessing.active_children()) - others:
            loader.join()
        signal.signal(signal.SIGTERM, earlier)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000001"]


def test_stopped_loader_ends_within_its_grace_period(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_WORKER_GRACE_SECONDS", 1)

    def work() -> None:
        signals.ignore_signals_in_worker(0)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    gc.collect()  # here, not in the copy of this process
    with signals.signals_held():
        worker = multiprocessing.get_context("fork").Process(target=work, daemon=True)
        worker.start()
    worker.join(timeout=50)
    code = worker.exitcode
    worker.kill()
    assert code == -signal.SIGALRM


def test_finished_run_may_be_resumed(tmp_path: Path) -> None:
    folder = train(arguments(tmp_path / "run"), tiny_setup())
    before = shutil.copytree(folder, tmp_path / "before")
    train(arguments(folder, resume=True), tiny_setup())
    assert_same_weights(folder, before)
    assert log_lines(folder) == log_lines(before)


def test_run_of_an_earlier_version_resumes(tmp_path: Path) -> None:
    options = {"classes_per_image": 3, "level": "image", "eval_every": 3}
    whole = train(arguments(tmp_path / "whole", **options), tiny_setup(), Evaluator())
    with pytest.raises(TrainingInterrupted):
        train(arguments(tmp_path / "parts", **options), tiny_setup(), StopAt(1))
    file = tmp_path / "parts" / "arguments.yaml"
    earlier = yaml.safe_load(file.read_text())
    earlier["classes_per_picture"] = earlier.pop("classes_per_image")
    file.write_text(yaml.safe_dump({**earlier, "level": "picture"}))
    as_earlier_version(newest_checkpoint(tmp_path / "parts"))
    (tmp_path / "parts" / "checkpoints").rename(tmp_path / "parts" / "states")
    resumed = train(arguments(tmp_path / "parts", resume=True, **options), tiny_setup(), Evaluator(scores=(20.0, 40.0)))
    assert_same_weights(whole, resumed)
    assert log_lines(whole) == log_lines(resumed)
    assert sorted(path.name for path in resumed.iterdir()) == sorted(path.name for path in whole.iterdir())


def test_resume_starts_when_there_is_nothing(tmp_path: Path) -> None:
    assert_same_weights(
        train(arguments(tmp_path / "a", resume=True, steps=2), tiny_setup()),
        train(arguments(tmp_path / "b", steps=2), tiny_setup()),
    )


def test_earlier_run_is_replaced_only_on_demand(tmp_path: Path) -> None:
    folder = train(arguments(tmp_path / "run", steps=3, eval_every=1), tiny_setup(), Evaluator())
    before = shutil.copytree(folder, tmp_path / "before")
    with pytest.raises(ConfigurationError, match="resume=true"):
        train(arguments(folder, steps=2), tiny_setup())
    assert_same_weights(folder, before)
    train(arguments(folder, steps=2, log_every=1, overwrite=True), tiny_setup())
    assert [line["step"] for line in log_lines(folder)] == [1, 2]
    assert not (folder / "best").exists()
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-00000002"]


def test_endless_loss_stops_the_run(tmp_path: Path) -> None:
    given = tiny_setup()
    with torch.no_grad():
        given.model.none.fill_(math.inf)
    with pytest.raises(OVPartsError, match="step 1.*Lower learning_rate"):
        train(arguments(tmp_path / "run"), given)
    assert not (tmp_path / "run" / "last").exists()


def test_nothing_is_written_when_something_does_not_fit(tmp_path: Path) -> None:
    frozen = tiny_setup()
    frozen.model = TinyModel().requires_grad_(False)
    with pytest.raises(ConfigurationError, match="no trainable parameter"):
        train(arguments(tmp_path / "run"), frozen)
    with pytest.raises(ConfigurationError, match="micro-batches of 3"):
        train(arguments(tmp_path / "run", micro_batch_size=3), tiny_setup())
    assert not (tmp_path / "run").exists()


def test_half_precision_trains(tmp_path: Path) -> None:
    folder = train(arguments(tmp_path / "run", steps=2, mixed_precision="bf16"), tiny_setup())
    assert weights(folder)["pixels.weight"].dtype is torch.float32


def test_a_cpu_without_bf16_trains_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: False)
    folders = [
        train(arguments(tmp_path / name, steps=2, mixed_precision=name), tiny_setup()) for name in ("no", "bf16")
    ]
    assert_same_weights(*folders)


def test_one_process_trains_in_one_precision_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)
    for number, name in enumerate(("no", "bf16", "no")):
        folder = train(arguments(tmp_path / str(number), steps=1, mixed_precision=name), tiny_setup())
        assert weights(folder)["pixels.weight"].dtype is torch.float32


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    options = {"eval_every": 3, "steps": 3}
    inner = {"resume": True}, {"overwrite": True}, {}

    def evaluate(*args: Any, **given: Any) -> SimpleNamespace:
        for changes in inner:
            with pytest.raises(ConfigurationError, match=f"is being written by process {os.getpid()} on"):
                train(arguments(tmp_path / "run", **options, **changes), tiny_setup())
        return Evaluator()(*args, **given)

    folder = train(arguments(tmp_path / "run", **options), tiny_setup(), evaluate)
    assert not list(folder.rglob(".*"))
    whole = train(arguments(tmp_path / "whole", **options), tiny_setup(), Evaluator())
    assert_same_weights(folder, whole)


def test_lock_that_a_killed_run_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").write_text('{"pid": 1, "host": "elsewhere"}')
    folder = train(arguments(tmp_path / "run", steps=2), tiny_setup())
    (folder / ".lock").write_text('{"pid": 1, "host": "elsewhere"}')
    train(arguments(folder, steps=2, resume=True), tiny_setup())
    assert not (folder / ".lock").exists()


@pytest.mark.parametrize(("call", "step"), [(1, 3), (2, 6), (3, 7)])
def test_failing_evaluation_loses_nothing(tmp_path: Path, call: int, step: int) -> None:
    def evaluate(*args: Any, **given: Any) -> SimpleNamespace:
        result = evaluator(*args, **given)
        if len(evaluator.calls) == call:
            raise RuntimeError("dtypes do not match")
        return result

    whole = train(arguments(tmp_path / "whole", eval_every=3), tiny_setup(), Evaluator())
    evaluator, folder = Evaluator(), tmp_path / "run"
    with pytest.raises(RuntimeError, match="dtypes"):
        train(arguments(folder, eval_every=3), tiny_setup(), evaluate)
    assert newest_checkpoint(folder).name == f"step-{step:08d}"
    assert (folder / "last").exists() == (step == 7)
    torch.manual_seed(99)
    again = Evaluator(scores=Evaluator().scores[call - 1 :])
    train(arguments(folder, eval_every=3, resume=True), tiny_setup(), again)
    assert len(again.calls) == 3 - (call - 1)
    assert log_lines(folder) == log_lines(whole)
    for name in ("last", "best"):
        assert_same_weights(folder, whole, name=name)


def test_evaluation_that_had_been_logged_is_not_logged_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(arguments(tmp_path / "whole", eval_every=3), tiny_setup(), Evaluator())

    def killed(run: loop._Run, name: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop._Run, "_save_model", killed)  # after the first evaluation
        train(arguments(tmp_path / "run", eval_every=3), tiny_setup(), Evaluator())
    assert any("eval_hIoU" in line for line in log_lines(tmp_path / "run"))
    train(arguments(tmp_path / "run", eval_every=3, resume=True), tiny_setup(), Evaluator())
    assert log_lines(tmp_path / "run") == log_lines(whole)
