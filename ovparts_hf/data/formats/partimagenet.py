"""PartImageNet: COCO files whose categories are parts of kinds of objects; an image's object is in its file name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import DatasetError
from ...utils.files import brief
from ..problems import left_out
from .base import Annotation, LabelledImage, Labels
from .coco import attempt_coco, stated_size
from .images import ImageFolder, image_ids
from .shapes import Segmentation

_FILES = {"train": "train", "validation": "val"}


@dataclass(frozen=True)
class PartImageNetLayout:
    """The facts about a release.

    `objects` gives the name of each synset of ImageNet ("n02510455"). `parts` are the names of the parts by category
    id, from 0, without the kind of object; the categories in the files are not read, since preparing the data for some
    code rewrites them. Training has only images of the objects `seen`.
    """

    folder_names: Sequence[str]
    objects: Mapping[str, str]
    parts: Sequence[str]
    seen: Sequence[str]
    entries: Sequence[str] = ("images", "annotations")

    def read(self, root: Path) -> Labels:
        """Lists the images; later annotations are painted over earlier ones, and an object is all of its parts."""
        labels, missing = Labels(), Counter[tuple[str, str]]()
        for split, name in _FILES.items():
            self._read_split(root, split, name, labels, missing)
        labels.notes += left_out(missing)
        return labels

    def _read_split(self, root: Path, split: str, name: str, labels: Labels, missing: Counter[tuple[str, str]]) -> None:
        path = _label_file(root, name)
        data = attempt_coco(path, path.relative_to(root).as_posix(), labels.problems)
        if data is None:
            return
        folder = ImageFolder(root / "images" / name)
        annotations: dict[Any, list[dict[str, Any]]] = {entry["id"]: [] for entry in data["images"]}
        for entry in data["annotations"]:
            annotations.setdefault(entry["image_id"], []).append(entry)
        chosen = [entry for entry in data["images"] if self._is_used(entry["file_name"], split, missing)]
        ids = image_ids(entry["file_name"] for entry in chosen)
        for image_id, entry in zip(ids, chosen):
            file = labels.problems.attempt(folder.find, entry["file_name"], f"{path.name}, image {brief(entry['id'])}")
            if file is not None:
                found = self._annotations(annotations[entry["id"]], _synset(entry["file_name"]), path, labels, missing)
                labels.images.append(LabelledImage(image_id, file, tuple(found), split, stated_size(entry)))

    def _is_used(self, file_name: str, split: str, missing: Counter[tuple[str, str]]) -> bool:
        name = self.objects.get(_synset(file_name))
        if name is None:
            missing["image", "of an object that is not part of the dataset"] += 1
        elif split == "train" and name not in self.seen:
            missing["training image", "of an unseen object"] += 1
        else:
            return True
        return False

    def _annotations(
        self,
        entries: Sequence[dict[str, Any]],
        synset: str,
        path: Path,
        labels: Labels,
        missing: Counter[tuple[str, str]],
    ) -> list[Annotation]:
        object_name, found = self.objects[synset], []
        for entry in entries:
            name = f"annotation {brief(entry['id'])} of {path.name}"
            category = entry["category_id"]
            if type(category) is not int or not 0 <= category < len(self.parts):
                allowed = f"they run from 0 to {len(self.parts) - 1}"
                labels.problems.append(f"The category_id of {name} is {brief(category)}; {allowed}.")
            elif not _has_outline(entry.get("segmentation")):
                missing["annotation", "without a polygon of three points"] += 1
            else:
                shape = Segmentation(entry["segmentation"])
                found.append(Annotation(name, (object_name, self.parts[category]), shape, object_name))
        return found


def _label_file(root: Path, name: str) -> Path:
    """Where the labels of a split are, before or after the data are prepared for the papers' code."""
    places = [f"{name}.json", f"annotations/{name}/{name}.json", f"annotations/{name}.json"]
    for place in places:
        if (root / place).is_file():
            return root / place
    raise DatasetError(f"{root} has no {name}.json, nor {places[1]}.")


def _synset(file_name: str) -> str:
    return PurePosixPath(file_name.replace("\\", "/")).name.partition("_")[0]


def _has_outline(segmentation: str | None) -> bool:
    """Whether there are run lengths or a polygon; what has neither is no label for the papers' code."""
    if not segmentation:
        return False
    shape = json.loads(segmentation)
    return not isinstance(shape, list) or any(
        not isinstance(polygon, list) or (len(polygon) >= 6 and len(polygon) % 2 == 0) for polygon in shape
    )
