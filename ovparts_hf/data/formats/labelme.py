"""LabelMe: a JSON file for each image."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...errors import DatasetError
from ...utils.files import brief, name_fault, read_json
from ..problems import left_out
from .base import ImageData, Labels, Shape, Source
from .images import ImageBytes, ImageFile, ImageFolder, label_values
from .outlines import Ellipse, points, rectangle
from .regions import Region, Sheet, add_sheets
from .shapes import Bitmap, Segmentation
from .sniffing import any_holds, label_files
from .splits import split_of

_POLYGONS = ("polygon", "oriented_rectangle", "rotation")  # the last is that of a relative of LabelMe
_WITHOUT_AREA = ("point", "points", "line", "linestrip")


class LabelMeReader:
    """Labels are "dog:ear", "dog's ear" or "dog/ear", or "dog" for a whole object; a group is one object."""

    name: ClassVar[str] = "labelme"
    options: ClassVar[tuple[str, ...]] = ("images",)
    summary: ClassVar[str] = "a JSON file of LabelMe for each image"

    def recognises(self, source: Source) -> bool:
        """See `Reader`."""
        return any_holds(source, (".json",), "{", ('"shapes"', '"imagePath"'))

    def read(self, source: Source) -> Labels:
        """See `Reader`; JSON files without shapes, and images without a file, are left out."""
        labels, sheets, others = Labels(), [], 0
        folder = ImageFolder(source.images or source.root)
        missing: Counter[tuple[str, str]] = Counter()
        for path in label_files(source, (".json",)):
            name = path.relative_to(source.root).as_posix()
            data = labels.problems.attempt(_read, path, name)
            if data is not None and "shapes" not in data:
                others += 1
            elif data is not None:
                sheet = labels.problems.attempt(_sheet, data, path, name, folder)
                if sheet is not None:
                    sheet.split = split_of(path.relative_to(source.root))
                    sheet.regions = _regions(data["shapes"], name, labels, missing)
                    sheets.append(sheet)
        if not sheets and not labels.problems:
            raise DatasetError(f"{source.given} holds no JSON file of LabelMe (with 'shapes' and 'imagePath').")
        missing["JSON file", "without 'shapes', so not of LabelMe"] = others
        labelled = {sheet.image.path for sheet in sheets if isinstance(sheet.image, ImageFile)}
        missing["image", "without a file of LabelMe"] = len(folder.known - labelled)
        labels.notes += left_out(missing)
        return add_sheets(labels, sheets, source.given)


@dataclass(frozen=True)
class _Mask:
    """The mask of a box, a PNG in base64; the corners of the box are pixels that belong to it."""

    text: str
    left: int
    top: int
    size: tuple[int, int]  # (height, width)

    def mask(self, height: int, width: int, name: str) -> np.ndarray:
        """See `Shape.mask`."""
        values = label_values(_decoded(self.text, f"the mask of {name}"), f"The mask of {name}")
        if values.shape != self.size:
            sizes = f"is {values.shape[1]} x {values.shape[0]} pixels, but its two points span"
            raise DatasetError(f"The mask of {name} {sizes} {self.size[1]} x {self.size[0]}, both included.")
        return Bitmap.of(values != 0, self.left, self.top).mask(height, width, name)


def _read(path: Path, name: str) -> dict[str, Any]:
    data = read_json(path, DatasetError, name=name)
    return data if isinstance(data, dict) else {}


def _sheet(data: dict[str, Any], path: Path, name: str, folder: ImageFolder) -> Sheet:
    if not isinstance(data["shapes"], list):
        raise DatasetError(f"'shapes' of {name} must be a list.")
    size = (data.get("imageHeight"), data.get("imageWidth"))
    known = all(type(side) is int and side > 0 for side in size)
    return Sheet(name, _image(data, path, name, folder), stated_size=size if known else None)


def _image(data: dict[str, Any], path: Path, name: str, folder: ImageFolder) -> ImageData:
    """The file that was labelled, of which LabelMe embeds a compressed copy; or else that copy."""
    file_name, embedded = data.get("imagePath"), data.get("imageData")
    if not isinstance(file_name, str) or name_fault(file_name):
        raise DatasetError(f"'imagePath' of {name} is {brief(file_name)}; it must be the path of the image.")
    file_name = file_name.replace("\\", "/")
    beside = (path.parent / file_name).resolve()
    if beside in folder.known:
        return folder.file(beside)
    try:
        return folder.find(Path(file_name).name, name)
    except DatasetError:
        if not isinstance(embedded, str):
            raise
    return ImageBytes(
        _decoded(embedded, f"'imageData' of {name}"), Path(name).with_name(Path(file_name).name).as_posix()
    )


def _decoded(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DatasetError(f"Not base64: {name}. Save the labels again.") from error


def _regions(shapes: list[Any], file_name: str, labels: Labels, missing: Counter[tuple[str, str]]) -> list[Region]:
    regions = []
    for position, entry in enumerate(shapes):
        name = f"shape {position} of {file_name}"
        kind = entry.get("shape_type") or "polygon" if isinstance(entry, dict) else None
        if kind in _WITHOUT_AREA:
            missing["shape", f"of type {kind!r}, without an area"] += 1
            continue
        region = labels.problems.attempt(_region, entry, kind, name)
        if region is not None:
            regions.append(region)
    return regions


def _region(entry: Any, kind: Any, name: str) -> Region:
    if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
        raise DatasetError(f"The 'label' of {name} must be a text, such as \"dog:ear\".")
    return Region(name, entry["label"], _shape(entry, kind, name), _group(entry.get("group_id"), name))


def _group(group: Any, name: str) -> Hashable | None:
    if group is not None and type(group) not in (int, str):
        raise DatasetError(f"The group_id of {name} is {brief(group)}; it must be a whole number, or null.")
    return group


def _shape(entry: dict[str, Any], kind: Any, name: str) -> Shape:
    outline = points(entry.get("points"), name)
    if kind in _POLYGONS:
        return Segmentation.of([[value for point in outline for value in point]])
    if kind == "rectangle" and len(outline) == 4:
        return Segmentation.of([[value for point in outline for value in point]])
    if kind not in ("rectangle", "circle", "mask"):
        allowed = ", ".join(("polygon", "rectangle", "circle", "mask"))
        raise DatasetError(f"The shape_type of {name} is {brief(kind)}; allowed are {allowed}.")
    if len(outline) != 2:
        raise DatasetError(f"There are {len(outline)} points in {name}; a {kind} has two.")
    (x, y), (other_x, other_y) = outline
    if kind == "circle":  # its centre and a point on it
        radius = float(np.hypot(other_x - x, other_y - y))
        return Ellipse(x, y, radius, radius)
    if kind == "rectangle":
        return Segmentation.of([rectangle(min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y))])
    if not isinstance(entry.get("mask"), str):
        raise DatasetError(f"The 'mask' of {name} must be a PNG in base64.")
    size = int(other_y) - int(y) + 1, int(other_x) - int(x) + 1
    return _Mask(entry["mask"], int(x), int(y), size)
