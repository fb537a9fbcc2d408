"""COCO's annotations of instances, where some categories are parts; also LVIS' and PACO's, and CVAT's export."""

from __future__ import annotations

import json
import mmap
import re
from collections import Counter
from collections.abc import Container, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from ...errors import DatasetError
from ...utils.files import brief, read_json
from ..problems import Problems
from .base import Annotation, ClassName, LabelledImage, Labels, Source, spelled
from .images import ImageFile, ImageFolder, image_ids, visible_files
from .names import parse_labels
from .shapes import Segmentation
from .splits import split_of

_LISTS = ("images", "annotations", "categories")
_WHOLE = ("id", "image_id", "category_id", "obj_ann_id", "object_id", "height", "width")  # also as 12.0 or "12"
_KEYS = {
    "images": {"id": (int, str), "file_name": str},  # or, in LVIS, "coco_url"
    "annotations": {"id": (int, str), "image_id": (int, str), "category_id": (int, str)},
    "categories": {"id": (int, str), "name": str},
}


class CocoReader:
    """Reads one file, or every such file in a folder; those called or lying in "train", "val" ... are splits.

    A crowd (`iscrowd`) is labelled like anything else, since labelling tools mark every mask of a brush so.
    """

    name: ClassVar[str] = "coco"
    options: ClassVar[tuple[str, ...]] = ("images",)
    summary: ClassVar[str] = "JSON of COCO, with polygons or run lengths"

    def recognises(self, source: Source) -> bool:
        """See `Reader`."""
        return any(_is_coco(path) for path in _json_files(source))

    def read(self, source: Source) -> Labels:
        """See `Reader`; an image that several files list has the annotations of all, in the order of the files."""
        paths = [path for path in _json_files(source) if _is_coco(path) or path == source.path]
        if not paths:
            raise DatasetError(f"{source.given} holds no JSON file of COCO (images, annotations, categories).")
        return _Reading(source).read(paths)


@dataclass
class _Listed:
    """An image of one or several files."""

    file: ImageFile
    split: str | None
    size: tuple[int, int] | None  # (height, width), if stated
    annotations: list[Annotation]


