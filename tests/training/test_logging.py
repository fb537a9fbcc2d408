"""What a run logs, and what trackers are given of it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.training import loop, train

from .tiny import (
    Evaluator,
    arguments,
    log_lines,
    tiny_setup,
)


class Recorder(GeneralTracker):
    """Remembers what a run reports."""

    name = "recorder"
    requires_logging_directory = False

    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, str] = {}
        self.lines: list[dict[str, Any]] = []
        self.finished = False

    @property
    def tracker(self) -> None:
        return None

    def store_init_configuration(self, values: dict[str, str]) -> None:
        self.settings = values

    def log(self, values: dict[str, float], step: int, **options: Any) -> None:
        self.lines.append({"step": step, **values})

    def finish(self) -> None:
        self.finished = True


def test_trackers_get_what_the_log_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(loop, "get_available_trackers", lambda: ["recorder"])
    monkeypatch.setattr(loop, "new_accelerator", lambda precision, log_with, **options: Accelerator(log_with=recorder))
    folder = train(arguments(tmp_path / "run", eval_every=3, log_with="recorder"), tiny_setup(), Evaluator())
    assert recorder.lines == log_lines(folder, timed=True)
    assert recorder.settings["steps"] == "7" and recorder.settings["output"] == "run"
    assert not any(str(tmp_path) in value for value in recorder.settings.values())
    assert recorder.finished


def test_a_tracker_that_writes_files_has_a_folder_in_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = []

    class Files(Recorder):
        requires_logging_directory = True

    def make(precision: str, log_with: str, project_config: Any) -> Accelerator:
        places.append(Path(project_config.logging_dir))
        return Accelerator(log_with=Files(), project_config=project_config)

    monkeypatch.setattr(loop, "get_available_trackers", lambda: ["recorder"])
    monkeypatch.setattr(loop, "new_accelerator", make)
    folder = train(arguments(tmp_path / "run", log_with="recorder"), tiny_setup())
    assert places == [folder / "trackers"]
    (folder / "trackers").mkdir()
    (folder / "trackers" / "events").write_text("of the earlier run")
    train(arguments(folder, log_with="recorder", overwrite=True), tiny_setup())
    assert not (folder / "trackers").exists()


def test_the_log_has_time_speed_memory_and_each_class(tmp_path: Path) -> None:
    def evaluate(*args: Any, **options: Any) -> SimpleNamespace:
        time.sleep(0.5)
        result = Evaluator()(*args, **options)
        result.metrics["IoU"] = {"cat's head": 12.5, "bus's door": math.nan}
        return result

    lines = log_lines(train(arguments(tmp_path / "run", eval_every=4), tiny_setup(), evaluate), timed=True)
    training = [line for line in lines if "loss" in line]
    evaluations = [line for line in lines if "eval_hIoU" in line]
    assert len(training) == 4 and len(evaluations) == 2
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds) and seconds[0] > 0
    assert seconds[-1] >= 1  # with both evaluations, which no speed includes
    assert all(line["images_per_second"] > 4 / 0.5 for line in training)
    assert all(0.01 < line["memory_gb"] < 100 for line in lines)
    assert all(
        {key: line[key] for key in line if "IoU/" in key} == {"eval_IoU/cat's head": 12.5} for line in evaluations
    )


def test_missing_tracker_is_named(tmp_path: Path) -> None:
    for name, words in (("carrier pigeon", ""), ("tensorbord", ".* Did you mean 'tensorboard'")):
        with pytest.raises(ConfigurationError, match=f"log_with is '{name}'{words}"):
            train(arguments(tmp_path / "run", log_with=name), tiny_setup())
    assert not (tmp_path / "run").exists()
