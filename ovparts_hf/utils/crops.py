"""The square around an object, in which its parts are looked for at the full resolution of the image."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """A window of an image in pixels, as Pillow's `crop` takes it: `right` and `bottom` are just outside."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, mask: np.ndarray, margin: float) -> Box:
        """The window for an object (height, width) bool; the whole image if the mask is empty.

        A square around the middle of the object's bounding box, longer than its longer side by the share `margin` on
        each side, rounded outwards to whole pixels and clipped to the image.
        """
        height, width = mask.shape
        rows, columns = np.flatnonzero(mask.any(1)).tolist(), np.flatnonzero(mask.any(0)).tolist()
        if not rows:
            return cls(0, 0, width, height)
        ends = (columns[0], columns[-1] + 1), (rows[0], rows[-1] + 1)
        half = max(end - start for start, end in ends) * (1 + 2 * margin) / 2
        left, top = (math.floor(max(0, (start + end) / 2 - half)) for start, end in ends)
        right, bottom = (
            math.ceil(min(limit, (start + end) / 2 + half)) for (start, end), limit in zip(ends, (width, height))
        )
        return cls(left, top, right, bottom)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.bottom - self.top, self.right - self.left

    def cut(self, array: np.ndarray) -> np.ndarray:
        """What lies inside, a view: (height, width) of an image -> `size`."""
        return array[self.top : self.bottom, self.left : self.right]

    def paste(self, inside: np.ndarray, size: tuple[int, int], outside: float) -> np.ndarray:
        """The way back: an array of this `size`, with a value for what lies outside, at the (height, width) given."""
        whole = np.full(size, outside, dtype=inside.dtype)
        self.cut(whole)[:] = inside
        return whole

    def scaled(self, size: tuple[int, int], new_size: tuple[int, int]) -> Box:
        """The same window, rounded outwards, where an image of one (height, width) is resized to another."""
        (height, width), (new_height, new_width) = size, new_size
        return Box(
            self.left * new_width // width,
            self.top * new_height // height,
            -(-self.right * new_width // width),
            -(-self.bottom * new_height // height),
        )
