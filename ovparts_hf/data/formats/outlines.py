"""Outlines that labelling tools draw beside polygons, and the numbers that they are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import DatasetError
from ...utils.files import brief

_LARGEST = 1e9  # pixels; far outside any image


def number(value: Any, what: str, name: str) -> float:
    """A finite number from JSON or XML; else a `DatasetError` that says `what` of the annotation `name` is wrong."""
    try:
        result = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not abs(result) <= _LARGEST:
        raise DatasetError(f"{what} of {name} is {brief(value)}; it must be a finite number.")
    return result


def points(values: Any, name: str) -> list[tuple[float, float]]:
    """Checked points from JSON, `[[x, y], ...]`."""
    if not isinstance(values, list) or not all(isinstance(point, list) and len(point) == 2 for point in values):
        raise DatasetError(f"The points of {name} are {brief(values)}; they must be a list of [x, y].")
    return [(number(x, "A point", name), number(y, "A point", name)) for x, y in values]


def rectangle(
    left: float, top: float, right: float, bottom: float, degrees: float = 0.0, pivot: tuple[float, float] | None = None
) -> list[float]:
    """The polygon [x, y, x, y, ...] of a rectangle turned clockwise around `pivot`, by default its centre."""
    x, y = pivot or ((left + right) / 2, (top + bottom) / 2)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    if not degrees:
        return [value for corner in corners for value in corner]
    turned = [(x + (a - x) * cosine - (b - y) * sine, y + (a - x) * sine + (b - y) * cosine) for a, b in corners]
    return [value for corner in turned for value in corner]


@dataclass(frozen=True)
class Ellipse:
    """An ellipse in pixels, turned clockwise around its centre; it covers the pixels whose centres lie inside."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    degrees: float = 0.0

    def mask(self, height: int, width: int, name: str) -> np.ndarray:
        """See `Shape.mask`."""
        if min(self.radius_x, self.radius_y) <= 0:
            return np.zeros((height, width), bool)
        across, down = np.arange(width) + 0.5 - self.x, np.arange(height)[:, None] + 0.5 - self.y
        cosine, sine = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        first, second = across * cosine + down * sine, down * cosine - across * sine
        return (first / self.radius_x) ** 2 + (second / self.radius_y) ** 2 <= 1
