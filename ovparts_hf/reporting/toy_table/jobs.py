"""One run of the table: it trains, scores, and stores what was measured. A finished one is not repeated."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...data.part_dataset import PartDataset
from ...evaluation.bootstrap import COUNTS_FILE, RESULT_FILE
from ...evaluation.evaluator import evaluate_model
from ...evaluation.results import current_versions
from ...metrics import ImageCounts
from ...models.loading import load_model
from ...training import TrainArguments, train, tune_prompts
from ...training.setup import TrainingSetup
from ...training.threads import cpu_threads
from ...utils.files import atomic_write
from .rows import Pretraining, Row, table_plan
from .side_by_side import LOG
from .starts import load_start
from .whole_objects import WholeObjects

RECORD = "record.json"
_CPU, _SETTINGS = "cpu_seconds.json", "settings.json"


@dataclass(frozen=True)
class PretrainingJob:
    """Learns whole objects, for the rows that start from there."""

    pretraining: Pretraining
    out: Path
    overrides: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"pretraining/{self.pretraining.name}"

    @property
    def folder(self) -> Path:
        return self.out / self.name

    @property
    def settings(self) -> dict[str, Any]:
        return _described(self._arguments)

    def carry_out(self) -> None:
        arguments, objects = self._arguments, WholeObjects()
        _begin(self)
        with _counted_cpu(self.folder, "training"), cpu_threads(arguments.threads):
            train(arguments, TrainingSetup.of(arguments, objects, objects))
        _write_record(self, arguments.steps)

    @property
    def _arguments(self) -> TrainArguments:
        return self.pretraining.settings(self.folder, self.overrides)


@dataclass(frozen=True)
class RowJob:
    """Trains and scores one row with one seed."""

    row: Row
    seed: int
    out: Path
    overrides: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.row.name}/seed-{self.seed}"

    @property
    def folder(self) -> Path:
        return self.out / self.name

    @property
    def settings(self) -> dict[str, Any]:
        prompts, arguments = self._arguments
        tuned = {} if prompts is None else {"prompt tuning": _described(prompts)}
        start = self.row.start if self._pretraining is None else self._pretraining.settings
        return {**_described(arguments), **tuned, "start": start}

    def carry_out(self) -> None:
        prompts, arguments = self._arguments
        pretrained = None if self._pretraining is None else self._pretraining.folder / "run" / "last"
        _begin(self)
        with cpu_threads(arguments.threads):
            if prompts is not None:
                with _counted_cpu(self.folder, "prompts"):
                    tune_prompts(prompts)
            with _counted_cpu(self.folder, "training"):
                train(arguments, None if self.row.start == "recipe" else load_start(arguments, pretrained))
            with _counted_cpu(self.folder, "scoring"):
                self._score(arguments)
        _write_record(self, arguments.steps)

    @property
    def _pretraining(self) -> PretrainingJob | None:
        name = self.row.pretraining
        return None if name is None else PretrainingJob(table_plan()["pretraining"][name], self.out, self.overrides)

    def _score(self, arguments: TrainArguments) -> None:
        dataset = PartDataset.load(arguments.data)
        counts = ImageCounts(len(dataset.taxonomy.part_classes))
        model = load_model(Path(arguments.output) / "last")
        result = evaluate_model(*model, dataset, arguments.task, seed=self.seed, image_counts=counts)
        counts.save(self.folder / COUNTS_FILE)
        result.to_json(self.folder / RESULT_FILE)

    @property
    def _arguments(self) -> tuple[Any, TrainArguments]:
        return self.row.settings(self.out / "data", self.folder, self.seed, self.overrides)


Job = PretrainingJob | RowJob


def is_done(job: Job) -> bool:
    """Whether a job was finished with the same settings."""
    settings = job.settings  # which refuses what cannot be used, whatever is there
    return (job.folder / RECORD).is_file() and read_record(job)["settings"] == settings


def read_record(job: Job) -> dict[str, Any]:
    """What a finished job has stored: `settings`, `steps`, `cpu_seconds` by what took them, and `versions`."""
    return json.loads((job.folder / RECORD).read_text(encoding="utf-8"))


def _begin(job: Job) -> None:
    """Takes up what was begun with the same settings, and removes what was with others."""
    path = job.folder / _SETTINGS
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != job.settings:
        for part in job.folder.iterdir():
            if part.is_dir():
                shutil.rmtree(part)
            elif part.name != LOG:
                part.unlink()
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(job.settings) + "\n", encoding="utf-8")


def _write_record(job: Job, steps: int) -> None:
    record = {
        "settings": job.settings,
        "steps": steps,
        "cpu_seconds": _read_cpu(job.folder),
        "versions": current_versions(),
    }
    with atomic_write(job.folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _described(arguments: Any) -> dict[str, Any]:
    """Settings as JSON has them, without places."""
    places = {"data", "output", "cache", "resume"}
    values = {key: value for key, value in asdict(arguments).items() if key not in places}
    for key in ("model", "prompts"):
        if Path(str(values.get(key))).is_absolute() or os.sep in str(values.get(key)):
            values[key] = Path(values[key]).name
    return json.loads(json.dumps(values))


@contextmanager
def _counted_cpu(folder: Path, what: str) -> Iterator[None]:
    """Adds the CPU seconds of a block, also of one that is interrupted, to those that the folder has stored."""
    begin = sum(os.times()[:4])
    try:
        yield
    finally:
        spent = _read_cpu(folder)
        spent[what] = spent.get(what, 0.0) + sum(os.times()[:4]) - begin
        with atomic_write(folder / _CPU) as temporary:
            temporary.write_text(json.dumps(spent) + "\n", encoding="utf-8")


def _read_cpu(folder: Path) -> dict[str, float]:
    path = folder / _CPU
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
