"""The regions of one annotation of Label Studio: their shapes, labels and relations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import DatasetError
from ...utils.files import brief
from ..problems import Problems
from .base import Shape
from .names import SEPARATORS, separator_of
from .outlines import Ellipse, number, points, rectangle
from .regions import Region
from .run_lengths import BrushStrokes
from .shapes import RelativePolygons, Segmentation

_GEOMETRY = ("points", "rle", "radiusX", "width")
_WITHOUT_AREA = ("keypointlabels", "keypoint", "vectorlabels", "vector")
_OBJECT_NUMBER = re.compile(r"(.+) (\d+)")  # the note "dog 2" that `ovparts predict` writes to regions of one object


@dataclass
class _Entry:
    """What the results with one id say together: tools of several tags give the shape and its label one by one."""

    name: str
    result: dict[str, Any]
    labels: list[str]
    parent: str | None = None


class TaskRegions:
    """Collects the regions of a task in their order, and what is wrong with them."""

    def __init__(self, name: str, problems: Problems) -> None:
        self.name = name
        self.problems = problems
        self.regions: list[Region] = []
        self.size: tuple[int, int] | None = None  # (height, width) of the image that was labelled
        self.unlabelled = self.without_area = 0

    def read(self, results: list[Any]) -> None:
        """Reads `result` of an annotation."""
        relations: list[tuple[str, str]] = []  # from a part to its object
        entries: dict[str, _Entry] = {}
        for position, result in enumerate(results):
            name = f"region {position} of {self.name}"
            if not isinstance(result, dict):
                self.problems.append(f"Label Studio's {name} is {brief(result)}; it must be a JSON object.")
            elif result.get("type") == "relation":
                relations += _relation(result)
            elif isinstance(result.get("value"), dict):
                _merge(entries, result, str(result.get("id", position)), name)
        relations += [(key, entry.parent) for key, entry in entries.items() if entry.parent in entries]
        found: dict[str, list[Region]] = {}
        for key, entry in entries.items():
            found[key] = self.problems.attempt(self._regions, entry) or []
        _relate(found, relations)
        self.regions = [region for regions in found.values() for region in regions]

    def _regions(self, entry: _Entry) -> list[Region]:
        if entry.result.get("type") in _WITHOUT_AREA:
            self.without_area += 1
            return []
        if not any(key in entry.result["value"] for key in _GEOMETRY):
            return []  # a choice or a text about the whole image
        if not entry.labels:
            self.unlabelled += 1
            return []
        size = _size(entry.result, entry.name)
        if size is not None and self.size not in (None, size):
            raise DatasetError(f"The image of {entry.name} is {_format(size)}, in other regions {_format(self.size)}.")
        self.size = size or self.size
        shape = _shape(entry.result["value"], size, entry.name)
        instance = _object_number(entry.result)
        return [Region(entry.name, label, shape, instance) for label in entry.labels]


def _merge(entries: dict[str, _Entry], result: dict[str, Any], key: str, name: str) -> None:
    entry = entries.setdefault(key, _Entry(f"{name} ({brief(key)})", result, []))
    entry.labels += [label for label in _labels(result["value"]) if label not in entry.labels]
    if isinstance(result.get("parentID"), str):
        entry.parent = result["parentID"]


def _labels(value: dict[str, Any]) -> Iterator[str]:
    for key, labels in value.items():
        if key.endswith("labels") and isinstance(labels, list):
            yield from (label for label in labels if isinstance(label, str))


def _relation(result: dict[str, Any]) -> list[tuple[str, str]]:
    ends = str(result.get("from_id")), str(result.get("to_id"))
    return [ends[::-1] if result.get("direction") == "left" else ends]


def _relate(found: dict[str, list[Region]], relations: list[tuple[str, str]]) -> None:
    """Makes the regions of a relation one object; a part that does not name its object gets it from there."""
    separator = separator_of(region.label for regions in found.values() for region in regions) or ":"
    for part_id, object_id in relations:
        if _names_a_part(found.get(object_id, [])) and not _names_a_part(found.get(part_id, [])):
            part_id, object_id = object_id, part_id  # drawn the other way round
        for owner in found.get(object_id, [])[:1]:
            owner.instance = owner.instance or object_id
            for part in found.get(part_id, []):
                part.instance = owner.instance
                if not _names_a_part([part]) and not _names_a_part([owner]):
                    part.label = f"{owner.label}{separator}{part.label}"


def _names_a_part(regions: list[Region]) -> bool:
    return any(separator in region.label for region in regions for separator in SEPARATORS)


def _object_number(result: dict[str, Any]) -> str | None:
    meta = result.get("meta")
    texts = meta.get("text") if isinstance(meta, dict) else None
    for text in texts if isinstance(texts, list) else ():
        if isinstance(text, str) and (match := _OBJECT_NUMBER.fullmatch(text.strip())):
            return match[2]
    return None


def _size(result: dict[str, Any], name: str) -> tuple[int, int] | None:
    if result.get("image_rotation"):
        raise DatasetError(f"The image of {name} was turned in Label Studio. Turn the file itself and label it again.")
    size = (result.get("original_height"), result.get("original_width"))
    if not all(type(side) in (int, float) and 0 < side < 1e6 and side == int(side) for side in size):
        return None
    return int(size[0]), int(size[1])


def _shape(value: dict[str, Any], size: tuple[int, int] | None, name: str) -> Shape:
    """Outlines are in percent of the image's width and height, brushes in pixels."""
    if "points" in value:
        return RelativePolygons.of([[side / 100 for point in points(value["points"], name) for side in point]])
    if size is None:
        raise DatasetError(f"The size of the image of {name}, 'original_width' and 'original_height', is missing.")
    if "rle" in value:
        return BrushStrokes.of(value["rle"], *size, name)
    height, width = size
    scales = {"x": width, "width": width, "radiusX": width, "y": height, "height": height, "radiusY": height}
    pixels = {key: number(value[key], f"{key!r}", name) * scales[key] / 100 for key in scales if key in value}
    degrees = number(value.get("rotation") or 0, "'rotation'", name)
    if {"x", "y", "radiusX", "radiusY"} <= set(pixels):
        return Ellipse(pixels["x"], pixels["y"], pixels["radiusX"], pixels["radiusY"], degrees)
    if {"x", "y", "width", "height"} <= set(pixels):
        left, top = pixels["x"], pixels["y"]
        corners = rectangle(left, top, left + pixels["width"], top + pixels["height"], degrees, (left, top))
        return Segmentation.of([corners])
    raise DatasetError(f"The shape of {name} is not known. Use polygons, brushes, ellipses or rectangles.")


def _format(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
