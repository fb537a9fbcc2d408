"""The outline of a mask as polygons, exact to the pixel."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from scipy import ndimage

Ring: TypeAlias = "list[list[int]]"
"""[x, y] of the corners of pixels; the last equals the first."""
Polygon: TypeAlias = "list[Ring]"
"""The outline, clockwise as seen in the image, then the outlines of its holes, counterclockwise."""

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # (x, y): right, down, left, up


def trace_polygons(mask: np.ndarray, left: int = 0, top: int = 0) -> list[Polygon]:
    """Polygons of a mask (H, W) bool whose first pixel lies at (left, top); filled, they are the mask.

    Pixels that touch at a corner only belong to different polygons.
    """
    regions, count = ndimage.label(mask)
    polygons: list[Polygon] = [[] for _ in range(count)]
    for ring, (row, column) in _rings(mask):
        moved = [[x + left, y + top] for x, y in ring]
        polygon = polygons[regions[row, column] - 1]
        polygon.insert(0 if _is_outline(ring) else len(polygon), moved)
    return polygons


def _rings(mask: np.ndarray) -> list[tuple[Ring, tuple[int, int]]]:
    """The border of a mask as closed walks with the mask on the right, each with a pixel (row, column) inside."""
    edges = _edges(mask)
    rings = []
    for start in list(edges):
        if start not in edges:
            continue
        ring, pixel, edge = [], edges[start], None
        while edge != start:
            (x, y), direction = edge or start
            if edge is not None:
                del edges[edge]
            corner = x + _STEPS[direction][0], y + _STEPS[direction][1]
            turns = ((direction + turn) % 4 for turn in (1, 0, 3))  # right first, as corners do not connect
            edge = next((corner, turn) for turn in turns if (corner, turn) in edges)
            if edge[1] != direction:
                ring.append([*corner])
        del edges[start]
        rings.append(([*ring, ring[0]], pixel))
    return rings


def _edges(mask: np.ndarray) -> dict[tuple[tuple[int, int], int], tuple[int, int]]:
    """From each step along the border, (x, y) and a direction, to the pixel (row, column) at its right."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    neighbors = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])  # above, right, below, left
    edges = {}
    for direction, (neighbor, (dx, dy)) in enumerate(zip(neighbors, ((0, 0), (1, 0), (1, 1), (0, 1)))):
        for row, column in np.argwhere(inside & ~neighbor).tolist():
            edges[(column + dx, row + dy), direction] = row, column
    return edges


def _is_outline(ring: Ring) -> bool:
    x, y = np.array(ring).T
    return bool((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0)
