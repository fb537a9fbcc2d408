"""Label maps as lossless PNG files, and instance masks as COCO run lengths."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from ..errors import DatasetError
from ..utils.images import reading

MODES = {8: ("L", "P"), 16: ("I;16", "I;16B", "I")}
"""Pillow's modes of label maps by their bits: that in which they are stored, and others that can be read."""
_MIN_POLYGON_NUMBERS = 6  # three points
_MAX_SHIFT = 60  # of the groups of one run length; a longer one belongs to no image
_MARGIN = 10_000  # pixels around an image; polygons are cut off there
_MAX_OUTLINE = 2_000_000  # pixels; pycocotools holds about a hundred bytes for each
_MAX_FLOAT = 3.4e38  # that of 32 bits, in which boxes are stored


@dataclass(frozen=True)
class LabelMap:
    """A map of class ids, (H, W) uint8 or uint16, and the bytes of a greyscale PNG of the same depth that stores it."""

    values: np.ndarray
    png: bytes

    @classmethod
    def from_array(cls, values: np.ndarray) -> LabelMap:
        """Stores an (H, W) array of dtype uint8 or uint16."""
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "PNG")
        return cls(values, buffer.getvalue())

    @classmethod
    def from_png(
        cls,
        png: bytes,
        bits: Literal[8, 16],
        name: str,
        size: tuple[int, int] | None = None,
        image_name: str = "its image",
    ) -> LabelMap:
        """Reads a PNG, called `name` in errors, without colour conversion: a palette image yields its indices.

        It must have one channel of just `bits`: at 8 bits the ignore value 65535 would already be lost. A map of
        another (height, width) than `size` is refused before it is decoded.
        """
        advice = "Unpack or download it again."
        with reading(DatasetError, name, advice, "PNG mask", png), Image.open(io.BytesIO(png)) as image:
            mode = image.mode
            if mode not in MODES[bits]:
                raise DatasetError(
                    f"{name} has image mode {mode}; a mask of this dataset has one channel of {bits} bits "
                    f"({' or '.join(MODES[bits][:2])}). Use the mask files of the release, not converted ones."
                )
            if size is not None and size != (image.height, image.width):
                raise DatasetError(
                    f"{name} is {image.width} x {image.height}, but {image_name} is {size[1]} x {size[0]} pixels "
                    "(turned upright)."
                )
            values = np.asarray(image)
        if mode == MODES[bits][0]:
            return cls(values, png)
        return cls.from_array(values.astype(f"uint{bits}"))


