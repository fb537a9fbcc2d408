"""The colour augmentation of SSD (ECCV 2016, after Howard 2013), on 8-bit images.

Saturation and hue act on 8-bit HSV in OpenCV's integer arithmetic, which the benchmark's models were trained with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .augmentation import Sample

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
    hue = np.where(
        value == red,
        green - blue,
        np.where(value == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
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
    levels = np.stack(
        [
            value,
            value * (1 - saturation),
            value * (1 - saturation * position),
            value * (1 - saturation * (1 - position)),
        ],
        axis=-1,
    )
    rgb = np.take_along_axis(levels, _SECTORS[sector.astype(np.int64) % 6], axis=-1)
    return _to_bytes(rgb * np.float32(255))


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)
