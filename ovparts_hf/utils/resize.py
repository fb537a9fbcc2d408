"""Sizes and nearest-neighbour resizing of label maps, as the benchmark does them."""

from __future__ import annotations

import numpy as np


def resize_nearest(
    label_map: np.ndarray, size: tuple[int, int], precision: type[np.floating] = np.float64
) -> np.ndarray:
    """Resizes a label map (..., H, W) with torch's nearest rule: source index = floor(destination index * (in / out)).

    Pillow's and OpenCV's nearest neighbour sample other positions, and torch itself rounds the product in the precision
    of its input, which decides single rows and columns. Published numbers depend on both: the benchmark's mapper and
    evaluator use `np.float64`, its object masks and the labels of its training losses `np.float32`.
    """
    if label_map.shape[-2:] == tuple(size):
        return label_map
    rows, columns = (_source_indices(source, out, precision) for source, out in zip(label_map.shape[-2:], size))
    return label_map.take(columns, axis=-1).take(rows, axis=-2)  # several times faster than both at once


def _source_indices(source: int, out: int, precision: type[np.floating]) -> np.ndarray:
    position = np.arange(out, dtype=precision) * (precision(source) / precision(out))
    return np.minimum(position.astype(np.float32).astype(int), source - 1)  # torch floors in single precision


def shortest_edge_size(height: int, width: int, short_edge: int, max_size: int) -> tuple[int, int]:
    """(height, width), rounded half up, with the short side at `short_edge` or the long one at `max_size` pixels."""
    scale = short_edge / min(height, width)
    if max(height, width) * scale > max_size:
        scale = max_size / max(height, width)
    return int(height * scale + 0.5), int(width * scale + 0.5)
