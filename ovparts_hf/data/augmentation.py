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
        return Sample(
            sample.image.resize((width, height), Image.Resampling.BILINEAR),
            resize_nearest(sample.part_map, (height, width)),
            resize_nearest(sample.object_map, (height, width)),
        )


@dataclass(frozen=True)
class RandomCrop:
    """Cuts out a window (height, width in pixels) at a uniformly drawn place; a shorter side of the image is kept."""

    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ConfigurationError(f"RandomCrop({self.height}, {self.width}): sides must be at least 1.")

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        rows, columns = self._draw(sample.object_map.shape, generator)
        return Sample(
            sample.image.crop((columns.start, rows.start, columns.stop, rows.stop)),
            sample.part_map[rows, columns],
            sample.object_map[rows, columns],
        )

    def _draw(self, shape: tuple[int, int], generator: np.random.Generator) -> tuple[slice, slice]:
        height, width = min(self.height, shape[0]), min(self.width, shape[1])
        top = int(generator.integers(shape[0] - height + 1))
        left = int(generator.integers(shape[1] - width + 1))
        return slice(top, top + height), slice(left, left + width)


@dataclass(frozen=True)
class RandomFlip:
    """Mirrors left and right with a given probability."""

    probability: float = 0.5

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        if generator.random() >= self.probability:
            return sample
        return Sample(
            sample.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            np.ascontiguousarray(sample.part_map[:, ::-1]),
            np.ascontiguousarray(sample.object_map[:, ::-1]),
        )


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
        return Sample(
            image,
            np.pad(sample.part_map, padding, constant_values=self.ignore_index),
            np.pad(sample.object_map, padding, constant_values=self.ignore_index),
        )


class SwapChannels:
    """Red for blue: turns RGB into the BGR order in which the benchmark trains CLIPSeg."""

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        red, green, blue = sample.image.split()
        return sample._replace(image=Image.merge("RGB", (blue, green, red)))
