"""From an image to what CATSeg sees, step by step as in the benchmark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from ...errors import OVPartsError
from ...utils.resize import shortest_edge_size
from ..configuration_utils import AutoMapped
from ..limits import check_image_settings
from ..post_processing import SemanticLabelMaps
from ..processing import as_images


class CATSegImageProcessor(AutoMapped, SemanticLabelMaps, BaseImageProcessor):
    """Scales an image, normalises it, pads it to a multiple of 32 and squeezes it into a square.

    The padding stays inside the square, as in the original: it is stretched into the answer, which shifts it slightly
    where a scaled side is no multiple of `size_divisor`.

    Args:
        size: Height and width of `pixel_values`, for CLIP; both are the same.
        backbone_size: Height and width of `backbone_pixel_values`, for the ResNet; None where it sees `pixel_values`,
            too.
        shortest_edge: Images are first scaled (Pillow, bilinear) so that their short side has this length ...
        longest_edge: ... unless the long side would become longer than this.
        size_divisor: Sides are padded to a multiple of this.
        image_mean: Mean colour, between 0 and 1.
        image_std: Its deviation.
        sliding_window: Whether to cut overlapping windows from a larger square instead, and add the whole image. They
            have the ResNet's size, and are scaled to that of CLIP.
        canvas_size: Side of that larger square; None for two windows along each side, 640 pixels in the benchmark.
    """

    auto_classes = {"AutoImageProcessor": "CATSegImageProcessor"}
    scores = "probabilities"
    has_sliding_window = True
    model_input_names = ("pixel_values", "pixel_mask", "backbone_pixel_values")

    def __init__(
        self,
        size: dict[str, int] | None = None,
        shortest_edge: int = 640,
        longest_edge: int = 768,
        size_divisor: int = 32,
        image_mean: Sequence[float] = (0.48145466, 0.4578275, 0.40821073),
        image_std: Sequence[float] = (0.26862954, 0.26130258, 0.27577711),
        sliding_window: bool = False,
        canvas_size: int | None = None,
        backbone_size: dict[str, int] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.size = dict(size or {"height": 384, "width": 384})
        self.backbone_size = None if backbone_size is None else dict(backbone_size)
        self.shortest_edge, self.longest_edge = shortest_edge, longest_edge
        self.size_divisor = size_divisor
        self.image_mean, self.image_std = list(image_mean), list(image_std)
        self.sliding_window = sliding_window
        check_image_settings(self)
        side = self._sides[-1]
        stride = window_stride(side)
        self.canvas_size = side + stride if canvas_size is None else canvas_size
        check_image_settings(self)
        if self.canvas_size < side or (self.canvas_size - side) % stride:
            raise OVPartsError(
                f"canvas_size is {canvas_size}; windows of {side} fit {side} plus a multiple of {stride}."
            )

    def __call__(self, images: Any, augmented: bool = False, return_tensors: str = "pt") -> BatchFeature:
        """Prepares images, see `PartSegmentationProcessor.__call__`.

        Returns:
            `pixel_values` (batch, 3, side, side) float32; with `backbone_size` also `backbone_pixel_values` (batch, 3,
                backbone side, backbone side), of the same normalisation; and `pixel_mask` float32, how much of each
                pixel that the ResNet sees is image. For sliding windows `pixel_values` and `backbone_pixel_values` are
                (batch, windows + 1, 3, ...), and there is no `pixel_mask`.
        """
        images = as_images(images)
        if not augmented:
            images = [self._scale(image) for image in images]
        prepare = self._cut if self.sliding_window and not augmented else self._squeeze
        prepared = [prepare(torch.from_numpy(np.array(image)).permute(2, 0, 1).float()) for image in images]
        data = {name: torch.stack([inputs[name] for inputs in prepared]) for name in prepared[0]}
        return BatchFeature(data, tensor_type=return_tensors)

    @property
    def _sides(self) -> list[int]:
        """Sides of what CLIP sees and, if that is something else, of what the ResNet sees."""
        sizes = [self.size] if self.backbone_size is None else [self.size, self.backbone_size]
        return [size["height"] for size in sizes]

    def _scale(self, image: Image.Image) -> Image.Image:
        height, width = shortest_edge_size(image.height, image.width, self.shortest_edge, self.longest_edge)
        return image.resize((max(width, 1), max(height, 1)), Image.Resampling.BILINEAR)

    def _normalize(self, image: torch.Tensor) -> torch.Tensor:
        mean, std = (255 * torch.tensor(values).view(-1, 1, 1) for values in (self.image_mean, self.image_std))
        return (image - mean) / std

    def _squeeze(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """A padded image (3, height, width) as a square for CLIP and one for the ResNet."""
        bottom, right = (-side % self.size_divisor for side in image.shape[-2:])
        layers = torch.cat([self._normalize(image), image.new_ones(1, *image.shape[-2:])])
        layers = F.pad(layers, (0, right, 0, bottom))[None]
        squares = [_resize(layers, side)[0] for side in self._sides]
        return _named([square[:3] for square in squares]) | {"pixel_mask": squares[-1][3]}

    def _cut(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """The windows of an image (3, height, width), and then the whole, for CLIP and for the ResNet."""
        side = self._sides[-1]
        windows = cut_windows(_resize(image[None], self.canvas_size)[0], side)
        windows = self._normalize(torch.cat([windows, _resize(image[None], side)]))
        return _named([windows if each == side else _resize(windows, each) for each in self._sides])


def _named(images: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    return dict(zip(("pixel_values", "backbone_pixel_values"), images))


def _resize(images: torch.Tensor, side: int) -> torch.Tensor:
    return F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)


OVERLAP = 0.333
"""Share of a window that it has in common with the next."""


def window_stride(window: int) -> int:
    """Pixels from one window to the next."""
    return int(window * (1 - OVERLAP))


def cut_windows(canvas: torch.Tensor, window: int) -> torch.Tensor:
    """(channels, side, side) -> overlapping windows (windows, channels, window, window), row by row."""
    stride = window_stride(window)
    windows = canvas.unfold(1, window, stride).unfold(2, window, stride)
    return windows.flatten(1, 2).transpose(0, 1)


def merge_windows(logits: torch.Tensor, window: int) -> torch.Tensor:
    """(windows + 1, classes, h, w) logits, the whole image last -> (classes, side, side), of averaged probabilities."""
    scores = F.interpolate(logits.float(), size=(window, window), mode="bilinear", align_corners=False).sigmoid()
    windows, whole = scores[:-1], scores[-1:]
    stride, per_side = window_stride(window), math.isqrt(len(windows))
    side = window + stride * (per_side - 1)
    total, count = windows.new_zeros(windows.shape[1], side, side), windows.new_zeros(side, side)
    for number, part in enumerate(windows):
        top, left = (stride * index for index in divmod(number, per_side))
        total[:, top : top + window, left : left + window] += part
        count[top : top + window, left : left + window] += 1
    whole = F.interpolate(whole, size=(side, side), mode="bilinear", align_corners=False)[0]
    return ((total / count + whole) / 2).logit()
