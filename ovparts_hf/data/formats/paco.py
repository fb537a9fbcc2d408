"""PACO-LVIS: COCO files in which an object and its parts share `obj_ann_id`, on images of COCO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DatasetError
from ...utils.files import brief
from ..problems import left_out
from .base import Annotation, ClassName, LabelledImage, Labels
from .coco import attempt_coco, stated_size
from .images import ImageFolder, image_ids
from .shapes import Segmentation

_FILES = {"train": "paco_lvis_v1_train.json", "validation": "paco_lvis_v1_val.json"}
_TEST = "paco_lvis_v1_test.json"


@dataclass(frozen=True)
class PacoLayout:
    """The facts about a release; "train2017" and "val2017" of COCO are at any depth of the top folder."""

    folder_names: Sequence[str] = ("paco", "paco_lvis", "paco_lvis_v1")
    entries: Sequence[str] = (*_FILES.values(), "annotations", _TEST)

    def read(self, root: Path) -> Labels:
        """Lists the images; those of the test split are validated on if there are no others."""
        labels, folder = Labels(), ImageFolder(root)
        for split, name in _FILES.items():
            path = _label_file(root, name)
            if path is None and split == "validation":
                path = _label_file(root, _TEST)
            if path is None:
                raise DatasetError(f"{root} has no {name}, nor annotations/{name}.")
            _read_file(path, split, folder, labels)
        if _label_file(root, _FILES["validation"]) and _label_file(root, _TEST):
            labels.notes.append(f"{_TEST} is left out. To validate on it, take {_FILES['validation']} away.")
        return labels


def _label_file(root: Path, name: str) -> Path | None:
    return next((path for path in (root / name, root / "annotations" / name) if path.is_file()), None)


def _read_file(path: Path, split: str, folder: ImageFolder, labels: Labels) -> None:
    data = attempt_coco(path, path.name, labels.problems)
    if data is None:
        return
    classes = {entry["id"]: _class_name(entry["name"]) for entry in data["categories"]}
    annotations: dict[Any, list[Annotation]] = {entry["id"]: [] for entry in data["images"]}
    missing: Counter[tuple[str, str]] = Counter()
    for entry in data["annotations"]:
        name = f"annotation {brief(entry['id'])} of {path.name}"
        if entry["category_id"] not in classes or entry["image_id"] not in annotations:
            ids = f"image_id {brief(entry['image_id'])} and category_id {brief(entry['category_id'])}"
            labels.problems.append(f"The {ids} of {name} must both be listed.")
        elif not entry.get("segmentation"):
            missing["annotation", f"of {path.name} without a segmentation"] += 1
        else:
            owner = entry.get("obj_ann_id", entry["id"])
            shape = Segmentation(entry["segmentation"])
            annotations[entry["image_id"]].append(Annotation(name, classes[entry["category_id"]], shape, owner))
    labels.notes += left_out(missing)
    for image_id, entry in zip(image_ids(entry["file_name"] for entry in data["images"]), data["images"]):
        file = labels.problems.attempt(folder.find, entry["file_name"], f"{path.name}, image {brief(entry['id'])}")
        if file is not None:
            found = tuple(annotations[entry["id"]])
            labels.images.append(LabelledImage(image_id, file, found, split, stated_size(entry)))


def _class_name(category: str) -> ClassName:
    """ "car_(automobile):antenna" is the antenna of a "car (automobile)"."""
    object_name, separator, part_name = category.replace("_", " ").partition(":")
    return object_name, part_name if separator else None
