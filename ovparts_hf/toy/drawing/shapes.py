"""Outlines that the toy world's objects are made of: closed polygons as float arrays (n, 2), x to the right, y down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_ANGLES = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_QUARTER = _CIRCLE[:8:2]
_CORNERS = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=float)

_STEPS = np.linspace(0, 1, 5, endpoint=False)
_SPLINE = 0.5 * np.stack(  # Catmull-Rom weights of four neighbouring corners, (steps, 4)
    [
        -_STEPS + 2 * _STEPS**2 - _STEPS**3,
        2 - 5 * _STEPS**2 + 3 * _STEPS**3,
        _STEPS + 4 * _STEPS**2 - 3 * _STEPS**3,
        -(_STEPS**2) + _STEPS**3,
    ],
    axis=1,
)


def ellipse(x: float, y: float, radius_x: float, radius_y: float | None = None, angle: float = 0.0) -> np.ndarray:
    """Ellipse around (x, y), turned by `angle` degrees; a circle without `radius_y`."""
    points = _CIRCLE * (radius_x, radius_x if radius_y is None else radius_y)
    return (rotate(points, angle) if angle else points) + (x, y)


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> np.ndarray:
    """Axis-parallel rectangle with corners rounded by `radius`."""
    if radius <= 0:
        return np.array([[right, bottom], [left, bottom], [left, top], [right, top]], dtype=float)
    half = np.array([right - left, bottom - top]) / 2
    inner = np.maximum(half - radius, 0)
    corners = [rotate(_QUARTER, 90 * i) * radius + corner * inner for i, corner in enumerate(_CORNERS)]
    return np.concatenate(corners) + ((left + right) / 2, (top + bottom) / 2)


def limb(start: Sequence[float], end: Sequence[float], start_width: float, end_width: float) -> np.ndarray:
    """Straight strip from `start` to `end` with round ends; widths are full widths."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    turn = np.degrees(np.arctan2(*(end - start)[::-1]))
    arc = _CIRCLE[np.arange(-7, 8, 2)]
    return np.concatenate(
        [end + rotate(arc, turn) * end_width / 2, start + rotate(arc, turn + 180) * start_width / 2],
    )


def band(centre: Sequence[Sequence[float]], start_width: float, end_width: float) -> np.ndarray:
    """Smooth strip along a line of at least two points, e.g. a tail; widths are full widths."""
    centre = np.asarray(centre, dtype=float)
    along = np.gradient(centre, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    offset = normal * np.linspace(start_width, end_width, len(centre))[:, None] / 2
    return smooth(np.concatenate([centre + offset, (centre - offset)[::-1]]))


def smooth(corners: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """Closed Catmull-Rom curve through `corners`."""
    corners = np.asarray(corners, dtype=float)
    neighbours = np.stack([np.roll(corners, shift, axis=0) for shift in (1, 0, -1, -2)])
    return np.einsum("sk,knd->nsd", _SPLINE, neighbours).reshape(-1, 2)


def polygon(*corners: tuple[float, float]) -> np.ndarray:
    """Straight-edged polygon."""
    return np.array(corners, dtype=float)


def rotate(points: np.ndarray, angle: float) -> np.ndarray:
    """Turns points around the origin by `angle` degrees (clockwise on the screen, as y points down)."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return points @ np.array([[cos, sin], [-sin, cos]])
