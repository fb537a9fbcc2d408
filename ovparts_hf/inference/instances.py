"""Parts one by one: which pixels belong together, and which object they are a part of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from ..errors import ConfigurationError, TaxonomyError
from ..taxonomy import split_part_class
from ..utils.arguments import check_positive
from .polygons import trace_polygons

if TYPE_CHECKING:
    from .objects import ObjectMask
    from .result import PartSegmentation

GROUPINGS = ("component", "object", "class")
_EIGHT_NEIGHBORS = np.ones((3, 3))


@dataclass(frozen=True)
class PartInstance:
    """Pixels of one class that belong together.

    Attributes:
        label: The class, such as "dog's head".
        class_id: Its index in the result's `classes`.
        score: From 0 to 1, the mean over its pixels, or that of the class in the image if only this is known.
        box: (left, top, right, bottom) in pixels; right and bottom are the first without the part.
        object_name: What it is a part of, "dog"; None for free text.
        object_id: Which of the objects of the image, from 0; None for free text, or if objects are not told apart.
        image_size: (height, width).
        crop: (bottom - top, right - left) bool, the mask inside its box.
    """

    label: str
    class_id: int
    score: float
    box: tuple[int, int, int, int]
    object_name: str | None
    object_id: int | None
    image_size: tuple[int, int]
    crop: np.ndarray = field(repr=False, compare=False)

    @cached_property
    def area(self) -> int:
        """Pixels."""
        return int(np.count_nonzero(self.crop))

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool, the same pixels in the whole image."""
        left, top, right, bottom = self.box
        mask = np.zeros(self.image_size, dtype=bool)
        mask[top:bottom, left:right] = self.crop
        return mask

    @property
    def polygon(self) -> dict[str, Any]:
        """The outline, a geometry of GeoJSON: "MultiPolygon", with holes; x and y are corners of pixels, y downwards.

        Filled, it is the mask. Pixels that touch at a corner only belong to different polygons of it.
        """
        return {"type": "MultiPolygon", "coordinates": trace_polygons(self.crop, *self.box[:2])}

    def to_geojson(self) -> dict[str, Any]:
        """A feature of GeoJSON, with `polygon` and, as its properties, everything but the mask."""
        names = ("label", "class_id", "score", "box", "area", "object_name", "object_id")
        properties = {name: getattr(self, name) for name in names}
        return {"type": "Feature", "geometry": self.polygon, "properties": properties | {"box": list(self.box)}}


def find_instances(result: PartSegmentation, by: str = "component", min_area: int = 1) -> list[PartInstance]:
    """See `PartSegmentation.instances`; ordered by class, object and place."""
    if by not in GROUPINGS:
        raise ConfigurationError(f"by is {by!r}; parts are grouped by one of {list(GROUPINGS)}.")
    check_positive(min_area=min_area)
    label_map = result.label_map
    parents = [_object_name(name) for name in result.classes]
    owners = None if by == "class" else _owners(label_map, parents, result.objects)
    score_map = None if by == "class" else result.score_map
    instances = []
    for class_id, where in enumerate(ndimage.find_objects(label_map + 1)):
        if where is None:
            continue
        for owner, group in _by_owner(label_map[where] == class_id, None if owners is None else owners[where]):
            for rows, columns, crop in _pieces(group, by == "component"):
                if np.count_nonzero(crop) < min_area:
                    continue
                top, left = where[0].start + rows.start, where[1].start + columns.start
                box = left, top, left + crop.shape[1], top + crop.shape[0]
                score = result.scores[class_id] if score_map is None else _mean(score_map, crop, left, top)
                of_object = parents[class_id], owner
                instances.append(
                    PartInstance(
                        result.classes[class_id], class_id, float(score), box, *of_object, label_map.shape, crop
                    )
                )
    return instances


def _mean(values: np.ndarray, crop: np.ndarray, left: int, top: int) -> np.floating:
    return values[top : top + crop.shape[0], left : left + crop.shape[1]][crop].mean(dtype=np.float64)


def _object_name(class_name: str) -> str | None:
    try:
        return split_part_class(class_name)[0]
    except TaxonomyError:
        return None  # free text


def _owners(label_map: np.ndarray, parents: Sequence[str | None], objects: Sequence[ObjectMask] | None) -> np.ndarray:
    """(H, W) int32, for each pixel of a part the object it belongs to, or -1.

    That is the first of the `objects` with this name and pixel. Without them, an object is what its parts form together
    where they touch.
    """
    names = list(dict.fromkeys(name for name in parents if name is not None))
    kinds = np.array([*(-1 if name is None else names.index(name) for name in parents), -1], dtype=np.int16)[label_map]
    owners = np.full(label_map.shape, -1, dtype=np.int32)
    if objects is not None:
        for number, (name, mask) in enumerate(objects):
            if name in names:
                owners[mask & (kinds == names.index(name)) & (owners < 0)] = number
        return owners
    count = 0
    for kind, where in enumerate(ndimage.find_objects(kinds + 1)):
        if where is not None:
            regions, found = ndimage.label(kinds[where] == kind, _EIGHT_NEIGHBORS)
            owners[where] = np.where(regions > 0, regions + (count - 1), owners[where])
            count += found
    return owners


def _by_owner(mask: np.ndarray, owners: np.ndarray | None) -> Iterator[tuple[int | None, np.ndarray]]:
    if owners is None:
        yield None, mask
        return
    for owner in np.unique(owners[mask]).tolist():
        yield None if owner < 0 else owner, mask & (owners == owner)


def _pieces(mask: np.ndarray, split: bool) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Connected pieces of a mask, or all of it: rows, columns and the mask inside them."""
    regions = ndimage.label(mask, _EIGHT_NEIGHBORS)[0] if split else mask.astype(np.int8)
    for number, (rows, columns) in enumerate(ndimage.find_objects(regions), start=1):
        yield rows, columns, regions[rows, columns] == number
