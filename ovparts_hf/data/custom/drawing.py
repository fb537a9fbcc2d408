"""From the annotations of an image to its part map and its objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np

from ...taxonomy import PartTaxonomy
from ..formats.base import ClassName, LabelledImage
from ..masks import box_of, encode_mask
from ..problems import Problems
from ..rows import Instance
from .classes import ClassIds

ObjectKey: TypeAlias = "tuple[int, Hashable]"
"""Object id, and what tells the objects of a class apart."""


class _Part(NamedTuple):
    """The mask of a part (H, W) and which object it belongs to; None if that is not said."""

    object_id: int
    instance: Hashable | None
    mask: np.ndarray


@dataclass
class Drawing:
    """The labels of an image: part ids (H, W), and masks of its objects."""

    part_map: np.ndarray
    objects: list[tuple[int, np.ndarray]] = field(default_factory=list)
    overlaps: Counter[tuple[int, int]] = field(default_factory=Counter)  # (lower, upper part id) -> pixels
    empty: list[str] = field(default_factory=list)  # names of annotations without a pixel
    extended: int = 0  # objects that part of their parts lay outside of

    @property
    def instances(self) -> list[Instance]:
        """The objects as they are stored."""
        encoded = [(object_id, encode_mask(mask)) for object_id, mask in self.objects]
        return [Instance(object_id, box_of(rle), rle) for object_id, rle in encoded]


def draw(
    image: LabelledImage,
    size: tuple[int, int],
    taxonomy: PartTaxonomy,
    ids: dict[ClassName, ClassIds],
    problems: Problems,
) -> Drawing:
    """Paints the parts of an image of size (height, width) one over another, and gathers its objects.

    An object is its own annotation; if it has none, the union of its parts. Parts that do not say which object they
    belong to belong to those of their class around them; if there are none, they make one.
    """
    dtype = f"uint{taxonomy.mask_bits}"
    drawing = Drawing(np.full(size, taxonomy.ignore_index, dtype))
    given: dict[ObjectKey, np.ndarray] = {}
    parts: list[_Part] = []
    for number, annotation in enumerate(image.annotations):
        mask = problems.attempt(annotation.shape.mask, *size, annotation.name)
        if mask is None:
            continue
        if not mask.any():
            drawing.empty.append(annotation.name)
            continue
        object_id, part_id = ids[annotation.class_name]
        if part_id is None:
            key = object_id, ("number", number) if annotation.instance is None else annotation.instance
            given[key] = given[key] | mask if key in given else mask
        else:
            _paint(drawing, mask, part_id, taxonomy.ignore_index)
            parts.append(_Part(object_id, annotation.instance, mask))
    drawing.objects = _objects(given, parts, drawing)
    return drawing


def _paint(drawing: Drawing, mask: np.ndarray, part_id: int, ignore_index: int) -> None:
    below, counts = np.unique(drawing.part_map[mask], return_counts=True)
    for lower, count in zip(below.tolist(), counts.tolist()):
        if lower not in (part_id, ignore_index):
            drawing.overlaps[lower, part_id] += count
    drawing.part_map[mask] = part_id


def _objects(given: dict[ObjectKey, np.ndarray], parts: list[_Part], drawing: Drawing) -> list[tuple[int, np.ndarray]]:
    made: dict[ObjectKey, np.ndarray] = {}
    result = dict(given)
    for object_id, instance, mask in parts:
        key = object_id, instance
        own = [key] if instance is not None and key in given else [other for other in given if other[0] == object_id]
        inside = sum((given[other] for other in own), np.zeros_like(mask))
        if 2 * np.count_nonzero(mask & inside) >= np.count_nonzero(mask):
            continue
        if key in given:
            result[key] = result[key] | mask
            drawing.extended += 1
        else:
            made[key] = made[key] | mask if key in made else mask
    return [(object_id, mask) for (object_id, _), mask in (result | made).items()]
