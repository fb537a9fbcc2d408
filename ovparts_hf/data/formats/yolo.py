"""YOLO's segmentation labels: a text file of polygons for each image, and a YAML file with the names of the classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import yaml

from ...errors import DatasetError
from ...utils.files import brief, first_line
from ...utils.images import image_suffixes
from ..problems import Problems
from .base import Labels, Source, spelled
from .images import ImageFile, ImageFolder, visible_files
from .name_files import find_name_file, names_of_taxonomy, numbers, read_name_file
from .outlines import number
from .regions import Region, Sheet, add_sheets
from .shapes import RelativePolygons
from .splits import split_of

_YAML = (".yaml", ".yml")
_LARGEST_YAML = 2**20  # bytes
_SPLITS = {"train": "train", "val": "validation", "test": "test"}  # keys of the YAML file


class YoloReader:
    """Names are "dog:ear", "dog's ear" or "dog/ear", or "dog" for a whole object.

    The labels of "images/train/a.jpg" are "labels/train/a.txt", those of an image in a folder of another name lie
    beside it. A line is the number of a class and the x and y of each point, from 0 to 1.
    """

    name: ClassVar[str] = "yolo"
    options: ClassVar[tuple[str, ...]] = ("images", "names")
    summary: ClassVar[str] = "text files with the polygons of YOLO, and data.yaml with the names"

    def recognises(self, source: Source) -> bool:
        """See `Reader`."""
        return any("names" in _quietly(path) for path in _yaml_files(source)) or (
            source.path.is_dir() and find_name_file(source.root) is not None and _has_labels(source)
        )

    def read(self, source: Source) -> Labels:
        """See `Reader`; an image without a text file, or with an empty one, has no labels and is kept."""
        labels = Labels()
        names, splits = _names(source, labels.problems)
        folder = ImageFolder(source.images or source.root)
        given = _listed_splits(splits, folder, source, labels)
        texts = {path for path in visible_files(source.root) if path.suffix.lower() == ".txt"}
        sheets = []
        for path in folder.files:
            image = folder.file(path)
            text = next((text for text in _label_paths(path, folder, source) if text in texts), None)
            name = text.relative_to(source.root).as_posix() if text else f"the labels of {image.name}"
            regions = _regions(text, name, names, labels.problems) if text else []
            split = given.get(path) or split_of(PurePosixPath(image.name).parent)
            sheets.append(Sheet(name, image, regions, split))
            texts.discard(text)
        _report_without_image(texts, source, sheets, labels.problems)
        return add_sheets(labels, sheets, source.given, list(names.values()))


def _yaml_files(source: Source) -> list[Path]:
    path = source.path
    if path.is_dir():
        return [file for file in sorted(path.iterdir()) if file.suffix.lower() in _YAML and file.is_file()]
    return [path] if path.suffix.lower() in _YAML and path.is_file() else []


def _has_labels(source: Source) -> bool:
    """Whether text files are called like images."""
    files = visible_files(source.root)
    images = {path.stem for path in files if path.suffix.lower() in image_suffixes()}
    return any(path.suffix.lower() == ".txt" and path.stem in images for path in files)


def _quietly(path: Path) -> Mapping[str, Any]:
    try:
        return _read_yaml(path)
    except DatasetError:
        return {}


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_YAML:
            raise DatasetError(f"{path.name} is larger than {_LARGEST_YAML:,} bytes, too large for names of classes.")
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path.name} is not valid YAML: {first_line(error)}.") from error
    return data if isinstance(data, Mapping) else {}


def _names(source: Source, problems: Problems) -> tuple[dict[int, str], Mapping[str, Any]]:
    """The labels by number, and what the YAML file says about splits."""
    path = source.names
    data: Mapping[str, Any] = {}
    for file in [path] if path is not None and path.suffix.lower() in _YAML else _yaml_files(source):
        data = _read_yaml(file)
        if "names" in data:
            found = _names_in_yaml(data["names"], file.name)
            if path is None or path == file:
                return found, data
            break
    if path is None:
        path = find_name_file(source.root)
    if path is not None:
        return {key: named.label for key, named in numbers(read_name_file(path, path.name, problems)).items()}, data
    if source.taxonomy is not None:
        listed = numbers(names_of_taxonomy(source.taxonomy))
        return {key: spelled(named.class_name) for key, named in listed.items() if named.class_name}, data
    raise DatasetError(
        f"Nothing names the classes in {source.given}: put a data.yaml with 'names' there, or name a file with --names."
    )


def _names_in_yaml(names: Any, file_name: str) -> dict[int, str]:
    pairs = list(names.items() if isinstance(names, Mapping) else enumerate(names if isinstance(names, list) else ()))
    pairs = [(int(key) if isinstance(key, str) and re.fullmatch(r"\d{1,9}", key) else key, name) for key, name in pairs]
    if not pairs or not all(type(key) is int and isinstance(name, str | int | float) for key, name in pairs):
        raise DatasetError(f"'names' of {file_name} must be a list of names, or a number and a name for each class.")
    return {key: str(name) for key, name in sorted(pairs)}


def _label_paths(image: Path, folder: ImageFolder, source: Source) -> list[Path]:
    """Where the labels of an image may be: in "labels" instead of the last "images" of its path, or beside it."""
    parts = image.relative_to(folder.root).with_suffix(".txt").parts
    places = [parts]
    for i in reversed(range(len(parts) - 1)):
        if parts[i].lower() == "images":
            places.insert(0, (*parts[:i], "labels", *parts[i + 1 :]))
            break
    places += [("labels", *place) for place in (parts, parts[-1:])]
    return [source.root.resolve().joinpath(*place) for place in places]


def _listed_splits(data: Mapping[str, Any], folder: ImageFolder, source: Source, labels: Labels) -> dict[Path, str]:
    """The split of each image in a folder, or on a list, that the YAML file names; what is on another disk is not."""
    found: dict[Path, set[str]] = {}
    for key, split in _SPLITS.items():
        values = data.get(key)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str) and value.strip():
                for path in _images_of(value, folder, source, f"{key!r} of the YAML file", labels.problems):
                    found.setdefault(path, set()).add(split)
    if several := sum(len(splits) > 1 for splits in found.values()):
        labels.notes.append(f"The YAML file has {several:,} images in several splits, which does not count.")
    return {path: next(iter(splits)) for path, splits in found.items() if len(splits) == 1}


def _images_of(value: str, folder: ImageFolder, source: Source, name: str, problems: Problems) -> list[Path]:
    parts = tuple(part for part in PurePosixPath(value.replace("\\", "/")).parts if part not in ("..", ".", "/"))
    if not value.lower().endswith(".txt"):
        inside = {path: path.relative_to(folder.root).parts for path in folder.files}
        return [path for path, own in inside.items() if parts and own[: len(parts)] == parts]
    listing = source.root.resolve().joinpath(*parts)
    if listing not in visible_files(source.root):
        problems.append(f"{name} is {brief(value)}, which is not in {source.root}.")
        return []
    lines = [line.strip() for line in _text(listing, listing.name).splitlines() if line.strip()]
    images = [problems.attempt(folder.find, line.removeprefix("./"), listing.name) for line in lines]
    return [image.path for image in images if image is not None]


def _text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{name} cannot be read: {first_line(error)}.") from error


def _regions(path: Path, name: str, names: Mapping[int, str], problems: Problems) -> list[Region]:
    text = problems.attempt(_text, path, name) or ""
    lines = [(i, line.split()) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
    found = [problems.attempt(_region, line, f"line {i} of {name}", names) for i, line in lines]
    return [region for region in found if region is not None]


def _region(line: list[str], name: str, names: Mapping[int, str]) -> Region:
    try:
        label = names[int(line[0])]
    except (ValueError, KeyError) as error:
        raise DatasetError(
            f"The class in {name} is {brief(line[0])}; the names are numbered {_range(names)}."
        ) from error
    if len(line) == 5:
        raise DatasetError(f"There is a box in {name}, not a polygon. Export the labels for segmentation.")
    if len(line) < 7 or len(line) % 2 == 0:
        raise DatasetError(f"There are {len(line) - 1} numbers in {name}; a polygon has two for each of its points.")
    values = [number(value, "A point", name) for value in line[1:]]
    if max(map(abs, values)) > 2:
        raise DatasetError(f"A point of {name} is {max(values, key=abs)}; points are shares of the image, from 0 to 1.")
    return Region(name, label, RelativePolygons.of([values]))


def _range(names: Mapping[int, str]) -> str:
    return f"from {min(names)} to {max(names)}"


def _report_without_image(texts: set[Path], source: Source, sheets: list[Sheet], problems: Problems) -> None:
    """Text files in a folder of labels that belong to no image."""
    folders = {Path(sheet.image.name).parent for sheet in sheets if isinstance(sheet.image, ImageFile)}
    for path in sorted(texts):
        own = path.relative_to(source.root.resolve())
        if any(part.lower() == "labels" for part in own.parts[:-1]) and folders:
            problems.append(f"{own.as_posix()} has no image of its name.")
