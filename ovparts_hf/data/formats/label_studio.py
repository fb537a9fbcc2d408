"""Label Studio's JSON, whole ("JSON") or short ("JSON-MIN"), and the files of its storages, one for each annotation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...errors import DatasetError
from ...utils.files import brief, read_json
from ..problems import left_out
from .base import Labels, Source
from .images import ImageFolder
from .label_studio_images import find_image
from .label_studio_regions import TaskRegions
from .regions import Sheet, add_sheets
from .sniffing import any_holds, label_files
from .splits import split_of

_PREDICTED = ("task", "with predictions only")


class LabelStudioReader:
    """Labels are "dog:ear", "dog's ear" or "dog/ear", or "dog" for a whole object.

    A relation between two regions, or one that lies in another in the list of regions, says which object a part
    belongs to. Predictions, skipped tasks and cancelled annotations are no labels. Of several annotations of a task the
    ground truth counts, or else the last one.
    """

    name: ClassVar[str] = "labelstudio"
    options: ClassVar[tuple[str, ...]] = ("images",)
    summary: ClassVar[str] = "JSON or JSON-MIN of Label Studio"

    def recognises(self, source: Source) -> bool:
        """See `Reader`."""
        forms = (("[", ('"result"', '"data"')), ("[", ('"annotation_id"',)), ("{", ('"result"', '"task"')))
        return any(any_holds(source, (".json",), opening, words) for opening, words in forms)

    def read(self, source: Source) -> Labels:
        """See `Reader`."""
        return _Reading(source).read()


@dataclass(frozen=True)
class _Task:
    """One image to be labelled, and the results of the annotation that counts; None if there is none."""

    name: str
    data: dict[str, Any]
    upload: str | None
    results: list[Any] | None
    split: str | None


class _Reading:
    """What was found so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.labels = Labels()
        self.counts: Counter[tuple[str, str]] = Counter()

    def read(self) -> Labels:
        tasks = [task for path in label_files(self.source, (".json",)) for task in self._tasks(path)]
        labelled = [task for task in tasks if task.results is not None]
        if not labelled and not self.labels.problems:
            raise DatasetError(self._nothing(bool(tasks)))
        folder = ImageFolder(self.source.images or self.source.root)
        sheets = [self.labels.problems.attempt(self._sheet, task, folder) for task in labelled]
        self.labels.notes += left_out(self.counts)
        return add_sheets(self.labels, [sheet for sheet in sheets if sheet], self.source.given)

    def _nothing(self, any_task: bool) -> str:
        if not any_task:
            return f"{self.source.given} holds no JSON of Label Studio, a list of tasks with annotations."
        predicted = " (predictions are no labels: accept them in Label Studio first)" * bool(self.counts[_PREDICTED])
        return f"No task of {self.source.given} has an annotation{predicted}. Submit annotations and export again."

    def _tasks(self, path: Path) -> Iterator[_Task]:
        name = path.relative_to(self.source.root).as_posix()
        data = self.labels.problems.attempt(_read, path, name)
        split = split_of(path.relative_to(self.source.root))
        for position, entry in enumerate(data or ()):
            task = self.labels.problems.attempt(self._task, entry, f"task {position} of {name}", split)
            if task is not None:
                yield task

    def _task(self, entry: Any, name: str, split: str | None) -> _Task:
        if not isinstance(entry, dict):
            raise DatasetError(f"Label Studio's {name} is {brief(entry)}; it must be a JSON object.")
        if isinstance(entry.get("id"), int):
            name = f"task {entry['id']} of {name.partition(' of ')[2]}"
        if "data" not in entry and "annotations" not in entry:
            return _short_task(entry, name, split)
        data, annotations = entry.get("data"), entry.get("annotations", entry.get("completions"))
        if not isinstance(data, dict):
            raise DatasetError(f"'data' of {name} must be a JSON object that names the image.")
        if not isinstance(annotations or [], list) or not all(isinstance(one, dict) for one in annotations or ()):
            raise DatasetError(f"'annotations' of {name} must be a list of JSON objects.")
        chosen = self._choose(annotations or [], bool(entry.get("predictions")))
        if chosen is not None and not isinstance(chosen.get("result"), list):
            raise DatasetError(f"'result' of {name} must be a list.")
        return _Task(name, data, entry.get("file_upload"), None if chosen is None else chosen["result"], split)

    def _choose(self, annotations: list[dict[str, Any]], predicted: bool) -> dict[str, Any] | None:
        kept = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
        self.counts["cancelled annotation", "of a task"] += len(annotations) - len(kept)
        if not kept:
            self.counts[_PREDICTED if predicted else ("task", "without an annotation")] += 1
            return None
        self.counts["annotation", "before the last one of a task, or beside its ground truth"] += len(kept) - 1
        return next((annotation for annotation in kept if annotation.get("ground_truth")), kept[-1])

    def _sheet(self, task: _Task, folder: ImageFolder) -> Sheet:
        image = find_image(task.data, task.upload, folder, task.name)
        regions = TaskRegions(task.name, self.labels.problems)
        regions.read(task.results or [])
        self.counts["region", "without a label"] += regions.unlabelled
        self.counts["region", "without an area"] += regions.without_area
        return Sheet(task.name, image, regions.regions, task.split, regions.size)


def _read(path: Path, name: str) -> list[Any]:
    """The tasks of a file; those of a file that is not Label Studio's are none."""
    data = read_json(path, DatasetError, name=name)
    if isinstance(data, dict) and isinstance(data.get("task"), dict) and "result" in data:
        return [{**data["task"], "annotations": [data]}]
    if isinstance(data, dict):
        return [data] if "annotations" in data and isinstance(data.get("data"), dict) else []
    return data if isinstance(data, list) else []


def _short_task(entry: dict[str, Any], name: str, split: str | None) -> _Task:
    """A task of JSON-MIN: the data are its texts; each list of objects is the result of one tag."""
    results = [
        {"id": f"{key}-{position}", "value": value, **_sizes(value)}
        for key, values in entry.items()
        if isinstance(values, list)
        for position, value in enumerate(values)
        if isinstance(value, dict)
    ]
    data = {key: value for key, value in entry.items() if isinstance(value, str)}
    return _Task(name, data, None, results, split)


def _sizes(value: dict[str, Any]) -> dict[str, Any]:
    return {key: value[key] for key in ("original_width", "original_height", "image_rotation") if key in value}
