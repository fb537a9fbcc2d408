"""From the annotations of an image to its part map and its objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from ...taxonomy import PartTaxonomy
from ..formats.base import Annotation, ClassName, LabelledImage
from ..formats.shapes import reaches_outside
from ..masks import box_of, encode_mask, present_labels
from ..problems import Problems
from ..rows import Instance
from .classes import ClassIds

ObjectKey: TypeAlias = "tuple[int, Hashable]"
"""Object id, and what tells the objects of a class apart."""


@dataclass
class Drawing:
    """The labels of an image: part ids (H, W), and masks of its objects."""

    part_map: np.ndarray
    objects: list[tuple[int, np.ndarray]] = field(default_factory=list)
    overlaps: Counter[tuple[int, int]] = field(default_factory=Counter)  # (lower, upper part id) -> pixels
    empty: list[str] = field(default_factory=list)  # names of annotations without a pixel
    cut: list[str] = field(default_factory=list)  # names of annotations that reach outside of the image
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
    drawing = Drawing(np.full(size, taxonomy.ignore_index, f"uint{taxonomy.mask_bits}"))
    given: dict[ObjectKey, np.ndarray] = {}
    for number, annotation in enumerate(image.annotations):
        object_id, part_id = ids[annotation.class_name]
        mask = _decode(annotation, size, drawing, problems) if part_id is None else None
        if mask is not None:
            key = object_id, ("number", number) if annotation.instance is None else annotation.instance
            given[key] = given[key] | mask if key in given else mask
    objects = dict(given)
    for annotation in image.annotations:
        object_id, part_id = ids[annotation.class_name]
        mask = None if part_id is None else _decode(annotation, size, drawing, problems)
        if mask is not None:
            _paint(drawing, mask, part_id, taxonomy.ignore_index)
            _add_part(objects, given, (object_id, annotation.instance), mask, drawing)
    drawing.objects = [(object_id, mask) for (object_id, _), mask in objects.items()]
    _cover(drawing, taxonomy)
    return drawing


def _cover(drawing: Drawing, taxonomy: PartTaxonomy) -> None:
    """Makes an object of what can be seen of a part, if others hide most of what lay in its own."""
    for part_id in present_labels(drawing.part_map, taxonomy.ignore_index):
        object_id, seen = taxonomy.object_of(part_id), drawing.part_map == part_id
        masks = [mask for other, mask in drawing.objects if other == object_id]
        if 2 * np.count_nonzero(seen & np.logical_or.reduce(masks)) < np.count_nonzero(seen):
            drawing.objects.append((object_id, seen))


def _decode(annotation: Annotation, size: tuple[int, int], drawing: Drawing, problems: Problems) -> np.ndarray | None:
    """The mask of an annotation (H, W) bool; None if it cannot be decoded or is empty."""
    mask = problems.attempt(annotation.shape.mask, *size, annotation.name)
    if mask is None:
        return None
    if reaches_outside(annotation.shape, *size):
        drawing.cut.append(annotation.name)
    if not mask.any():
        drawing.empty.append(annotation.name)
        return None
    return mask


def _paint(drawing: Drawing, mask: np.ndarray, part_id: int, ignore_index: int) -> None:
    below, counts = np.unique(drawing.part_map[mask], return_counts=True)
    for lower, count in zip(below.tolist(), counts.tolist()):
        if lower not in (part_id, ignore_index):
            drawing.overlaps[lower, part_id] += count
    drawing.part_map[mask] = part_id


def _add_part(
    objects: dict[ObjectKey, np.ndarray],
    given: dict[ObjectKey, np.ndarray],
    key: ObjectKey,
    mask: np.ndarray,
    drawing: Drawing,
) -> None:
    """Makes sure that most of a part lies in an object of its class: its own, any that was given, or a new one."""
    object_id, instance = key
    own = [key] if instance is not None and key in given else [other for other in given if other[0] == object_id]
    inside = sum((given[other] for other in own), np.zeros_like(mask))
    if 2 * np.count_nonzero(mask & inside) >= np.count_nonzero(mask):
        return
    drawing.extended += key in given
    objects[key] = objects[key] | mask if key in objects else mask
