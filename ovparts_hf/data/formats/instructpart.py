"""InstructPart: a mask for each part that an instruction asks for, named after its image, object and part."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from ...errors import DatasetError
from ...utils.files import brief, read_json
from .base import Labels, Source
from .images import ImageFile, ImageFolder
from .regions import Region, Sheet, add_sheets
from .shapes import MaskValues
from .sniffing import any_holds, holds, label_files
from .splits import split_of

_WORDS = ('"part_list"', '"image_path"')


class InstructPartReader:
    """Reads the "data_*.json" of each folder, with "images" and "masks" beside it.

    The training set comes in several sizes, each of which holds the smaller ones: the largest counts, and "all" only
    where nothing else is.
    """

    name: ClassVar[str] = "instructpart"
    options: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = "folders of InstructPart, with images, masks and data_*.json"

    def recognises(self, source: Source) -> bool:
        """See `Reader`."""
        return any_holds(source, (".json",), "[", _WORDS)

    def read(self, source: Source) -> Labels:
        """See `Reader`."""
        labels = Labels()
        entries: dict[Path, list[Any]] = {}
        for path in label_files(source, (".json",)):
            if holds(path, "[", _WORDS):
                entries[path] = labels.problems.attempt(_read, path, _name(path, source)) or []
        if not entries:
            raise DatasetError(
                f"{source.given} holds no JSON of InstructPart, a list with 'image_path' and 'part_list'."
            )
        chosen = _largest(entries, source)
        for path in entries.keys() - chosen.keys():
            labels.notes.append(f"{_name(path, source)} is left out, since a larger set is read.")
        sheets = []
        for path, split in chosen.items():
            images = labels.problems.attempt(ImageFolder, path.parent / "images")
            masks = labels.problems.attempt(ImageFolder, path.parent / "masks")
            for position, entry in enumerate(entries[path] if images and masks else ()):
                name = f"entry {position} of {_name(path, source)}"
                sheet = labels.problems.attempt(_sheet, entry, name, images, masks)
                if sheet is not None:
                    sheet.split = split
                    sheets.append(sheet)
        return add_sheets(labels, sheets, source.given)


def _name(path: Path, source: Source) -> str:
    return path.relative_to(source.root).as_posix()


def _read(path: Path, name: str) -> list[Any]:
    data = read_json(path, DatasetError, name=name)
    if not isinstance(data, list):
        raise DatasetError(f"{name} must be a JSON list.")
    return data


def _largest(entries: dict[Path, list[Any]], source: Source) -> dict[Path, str | None]:
    """The largest file of each split, with that split; the one without a split only if it is alone."""
    found: dict[str | None, Path] = {}
    for path in sorted(entries, key=lambda path: len(entries[path])):
        found[split_of(path.relative_to(source.root))] = path
    if len(found) > 1:
        found.pop(None, None)
    return {path: split for split, path in found.items()}


def _sheet(entry: Any, name: str, images: ImageFolder, masks: ImageFolder) -> Sheet:
    if not isinstance(entry, dict) or not isinstance(entry.get("image_path"), str):
        raise DatasetError(f"'image_path' of {name} must be the name of an image.")
    parts = entry.get("part_list")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise DatasetError(f"'part_list' of {name} is {brief(parts)}; it must be a list of JSON objects.")
    stem = Path(entry["image_path"].replace("\\", "/")).stem
    regions, endings = [], []
    for position, part in enumerate(parts):
        names = [part.get(key) for key in ("object", "part")]
        if not all(isinstance(text, str) and text.strip() for text in names):
            raise DatasetError(f"'object' and 'part' of {name}, part {position}, must be texts.")
        endings.append("-".join(re.sub(r"\s", "_", text) for text in names))
        mask = masks.find(f"{stem}-{endings[-1]}", name)
        regions.append(Region(mask.name, ":".join(text.replace("_", " ") for text in names), MaskValues(mask)))
    return Sheet(name, _image(entry["image_path"], stem, endings, images, name), regions)


def _image(file_name: str, stem: str, endings: list[str], images: ImageFolder, name: str) -> ImageFile:
    """The image itself, or the copy that is called like the mask of a part."""
    for candidate in (file_name, *(f"{stem}-{ending}" for ending in endings)):
        try:
            return images.find(candidate, name)
        except DatasetError:
            continue
    return images.find(file_name, name)  # which says what is wrong
