"""The training augmentations of OV-PARTS, as small callables that compose.

Each takes a `Sample`, one training image with its two label maps, and a numpy generator that is its only source of
randomness: the same generator state gives the same result, whatever process or worker computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from ..errors import ConfigurationError
from ..utils.resize import resize_nearest, shortest_edge_size

_PADDING_GREY = 128


class Sample(NamedTuple):
    """A training image and its label maps, all of one size.

    Attributes:
        image: RGB image of size (W, H).
        part_map: (H, W) integer part ids, the ignore index where nothing is labelled.
        object_map: (H, W) integer object ids, likewise.
    """

    image: Image.Image
    part_map: np.ndarray
    object_map: np.ndarray


class Transform(Protocol):
    """An augmentation: a function of a sample and of a source of randomness."""

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Returns a new sample; never writes into the given one."""
        ...


class Compose:
    """Applies transforms one after the other."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = tuple(transforms)

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        for transform in self.transforms:
            sample = transform(sample, generator)
        return sample


class ResizeShortEdge:
    """Scales the short side to one of several lengths, keeping the proportions.

    The image is resized by Pillow's bilinear filter (antialiased when it shrinks), the maps by torch's nearest rule.

    Args:
        short_edges: Lengths in pixels; one is drawn uniformly.
        max_size: The long side stays within this many pixels, if need be by a smaller scale.
    """

    def __init__(self, short_edges: Sequence[int], max_size: int) -> None:
        if not short_edges or min(*short_edges, max_size) < 1:
            raise ConfigurationError(
                f"Short edges {list(short_edges)}, max_size {max_size}: give one or more lengths of at least 1 pixel."
            )
        self.short_edges = tuple(short_edges)
        self.max_size = max_size

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        short_edge = self.short_edges[generator.integers(len(self.short_edges))]
        height, width = shortest_edge_size(*sample.part_map.shape, short_edge, self.max_size)
        return Sample(
            sample.image.resize((width, height), Image.Resampling.BILINEAR),
            resize_nearest(sample.part_map, (height, width)),
            resize_nearest(sample.object_map, (height, width)),
        )


class RandomCrop:
    """Cuts out a window (height, width in pixels) at a uniformly drawn place; a shorter side of the image is kept."""

    def __init__(self, height: int, width: int) -> None:
        if min(height, width) < 1:
            raise ConfigurationError(f"RandomCrop({height}, {width}): sides must be at least 1.")
        self.height = height
        self.width = width

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


class RandomFlip:
    """Mirrors left and right with a given probability."""

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probability

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        if generator.random() >= self.probability:
            return sample
        return Sample(
            sample.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            np.ascontiguousarray(sample.part_map[:, ::-1]),
            np.ascontiguousarray(sample.object_map[:, ::-1]),
        )


class PadTo:
    """Extends to at least a given size on the right and below: the image with grey 128, the maps with "ignore"."""

    def __init__(self, height: int, width: int, ignore_index: int) -> None:
        self.height = height
        self.width = width
        self.ignore_index = ignore_index

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