def decode_label_map(png: bytes) -> np.ndarray:
    """The values of a stored label map: (H, W) int64."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image).astype(np.int64)


def present_labels(label_map: np.ndarray, ignore_index: int) -> list[int]:
    """Labels that occur in an array of non-negative integers of any shape, ascending, without the ignore index."""
    labelled = label_map[label_map != ignore_index]
    return np.flatnonzero(np.bincount(labelled)).tolist()


def check_labels(label_map: np.ndarray, num_classes: int, ignore_index: int, name: str) -> None:
    """Raises `DatasetError` unless a map of non-negative integers holds only class ids and the ignore index."""
    invalid = [label for label in present_labels(label_map, ignore_index) if label >= num_classes]
    if invalid:
        allowed = f"0 to {num_classes - 1} and {ignore_index} for none"
        raise DatasetError(f"{name} holds the labels {invalid[:10]}; allowed are {allowed}.")


def decode_rle(rle: dict[str, Any]) -> np.ndarray:
    """The (H, W) bool mask of compressed COCO run lengths `{"size": [H, W], "counts": str}`."""
    return coco.decode(rle).astype(bool)


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """Compressed COCO run lengths of an (H, W) bool mask."""
    return _as_text(coco.encode(np.asfortranarray(mask, dtype=np.uint8)))


def box_of(rle: dict[str, Any]) -> list[float]:
    """The tight box [x, y, width, height] around a mask, in pixels."""
    return coco.toBbox(rle).tolist()


def is_box(value: Any) -> bool:
    """Whether a value read from JSON is a list of four finite numbers."""
    return isinstance(value, list) and len(value) == 4 and all(map(_is_finite, value))


def encode_segmentation(segmentation: Any, height: int, width: int, name: str) -> dict[str, Any] | None:
    """Turns any COCO segmentation (polygons whose union is meant, or run lengths in either form) into compressed run
    lengths.

    Polygons with an odd number of coordinates or fewer than three points are dropped; None if none is left. A
    `DatasetError` calls the annotation `name`.
    """
    if isinstance(segmentation, dict):
        return _encode_run_lengths(segmentation, height, width, name)
    if not isinstance(segmentation, list) or not all(isinstance(polygon, list) for polygon in segmentation):
        raise DatasetError(f"The segmentation of {name} is neither a list of polygons nor run lengths.")
    polygons = [polygon for polygon in segmentation if len(polygon) % 2 == 0 and len(polygon) >= _MIN_POLYGON_NUMBERS]
    if not polygons:
        return None
    if not all(_is_finite(number) for polygon in polygons for number in polygon):
        raise DatasetError(f"A polygon of {name} holds something that is not a finite number.")
    clipped = [_clip(np.array(polygon, float).reshape(-1, 2), height, width) for polygon in polygons]
    if sum(_outline(points) for points in clipped) > _MAX_OUTLINE:
        raise DatasetError(f"The polygons of {name} have an outline of more than {_MAX_OUTLINE:,} pixels.")
    return _as_text(coco.merge(coco.frPyObjects([points.ravel().tolist() for points in clipped], height, width)))


def _clip(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cuts what lies far outside the image off a polygon: pycocotools holds every pixel of an outline, or crashes.

    `points` has shape (N, 2), as does the result. The cut runs along the limit, so the inside stays as it was.
    """
    for axis, side in ((0, width), (1, height)):
        for sign, limit in ((1, -_MARGIN), (-1, -_MARGIN - side)):
            inside = sign * points[:, axis] >= limit
            if inside.all():
                continue
            kept = []
            for i, point in enumerate(points):
                before = points[i - 1]
                if inside[i] != inside[i - 1]:
                    share = (sign * limit - before[axis]) / (point[axis] - before[axis])
                    crossing = before + share * (point - before)
                    crossing[axis] = sign * limit
                    kept.append(crossing)
                if inside[i]:
                    kept.append(point)
            points = np.array(kept).reshape(-1, 2)
    return points if len(points) > 2 else np.zeros((3, 2))


def _outline(points: np.ndarray) -> float:
    """The length of a polygon's outline in pixels, as it is drawn."""
    return np.abs(points - np.roll(points, 1, axis=0)).max(axis=1, initial=0).sum()


def _encode_run_lengths(rle: dict[str, Any], height: int, width: int, name: str) -> dict[str, Any]:
    if rle.get("size") != [height, width]:
        sizes = f"are for size {rle.get('size')}, its image has [{height}, {width}]"
        raise DatasetError(f"The run lengths of {name} {sizes}.")
    counts = rle.get("counts")
    try:
        lengths = counts if isinstance(counts, list) else _run_lengths(counts)
    except AttributeError as error:
        raise DatasetError(f"The run lengths of {name} cannot be decoded.") from error
    total = sum(lengths) if all(type(length) is int and length >= 0 for length in lengths) else None
    if total != height * width:  # pycocotools would leave the rest of the mask to chance
        raise DatasetError(f"The run lengths of {name} do not add up to {height} x {width} pixels.")
    return _as_text(coco.frPyObjects({"size": [height, width], "counts": lengths}, height, width))


def _run_lengths(compressed: str) -> list[int]:
    """Unpacks COCO's string form: groups of 5 bits, low ones first; the fourth length and later ones as differences."""
    lengths: list[int] = []
    characters = iter(compressed.encode("ascii", errors="replace"))
    for character in characters:
        value, shift = 0, 0
        while True:
            bits = character - 48
            value |= (bits & 0x1F) << shift
            shift += 5
            if not bits & 0x20 or shift > _MAX_SHIFT:
                break
            character = next(characters, 0)
        if bits & 0x10:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
    return lengths


def _is_finite(number: Any) -> bool:
    return type(number) in (int, float) and abs(number) <= _MAX_FLOAT


def _as_text(rle: dict[str, Any]) -> dict[str, Any]:
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}
