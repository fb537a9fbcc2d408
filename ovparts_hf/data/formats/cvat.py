"""CVAT's own XML, "CVAT for images 1.1"."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import ClassVar
from xml.etree.ElementTree import Element

from ...errors import DatasetError
from ...utils.files import brief
from ..problems import Problems, left_out
from .base import Labels, Shape, Source
from .images import ImageFolder
from .outlines import Ellipse, number, rectangle
from .regions import Region, Sheet, add_sheets
from .run_lengths import runs_in_box
from .shapes import Segmentation
from .sniffing import any_holds, label_files
from .splits import split_of
from .xml_tree import read_xml

_SHAPES = ("polygon", "mask", "box", "ellipse")
_WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton", "tag")


class CvatReader:
    """Labels are "dog:ear", "dog's ear" or "dog/ear", or "dog" for a whole object; a group is one object.

    Shapes are painted by their `z_order`, those of one level in the order of the file.
    """

    name: ClassVar[str] = "cvat"
    options: ClassVar[tuple[str, ...]] = ("images",)
    summary: ClassVar[str] = 'XML of CVAT, "CVAT for images 1.1"'

    def recognises(self, source: Source) -> bool:
        """See `Reader`."""
        return any_holds(source, (".xml",), "<", ("<annotations", "<image"))

    def read(self, source: Source) -> Labels:
        """See `Reader`; images without shapes are kept, shapes without an area left out."""
        labels, sheets, listed = Labels(), [], []
        folder = ImageFolder(source.images or source.root)
        missing: Counter[tuple[str, str]] = Counter()
        paths = label_files(source, (".xml",))
        for path in paths:
            name = path.relative_to(source.root).as_posix()
            root = labels.problems.attempt(_read, path, name)
            if root is None:
                continue
            listed += [element.text or "" for element in root.iterfind("./meta//labels/label/name")]
            for element in root.iterfind("image"):
                sheet = labels.problems.attempt(_sheet, element, name, folder)
                if sheet is not None:
                    sheet.split = split_of(Path(element.get("subset", ""))) or split_of(path.relative_to(source.root))
                    sheet.regions = _regions(element, sheet.name, labels.problems, missing)
                    sheets.append(sheet)
        if not sheets and not labels.problems:
            raise DatasetError(f"{source.given} holds no XML of CVAT with images. Export it as CVAT for images 1.1.")
        labels.notes += left_out(missing)
        return add_sheets(labels, sheets, source.given, listed)


def _read(path: Path, name: str) -> Element:
    root = read_xml(path, name)
    if root.tag != "annotations":
        raise DatasetError(f"{name} is <{root.tag[:50]}>, not <annotations> as CVAT writes it.")
    if root.find("track") is not None:
        raise DatasetError(f'{name} holds tracks of a video. Export the task as "CVAT for images 1.1".')
    return root


def _sheet(element: Element, file_name: str, folder: ImageFolder) -> Sheet:
    image_name = element.get("name", "")
    name = f"image {element.get('id', '?')} of {file_name}"
    size = [element.get(side, "") for side in ("height", "width")]
    stated = (int(size[0]), int(size[1])) if all(re.fullmatch(r"\d{1,6}", side) for side in size) else None
    return Sheet(name, folder.find(image_name, name), stated_size=stated)


def _regions(image: Element, image_name: str, problems: Problems, missing: Counter[tuple[str, str]]) -> list[Region]:
    """The shapes of an image, those painted last at the end."""
    levels: list[tuple[float, Region]] = []
    for position, element in enumerate(image):
        name = f"{element.tag} {position} of {image_name}"
        if element.tag in _WITHOUT_AREA:
            missing["shape", f"of type {element.tag!r}, without an area"] += 1
        elif element.tag in _SHAPES:
            shape = problems.attempt(_shape, element, name)
            level = problems.attempt(number, element.get("z_order", "0"), "'z_order'", name)
            label = element.get("label", "")
            if shape is not None and level is not None:
                levels.append((level, Region(name, label, shape, _group(element))))
    return [region for _, region in sorted(levels, key=lambda pair: pair[0])]


def _group(element: Element) -> str | None:
    group = element.get("group_id", "").strip()
    return None if group in ("", "0") else group


def _shape(element: Element, name: str) -> Shape:
    if element.tag == "polygon":
        return Segmentation.of([_polygon(element.get("points", ""), name)])
    if element.tag == "mask":
        left, top, width, height = (_whole(element, key, name) for key in ("left", "top", "width", "height"))
        return runs_in_box(element.get("rle", ""), left, top, height, width, name)
    degrees = number(element.get("rotation", "0"), "'rotation'", name)
    keys = ("xtl", "ytl", "xbr", "ybr") if element.tag == "box" else ("cx", "cy", "rx", "ry")
    values = [number(element.get(key), f"{key!r}", name) for key in keys]
    return Ellipse(*values, degrees) if element.tag == "ellipse" else Segmentation.of([rectangle(*values, degrees)])


def _polygon(text: str, name: str) -> list[float]:
    pairs = [pair.split(",") for pair in text.split(";") if pair.strip()]
    if any(len(pair) != 2 for pair in pairs):
        raise DatasetError(f"'points' of {name} is {brief(text)}; it must be like \"10.5,20;30,40;12,50\".")
    return [number(value, "A point", name) for pair in pairs for value in pair]


def _whole(element: Element, key: str, name: str) -> int:
    value = number(element.get(key), f"{key!r}", name)
    if value != int(value):
        raise DatasetError(f"{key!r} of {name} is {value}; it must be a whole number.")
    return int(value)
