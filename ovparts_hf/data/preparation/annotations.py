"""The JSON files of a release: object instances in COCO's format, and the few-shot list."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import DatasetError
from ...utils.files import brief, read_json
from ..masks import box_of, encode_segmentation, is_box
from ..rows import Instance

_IMAGE_KEYS = {"id": int, "file_name": str, "height": int, "width": int}
_ANNOTATION_KEYS = {"id": int, "image_id": int, "category_id": int}


@dataclass(frozen=True)
class Annotation:
    """One annotation as the file gives it; `segmentation` stays JSON text, a tenth of the size of its numbers."""

    name: str
    category: int
    bbox: Any
    ignored: bool
    segmentation: str

    def to_instance(self, height: int, width: int, num_objects: int) -> Instance | None:
        """Decodes the annotation of an image of this size; None if no usable polygon is left."""
        if not 0 <= self.category < num_objects:
            allowed = f"object ids run from 0 to {num_objects - 1}"
            raise DatasetError(f"{self.name} has the unknown category_id {brief(self.category)}; {allowed}.")
        if self.ignored:
            raise DatasetError(f"{self.name} is marked with 'ignore', which the benchmark does not know. Remove it.")
        if self.bbox is not None and not is_box(self.bbox):
            raise DatasetError(
                f"{self.name} has bbox {brief(self.bbox)}; it must be four numbers: x, y, width, height."
            )
        mask = encode_segmentation(json.loads(self.segmentation), height, width, self.name)
        box = box_of(mask) if mask and self.bbox is None else self.bbox
        return None if mask is None else Instance(self.category, [float(number) for number in box], mask)


@dataclass(frozen=True)
class AnnotatedImage:
    """One image of an instance file with its annotations in file order."""

    file_name: str
    height: int
    width: int
    annotations: tuple[Annotation, ...]


def read_instances(path: Path, name: str) -> tuple[list[AnnotatedImage], list[str]]:
    """The images of a COCO instance file by ascending id, and every inconsistency between its entries."""
    data = read_json(path, DatasetError, name=name, object_hook=_compact)
    if not isinstance(data, dict) or not all(isinstance(data.get(key), list) for key in ("images", "annotations")):
        raise DatasetError(f"{name} must be a JSON object with the lists 'images' and 'annotations'.")
    for position, entry in enumerate(data["images"]):
        _check_entry(entry, _IMAGE_KEYS, f"images[{position}] of {name}")
    for position, entry in enumerate(data["annotations"]):
        _check_entry(entry, _ANNOTATION_KEYS | {"segmentation": str}, f"annotations[{position}] of {name}")
    annotations = defaultdict(list)
    for entry in data["annotations"]:
        label, ignored = f"Annotation {brief(entry['id'])} of {name}", entry.get("ignore", 0) != 0
        annotation = Annotation(label, entry["category_id"], entry.get("bbox"), ignored, entry["segmentation"])
        annotations[entry["image_id"]].append(annotation)
    images = [
        AnnotatedImage(entry["file_name"], entry["height"], entry["width"], tuple(annotations[entry["id"]]))
        for entry in sorted(data["images"], key=lambda entry: entry["id"])
    ]
    return images, _inconsistencies(data, name)


def read_few_shot_list(path: Path, name: str) -> list[str]:
    """The images of the few-shot training set, each once and in file order, such as "train/2008_000001.jpg".

    Only what follows `images/` counts, since the rest depends on its author's disk; without `images/`, the file name.
    """
    entries = read_json(path, DatasetError, name=name)
    if not isinstance(entries, list):
        raise DatasetError(f"{name} must be a JSON list of objects with a 'file_name'.")
    for position, entry in enumerate(entries):
        _check_entry(entry, {"file_name": str}, f"Entry {position} of {name}")
    paths = [entry["file_name"].replace("\\", "/") for entry in entries]
    return list(dict.fromkeys(_after_images(path) for path in paths))


def _after_images(path: str) -> str:
    before, separator, after = path.rpartition("images/")
    return after if separator and before[-1:] in ("", "/") else PurePosixPath(path).name


def _compact(entry: dict[str, Any]) -> dict[str, Any]:
    if "segmentation" in entry:
        entry["segmentation"] = json.dumps(entry["segmentation"])
    return entry


def _check_entry(entry: Any, keys: dict[str, type], name: str) -> None:
    for key, kind in keys.items():
        if not isinstance(entry, dict) or type(entry.get(key)) is not kind:  # true is an int too
            raise DatasetError(f"{name} needs a {key!r} of type {kind.__name__}.")


def _inconsistencies(data: dict[str, Any], name: str) -> list[str]:
    known = {entry["id"] for entry in data["images"]}
    return [
        *(
            f"{name} lists image id {brief(i)} more than once."
            for i in _repeated(entry["id"] for entry in data["images"])
        ),
        *(f"{name} lists {brief(file)} more than once." for file in _repeated(e["file_name"] for e in data["images"])),
        *(
            f"{name} uses annotation id {brief(i)} more than once."
            for i in _repeated(e["id"] for e in data["annotations"])
        ),
        *(
            f"Annotation {brief(entry['id'])} of {name} belongs to image id {brief(entry['image_id'])}, "
            "which is not listed."
            for entry in data["annotations"]
            if entry["image_id"] not in known
        ),
    ]


def _repeated(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]
