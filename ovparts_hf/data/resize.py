"""Sizes and nearest-neighbour resizing, with exactly the rounding of the benchmark.

Label maps are resized as torch's `mode="nearest"` does it, which differs from Pillow's and OpenCV's by half a pixel.
"""

from __future__ import annotations

import numpy as np


def resize_nearest(label_map: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a label map by nearest neighbour, bit for bit as torch does.

    Args:
        label_map: Array (H, W) or (H, W, ...) of any dtype.
        size: Wanted (height, width) in pixels, both positive.

    Returns:
        Array (height, width, ...) of the same dtype; pixel i comes from floor(i * source size / wanted size). It is
        `label_map` itself if the size is already right.
    """
    if label_map.shape[:2] == tuple(size):
        return label_map
    rows, columns = (_source_indices(old, new) for old, new in zip(label_map.shape, size))
    return label_map[rows[:, None], columns]


def shortest_edge_size(height: int, width: int, short: int, maximum: int | None = None) -> tuple[int, int]:
    """Size after scaling the shorter side to `short`, the longer one being capped at `maximum`.

    Args:
        height: Present height in pixels.
        width: Present width in pixels.
        short: Wanted length of the shorter side.
        maximum: Largest length of the longer side, or None. Where it is exceeded both sides shrink.

    Returns:
        (height, width), each rounded by int(x + 0.5).
    """
    scale = short / min(height, width)
    new_height, new_width = (short, scale * width) if height < width else (scale * height, short)
    longest = max(new_height, new_width)
    if maximum is not None and longest > maximum:
        shrink = maximum / longest
        new_height, new_width = new_height * shrink, new_width * shrink
    return int(new_height + 0.5), int(new_width + 0.5)


def _source_indices(old: int, new: int) -> np.ndarray:
    # torch computes the ratio and the product in 32 bits, except for exact doubling.
    if new == 2 * old:
        return np.arange(new) // 2
    scaled = np.arange(new, dtype=np.float32) * (np.float32(old) / np.float32(new))
    return np.minimum(scaled.astype(np.int64), old - 1)