class _Reading:
    """What was found so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.labels = Labels()
        self.problems = self.labels.problems
        self.listed: dict[Path, _Listed] = {}
        self.folders: dict[Path, ImageFolder] = {}
        self.without_shape: list[str] = []
        self.crowds = 0

    def read(self, paths: list[Path]) -> Labels:
        for path in paths:
            self._read_file(path)
        ids = image_ids(listed.file.name for listed in self.listed.values())
        self.labels.images = [
            LabelledImage(image_id, listed.file, tuple(listed.annotations), listed.split, listed.size)
            for image_id, listed in zip(ids, self.listed.values())
        ]
        self.labels.classes = list(dict.fromkeys(self.labels.classes))
        self._add_notes()
        return self.labels

    def _read_file(self, path: Path) -> None:
        name = path.relative_to(self.source.root).as_posix()
        data = attempt_coco(path, name, self.problems)
        if data is None:
            return
        classes = self._classes(data["categories"], name)
        split = split_of(path.relative_to(self.source.root))
        images = {entry["id"]: self._image(entry, path, name, split) for entry in data["images"]}
        self._refuse_repeated(images, name)
        objects = _objects(data["annotations"], classes)
        for entry in data["annotations"]:
            label = f"annotation {brief(entry['id'])} of {name}"
            fault = _reference_fault(entry, images, classes, objects)
            if fault:
                self.problems.append(f"{_capital(label)} {fault}.")
            elif not entry.get("segmentation"):
                self.without_shape.append(label)
            elif images[entry["image_id"]] and (class_name := classes[entry["category_id"]]):
                instance = _instance(entry, class_name, name)
                annotation = Annotation(label, class_name, Segmentation(entry["segmentation"]), instance)
                images[entry["image_id"]].annotations.append(annotation)
                self.crowds += entry.get("iscrowd") in (1, True)

    def _classes(self, categories: list[dict[str, Any]], name: str) -> dict[Any, ClassName | None]:
        above = [str(entry.get("supercategory") or "") for entry in categories]
        classes = parse_labels([entry["name"] for entry in categories], name, self.problems, above)
        self.labels.classes += [class_name for class_name in classes if class_name]
        for class_name, count in Counter(filter(None, classes)).items():
            if count > 1:
                self.problems.append(f"{name} has {count} categories that are {spelled(class_name)!r}; keep one.")
        return dict(zip((entry["id"] for entry in categories), classes))

    def _image(self, entry: dict[str, Any], path: Path, name: str, split: str | None) -> _Listed | None:
        label = f"images[id {brief(entry['id'])}] of {name}"
        file = self.problems.attempt(self._find, entry["file_name"], path, label, split)
        if file is None:
            return None
        split = split or split_of(PurePosixPath(file.name).parent)
        size = stated_size(entry)
        listed = self.listed.setdefault(file.path, _Listed(file, split, size, []))
        if listed.split != split:
            self.problems.append(f"{file.name} is in both {listed.split or 'no split'} and {split or 'no split'}.")
        elif size is None or listed.size is None:
            listed.size = size or listed.size
        elif listed.size != size:
            self.problems.append(
                f"{label} says {size[1]} x {size[0]}, another entry {listed.size[1]} x {listed.size[0]}."
            )
        return listed

    def _refuse_repeated(self, images: dict[Any, _Listed | None], name: str) -> None:
        counts = Counter(listed.file.name for listed in images.values() if listed)
        repeated = [file for file, count in counts.items() if count > 1]
        self.problems.extend(f"{name} lists the image {brief(file)} more than once." for file in repeated)

    def _find(self, file_name: str, path: Path, label: str, split: str | None) -> ImageFile:
        """The image beside its file of annotations, as each split of some tools has both, or else anywhere."""
        root = self.source.images or self.source.root
        if self.source.images is None and path.parent != root:
            beside = path.parent.joinpath(file_name)
            if ".." not in beside.parts and beside in self._folder(root).known:
                return self._folder(root).file(beside)
        return self._folder(root).find(file_name, label, split)

    def _folder(self, root: Path) -> ImageFolder:
        if root not in self.folders:
            self.folders[root] = ImageFolder(root)
        return self.folders[root]

    def _add_notes(self) -> None:
        if self.without_shape:
            count, first = len(self.without_shape), ", ".join(self.without_shape[:10])
            self.labels.notes.append(f"Left out: annotations without a segmentation ({count:,}): {first}.")
        if self.crowds:
            self.labels.notes.append(f"Annotations marked iscrowd, which count like the others: {self.crowds:,}.")
        unlisted = sum(len(folder.files) for folder in self.folders.values()) - len(self.listed)
        if unlisted > 0:
            self.labels.notes.append(f"Left out: images that no label file lists ({unlisted:,}).")


def _json_files(source: Source) -> Iterator[Path]:
    path = source.path
    if path.is_dir():
        yield from (file for file in visible_files(path) if file.suffix.lower() == ".json")
    elif path.is_file() and path.suffix.lower() == ".json":
        yield path


def _is_coco(path: Path) -> bool:
    """Whether a file is a JSON object with the lists of COCO, by its text alone: some are of gigabytes."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            start = text[:100].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
            return start == b"{" and all(text.find(f'"{key}"'.encode()) >= 0 for key in _LISTS)
    except (OSError, ValueError):  # empty
        return False


def attempt_coco(path: Path, name: str, problems: Problems) -> dict[str, Any] | None:
    """`read_coco`, or None after noting each fault."""
    try:
        return read_coco(path, name)
    except DatasetError as error:
        problems.extend(str(error).splitlines())
        return None


