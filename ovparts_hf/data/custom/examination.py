"""Looks at every image of labelled data before anything is written: what is wrong, and how much there is of what."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ...errors import DatasetError
from ...taxonomy import PartTaxonomy
from ...utils.files import brief, name_fault
from ...utils.images import check_header, decode_image, image_size
from ..formats.base import ClassName, LabelledImage
from ..masks import LabelMap, present_labels
from ..problems import Problems
from ..rows import instance_row
from .classes import ClassIds
from .drawing import Drawing, draw


@dataclass
class Examined:
    """What one image holds."""

    problems: Problems = field(default_factory=Problems)
    size: tuple[int, int] = (0, 0)
    parts: tuple[int, ...] = ()  # ids in the part map
    objects: Counter[int] = field(default_factory=Counter)  # object id -> instances
    overlaps: Counter[tuple[int, int]] = field(default_factory=Counter)
    empty: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    extended: int = 0
    image_digest: str = ""
    labels_digest: str = ""


@dataclass(frozen=True)
class Painter:
    """Makes the row of an image; it can be pickled, as the rows are made in several processes."""

    taxonomy: PartTaxonomy
    ids: dict[ClassName, ClassIds]

    def examine(self, image: LabelledImage) -> Examined:
        """Decodes the image and its labels."""
        found = Examined()
        data = found.problems.attempt(image.image.read)
        size = None if data is None else found.problems.attempt(self._size, image, data)
        if data is None or size is None:
            return found
        drawing = draw(image, size, self.taxonomy, self.ids, found.problems)
        found.size, found.overlaps, found.empty, found.extended = (
            size,
            drawing.overlaps,
            drawing.empty,
            drawing.extended,
        )
        found.cut = drawing.cut
        found.parts = tuple(present_labels(drawing.part_map, self.taxonomy.ignore_index))
        found.objects = Counter(object_id for object_id, _ in drawing.objects)
        found.image_digest = hashlib.sha256(data).hexdigest()
        found.labels_digest = _digest(drawing)
        return found

    def row(self, image: LabelledImage) -> dict[str, Any]:
        """The row of an image; `DatasetError` if it can no longer be read."""
        problems = Problems()
        data = image.image.read()
        drawing = draw(image, self._size(image, data), self.taxonomy, self.ids, problems)
        if problems:
            raise DatasetError(problems[0])
        part_map = LabelMap.from_array(drawing.part_map)
        suffix = PurePosixPath(image.image.name).suffix.lower() or ".jpg"
        return instance_row(image.image_id, data, part_map, drawing.instances, self.taxonomy, suffix)

    def preview(self, image: LabelledImage) -> tuple[Any, Any]:
        """The image, upright RGB, and its part map (H, W)."""
        data = image.image.read()
        drawing = draw(image, self._size(image, data), self.taxonomy, self.ids, Problems())
        return decode_image(data), drawing.part_map

    def _size(self, image: LabelledImage, data: bytes) -> tuple[int, int]:
        """(height, width), after seeing that the file is whole and that the labels are for it."""
        name = image.image.name
        if fault := name_fault(image.image_id):
            raise DatasetError(f"The name of {name!r} {fault}. Rename the image.")
        check_header(data, name)
        size = image_size(data, name)
        if image.stated_size not in (None, size):
            turned = image.stated_size == size[::-1]
            advice = "They are for the image before it is turned upright." if turned else "Label this very file."
            raise DatasetError(
                f"The labels of {name} are for {_spelled(image.stated_size)} pixels, but it is {_spelled(size)} "
                f"(turned upright as its EXIF orientation says). {advice}"
            )
        return size


def _digest(drawing: Drawing) -> str:
    digest = hashlib.sha256(drawing.part_map.tobytes())
    for instance in drawing.instances:
        digest.update(f"{instance.category} {instance.mask['counts']}".encode())
    return digest.hexdigest()


def _spelled(size: tuple[int, int]) -> str:
    return f"{brief(size[1])} x {brief(size[0])}"
