"""Shapes that several formats share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ...errors import DatasetError
from ..masks import decode_rle, encode_segmentation
from .base import ImageData, Shape
from .images import ValueKind, label_values


@dataclass(frozen=True)
class Segmentation:
    """A COCO segmentation: polygons whose union is meant, drawn by the rule of pycocotools, or run lengths.

    It stays JSON text, a tenth of the size of its numbers.
    """

    text: str

    @classmethod
    def of(cls, segmentation: Any) -> Segmentation:
        """Takes `[[x, y, x, y, ...], ...]` in pixels, or `{"size": [height, width], "counts": list or str}`."""
        return cls(json.dumps(segmentation))

    def mask(self, height: int, width: int, name: str) -> np.ndarray:
        """See `Shape.mask`."""
        segmentation = json.loads(self.text)
        _check_polygons(segmentation, name)
        rle = encode_segmentation(segmentation, height, width, name)
        if rle is None:
            raise DatasetError(f"{_capital(name)} has no polygon. Draw it again or remove it.")
        return decode_rle(rle)


@dataclass(frozen=True)
class RelativePolygons:
    """Polygons `[[x, y, x, y, ...], ...]` in shares of the image's width and height, from 0 to 1."""

    text: str

    @classmethod
    def of(cls, polygons: Any) -> RelativePolygons:
        """Takes lists of numbers."""
        return cls(json.dumps(polygons))

    def mask(self, height: int, width: int, name: str) -> np.ndarray:
        """See `Shape.mask`."""
        return self.in_pixels(height, width, name).mask(height, width, name)

    def in_pixels(self, height: int, width: int, name: str) -> Segmentation:
        """The same for an image of this size."""
        polygons = json.loads(self.text)
        _check_polygons(polygons, name)
        sides = (width, height)
        return Segmentation.of([[n * sides[i % 2] for i, n in enumerate(polygon)] for polygon in polygons])


@dataclass(frozen=True)
class Bitmap:
    """A mask (h, w) bool whose first pixel lies at (left, top) of the image; what lies outside is cut off."""

    bits: bytes
    shape: tuple[int, int]
    left: int = 0
    top: int = 0
    image_size: tuple[int, int] | None = None  # (height, width) it was drawn for, if the source says so

    @classmethod
    def of(cls, mask: np.ndarray, left: int = 0, top: int = 0, image_size: tuple[int, int] | None = None) -> Bitmap:
        """Packs a mask (h, w) bool."""
        return cls(np.packbits(mask).tobytes(), (mask.shape[0], mask.shape[1]), left, top, image_size)

    def mask(self, height: int, width: int, name: str) -> np.ndarray:
        """See `Shape.mask`."""
        if self.image_size not in (None, (height, width)):
            drawn = f"{self.image_size[1]} x {self.image_size[0]}"
            raise DatasetError(f"{_capital(name)} is for an image of {drawn}; its image has {width} x {height} pixels.")
        count = self.shape[0] * self.shape[1]
        drawn_mask = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=count).reshape(self.shape).astype(bool)
        result = np.zeros((height, width), bool)
        top, left = max(self.top, 0), max(self.left, 0)
        visible = drawn_mask[top - self.top :, left - self.left :][: max(height - top, 0), : max(width - left, 0)]
        result[top : top + visible.shape[0], left : left + visible.shape[1]] = visible
        return result


@dataclass(frozen=True)
class MaskValues:
    """The pixels of an image file with one of some values; without any, those brighter than half of the brightest."""

    file: ImageData
    values: tuple[int, ...] = ()
    kind: ValueKind = "indices"  # of `values`

    def mask(self, height: int, width: int, name: str) -> np.ndarray:
        """See `Shape.mask`."""
        values = _values(self.file, self.kind if self.values else "brightness")
        if values.shape != (height, width):
            size = f"{values.shape[1]} x {values.shape[0]}"
            raise DatasetError(f"{self.file.name} is {size}, but its image is {width} x {height} pixels (upright).")
        return np.isin(values, self.values) if self.values else 2 * values > values.max()


def reaches_outside(shape: Shape, height: int, width: int) -> bool:
    """Whether polygons lie more than a pixel outside of an image, where they are cut off."""
    if isinstance(shape, RelativePolygons):
        shape = shape.in_pixels(height, width, "")
    polygons = json.loads(shape.text) if isinstance(shape, Segmentation) else ()
    if not isinstance(polygons, list):
        return False
    return any(
        not -1 <= number <= (width, height)[i % 2] + 1 for polygon in polygons for i, number in enumerate(polygon)
    )


def _check_polygons(segmentation: Any, name: str) -> None:
    """Refuses what `encode_segmentation` would leave out, or not know: polygons that are none."""
    for number, polygon in enumerate(segmentation if isinstance(segmentation, list) else (), start=1):
        if not isinstance(polygon, list) or len(polygon) % 2 or len(polygon) < 6:
            found = f"{len(polygon)} numbers" if isinstance(polygon, list) else f"the form {repr(polygon)[:40]}"
            raise DatasetError(
                f"Polygon {number} of {name} has {found}; a polygon is a list of x and y in turn, of at least three "
                "points."
            )
        if not all(type(value) in (int, float) for value in polygon):
            raise DatasetError(f"Polygon {number} of {name} holds something that is not a number.")


@lru_cache(maxsize=2)
def _values(file: ImageData, kind: ValueKind) -> np.ndarray:
    """All shapes of one mask file follow each other."""
    return label_values(file.read(), file.name, kind)


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