def read_coco(path: Path, name: str) -> dict[str, Any]:
    """The lists of a file, each entry with the keys that are needed; a segmentation stays JSON text.

    A `DatasetError` has a line for each fault.
    """
    data = read_json(path, DatasetError, name=name, object_hook=_compact)
    if not isinstance(data, dict) or not all(isinstance(data.get(key), list) for key in _LISTS):
        raise DatasetError(f"{name} must be a JSON object with the lists {', '.join(map(repr, _LISTS))}.")
    faults = Problems()
    for key in _LISTS:
        ids = set()
        for position, entry in enumerate(data[key]):
            fault = _fault(entry, _KEYS[key], f"{key}[{position}] of {name}")
            if fault is None and entry["id"] in ids:
                fault = f"{name} uses the id {brief(entry['id'])} more than once in {key!r}."
            if fault:
                faults.append(fault)
            else:
                ids.add(entry["id"])
    if faults:
        raise DatasetError("\n".join(faults))
    return data


def stated_size(image: dict[str, Any]) -> tuple[int, int] | None:
    """(height, width) of an entry of `read_coco`; None if a tool left it out or wrote zeros."""
    return (image["height"], image["width"]) if image.get("height") and image.get("width") else None


def _compact(entry: dict[str, Any]) -> dict[str, Any]:
    """One spelling for what converters write in several: whole numbers, and a polygon that is not in a list."""
    if "file_name" not in entry and isinstance(entry.get("coco_url"), str):
        entry["file_name"] = "/".join(entry["coco_url"].split("/")[-2:])
    for key in _WHOLE:
        if type(entry.get(key)) in (float, str):
            entry[key] = _whole(entry[key])
    shape = entry.get("segmentation")
    if shape:
        is_flat = isinstance(shape, list) and type(shape[0]) in (int, float)
        entry["segmentation"] = json.dumps([shape] if is_flat else shape)
    return entry


def _whole(value: float | str) -> float | str | int:
    """12 for 12.0 and "12", which converters mix; anything else as it is."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    return int(value) if re.fullmatch(r"0|[1-9]\d{0,17}", value, re.ASCII) else value


def _fault(entry: Any, keys: dict[str, Any], name: str) -> str | None:
    for key, kinds in keys.items():
        value = entry.get(key) if isinstance(entry, dict) else None
        if type(value) not in (kinds if isinstance(kinds, tuple) else (kinds,)):  # true is an int too
            kind = "a text" if kinds is str else "a whole number or a text"
            return f"{name} needs {'an' if key[0] in 'aeiou' else 'a'} {key!r} that is {kind}."
    for side in ("height", "width") if "file_name" in keys else ():
        if not (entry.get(side) is None or (type(entry[side]) is int and entry[side] >= 0)):
            return f"{name} has the {side} {brief(entry[side])}; it must be a whole number, or be left out."
    return None


def _objects(annotations: list[dict[str, Any]], classes: dict[Any, ClassName | None]) -> dict[Any, tuple[Any, str]]:
    """The image and the class of each annotation of an object."""
    found = ((entry, classes.get(entry["category_id"])) for entry in annotations)
    return {e["id"]: (e["image_id"], class_name[0]) for e, class_name in found if class_name and class_name[1] is None}


def _reference_fault(
    entry: dict[str, Any],
    images: Container[Any],
    classes: dict[Any, ClassName | None],
    objects: dict[Any, tuple[Any, str]],
) -> str | None:
    """What an annotation refers to that is not there."""
    for key, known in (("image_id", images), ("category_id", classes)):
        if entry[key] not in known:
            return f"has the {key} {brief(entry[key])}, which is not listed"
    class_name, above = classes[entry["category_id"]], entry.get("obj_ann_id")
    if not class_name or class_name[1] is None or not isinstance(above, int | str) or above not in objects:
        return None
    image_id, object_name = objects[above]
    if image_id != entry["image_id"]:
        return f"belongs to annotation {brief(above)}, which is in another image"
    if object_name != class_name[0]:
        return f"is {spelled(class_name)!r}, but belongs to annotation {brief(above)}, which is {object_name!r}"
    return None


def _instance(entry: dict[str, Any], class_name: ClassName, name: str) -> Hashable | None:
    """What the annotations of one object share: in PACO the id of its own annotation, of `ovparts predict` a number."""
    for key in ("obj_ann_id", "object_id"):
        if type(entry.get(key)) in (int, str):
            return name, key, entry[key]
    return None if class_name[1] else (name, "obj_ann_id", entry["id"])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
