"""The training augmentations of OV-PARTS, as small callables that compose.

The generator that each is given is its only source of randomness: equal states give equal results in any process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from ..errors import ConfigurationError
from ..utils.resize import resize_nearest, shortest_edge_size

_PADDING_GREY = 128


class Sample(NamedTuple):
    """An RGB training image and its maps (H, W) of integer part and object ids, with the ignore index for no label."""

    image: Image.Image
    part_map: np.ndarray
    object_map: np.ndarray

    def change(self, image: Image.Image, change_map: Callable[[np.ndarray], np.ndarray]) -> Sample:
        """A sample with another image, and with both maps changed alike."""
        return Sample(image, change_map(self.part_map), change_map(self.object_map))


Transform: TypeAlias = Callable[[Sample, np.random.Generator], Sample]
"""An augmentation; it returns a new sample and never writes into the given one."""


@dataclass(frozen=True)
class Compose:
    """Applies transforms one after the other."""

    transforms: Sequence[Transform]

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        for transform in self.transforms:
            sample = transform(sample, generator)
        return sample


@dataclass(frozen=True)
class ResizeShortEdge:
    """Scales the short side to one of several lengths in pixels, unless the long side would exceed `max_size`.

    The image is resized by Pillow's bilinear filter (antialiased when it shrinks), the maps by torch's nearest rule.
    """

    short_edges: Sequence[int]
    max_size: int

    def __post_init__(self) -> None:
        if not self.short_edges or min(*self.short_edges, self.max_size) < 1:
            raise ConfigurationError(
                f"Short edges {list(self.short_edges)}, max_size {self.max_size}: give one or more lengths of at least "
                "1 pixel."
            )

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        short_edge = self.short_edges[generator.integers(len(self.short_edges))]
        height, width = shortest_edge_size(*sample.part_map.shape, short_edge, self.max_size)
        image = sample.image.resize((width, height), Image.Resampling.BILINEAR)
        return sample.change(image, lambda ids: resize_nearest(ids, (height, width)))


@dataclass(frozen=True)
class RandomCrop:
    """Cuts out a window (height, width in pixels) at a uniformly drawn place; a shorter side of the image is kept."""

    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ConfigurationError(f"RandomCrop({self.height}, {self.width}): sides must be at least 1.")

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        image = sample.image
        height, width = min(self.height, image.height), min(self.width, image.width)
        top = int(generator.integers(image.height - height + 1))
        left = int(generator.integers(image.width - width + 1))
        window = image.crop((left, top, left + width, top + height))
        return sample.change(window, lambda ids: ids[top : top + height, left : left + width])


@dataclass(frozen=True)
class RandomFlip:
    """Mirrors left and right with a given probability."""

    probability: float = 0.5

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        if generator.random() >= self.probability:
            return sample
        image = sample.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return sample.change(image, lambda ids: np.ascontiguousarray(ids[:, ::-1]))


@dataclass(frozen=True)
class PadTo:
    """Extends to at least a given size on the right and below: the image with grey 128, the maps with "ignore"."""

    height: int
    width: int
    ignore_index: int

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        height, width = sample.part_map.shape
        padding = ((0, max(0, self.height - height)), (0, max(0, self.width - width)))
        image = Image.new("RGB", (width + padding[1][1], height + padding[0][1]), (_PADDING_GREY,) * 3)
        image.paste(sample.image)
        return sample.change(image, lambda ids: np.pad(ids, padding, constant_values=self.ignore_index))


class SwapChannels:
    """Red for blue: turns RGB into the BGR order in which the benchmark trains CLIPSeg."""

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        red, green, blue = sample.image.split()
        return sample._replace(image=Image.merge("RGB", (blue, green, red)))


_HUES = 180
_SHIFT = 12  # fixed-point digits of the divisions
_DIVISORS = np.maximum(np.arange(256), 1)
_SATURATION_FACTOR = np.rint((255 << _SHIFT) / _DIVISORS).astype(np.int32)
_HUE_FACTOR = np.rint((_HUES << _SHIFT) / (6 * _DIVISORS)).astype(np.int32)
# For each sixth of the colour circle, which of (v, p, q, t) is red, green and blue; see `hsv_to_rgb`.
_SECTORS = np.array([[0, 3, 1], [2, 0, 1], [1, 0, 3], [1, 2, 0], [3, 1, 0], [0, 1, 2]])


@dataclass(frozen=True)
class ColorJitter:
    """Changes brightness, contrast, saturation and hue of the image, each with probability 1/2."""

    brightness: float = 32  # largest shift of all channels, in grey levels
    contrast: tuple[float, float] = (0.5, 1.5)  # smallest and largest factor on all channels
    saturation: tuple[float, float] = (0.5, 1.5)  # smallest and largest factor
    hue: int = 18  # largest shift, in steps of 2 degrees

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        steps = [self._change_saturation, self._change_hue]
        steps.insert(int(generator.integers(2)) * 2, self._change_contrast)
        pixels = np.asarray(sample.image)
        for step in (self._change_brightness, *steps):
            if generator.integers(2):
                pixels = step(pixels, generator)
        return sample._replace(image=Image.fromarray(pixels))

    def _change_brightness(self, pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return _to_bytes(pixels + np.float32(generator.uniform(-self.brightness, self.brightness)))

    def _change_contrast(self, pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return _to_bytes(pixels * np.float32(generator.uniform(*self.contrast)))

    def _change_saturation(self, pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        hsv = rgb_to_hsv(pixels)
        hsv[..., 1] = _to_bytes(hsv[..., 1] * np.float32(generator.uniform(*self.saturation)))
        return hsv_to_rgb(hsv)

    def _change_hue(self, pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        hsv = rgb_to_hsv(pixels)
        shift = int(generator.integers(-self.hue, self.hue, endpoint=True))
        hsv[..., 0] = (hsv[..., 0].astype(np.int32) + shift) % _HUES
        return hsv_to_rgb(hsv)


def rgb_to_hsv(pixels: np.ndarray) -> np.ndarray:
    """RGB to HSV, both (..., 3) uint8: hue in 0..179 (steps of 2 degrees), saturation and value in 0..255."""
    red, green, blue = np.moveaxis(pixels.astype(np.int32), -1, 0)
    value = pixels.max(axis=-1).astype(np.int32)
    spread = value - pixels.min(axis=-1)
    not_red = np.where(value == green, blue - red + 2 * spread, red - green + 4 * spread)
    hue = np.where(value == red, green - blue, not_red)
    half = 1 << (_SHIFT - 1)
    hue = (hue * _HUE_FACTOR[spread] + half) >> _SHIFT
    saturation = (spread * _SATURATION_FACTOR[value] + half) >> _SHIFT
    return np.stack([np.where(hue < 0, hue + _HUES, hue), saturation, value], axis=-1).astype(np.uint8)


def hsv_to_rgb(hsv: np.ndarray) -> np.ndarray:
    """The way back, both (..., 3) uint8; fractions are cut off, as in OpenCV's vectorised code."""
    hue = hsv[..., 0] * np.float32(6 / _HUES)
    saturation, value = (np.float32(1 / 255) * hsv[..., channel] for channel in (1, 2))
    sector = np.floor(hue)
    position = hue - sector
    p, q, t = (value * (1 - drop) for drop in (saturation, saturation * position, saturation * (1 - position)))
    levels = np.stack([value, p, q, t], axis=-1)
    rgb = np.take_along_axis(levels, _SECTORS[sector.astype(np.int64) % 6], axis=-1)
    return _to_bytes(rgb * np.float32(255))


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)
