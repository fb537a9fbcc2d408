"""Masks as lengths of runs, in the orders of Label Studio's brush and of CVAT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import DatasetError
from ...utils.images import MAX_PIXELS
from .shapes import Bitmap

_CHANNELS = 4  # of an image with transparency, whose last channel is the mask


@dataclass(frozen=True)
class BrushStrokes:
    """A mask of Label Studio: a stream of bits, runs over the values of an RGBA image, row by row.

    First the number of values (32 bits), the bits of a value less one (5) and, for each of four sizes, the bits of a
    length less one (4). Then come blocks: 1 for a run or 0 for single values, which of the sizes (2 bits), the length
    less one, and the value of the run or as many values.
    """

    stream: bytes
    height: int
    width: int

    @classmethod
    def of(cls, numbers: Any, height: int, width: int, name: str) -> BrushStrokes:
        """Takes a list of bytes."""
        try:
            return cls(bytes(numbers if isinstance(numbers, list) else [-1]), height, width)
        except (TypeError, ValueError) as error:
            raise DatasetError(f"'rle' of {name} must be a list of numbers from 0 to 255.") from error

    def mask(self, height: int, width: int, name: str) -> np.ndarray:
        """See `Shape.mask`."""
        if height * width > MAX_PIXELS:
            raise DatasetError(f"The image of {name} has more than {MAX_PIXELS:,} pixels.")
        values = _unpack(self.stream, self.height * self.width * _CHANNELS, name)
        alpha = values.reshape(self.height, self.width, _CHANNELS)[..., -1]
        return Bitmap.of(alpha > 0, image_size=(self.height, self.width)).mask(height, width, name)


def _unpack(stream: bytes, count: int, name: str) -> np.ndarray:
    """The values of a stream, of which there must be `count`."""
    bits = _Bits(stream)
    try:
        stated, value_bits = bits.take(32), bits.take(5) + 1
        sizes = [bits.take(4) + 1 for _ in range(4)]
        if stated != count or value_bits != 8:
            fault = f"is for {stated:,} values of {value_bits} bits, its image has {count:,} of 8 (RGBA)"
            raise DatasetError(f"The brush of {name} {fault}. Export it again.")
        values, position = np.zeros(count, np.uint8), 0
        while position < count:
            is_run = bits.take(1)
            length = bits.take(sizes[bits.take(2)]) + 1
            if length > count - position:
                raise DatasetError(f"The brush of {name} is longer than its image. Export it again.")
            values[position : position + length] = bits.take(8) if is_run else bits.take_bytes(length)
            position += length
    except EOFError as error:
        raise DatasetError(f"The brush of {name} ends before its image does. Export it again.") from error
    return values


class _Bits:
    """Reads a stream from its first bit on."""

    def __init__(self, stream: bytes) -> None:
        self._text = f"{int.from_bytes(stream):0{8 * len(stream)}b}"
        self._position = 0

    def take(self, count: int) -> int:
        """The next bits as a number, the first one being the highest."""
        self._position += count
        if self._position > len(self._text):
            raise EOFError
        return int(self._text[self._position - count : self._position], 2)

    def take_bytes(self, count: int) -> np.ndarray:
        """The next numbers of 8 bits: (count,) uint8."""
        return np.frombuffer(self.take(8 * count).to_bytes(count), np.uint8)


def runs_in_box(text: str, left: int, top: int, height: int, width: int, name: str) -> Bitmap:
    """A mask of CVAT: lengths of runs inside its box, row by row, of pixels outside the mask first: "3, 2, 10"."""
    try:
        lengths = [int(length) for length in text.split(",")]
    except ValueError as error:
        raise DatasetError(f"'rle' of {name} must be whole numbers with commas between them.") from error
    if not (height > 0 < width and height * width <= MAX_PIXELS):
        raise DatasetError(f"The box of {name} is {width} x {height}; it must have 1 to {MAX_PIXELS:,} pixels.")
    if min(lengths) < 0 or sum(lengths) != height * width:
        raise DatasetError(f"The run lengths of {name} do not add up to the {width} x {height} pixels of its box.")
    inside = np.arange(len(lengths)) % 2 == 1
    return Bitmap.of(np.repeat(inside, lengths).reshape(height, width), left, top)
