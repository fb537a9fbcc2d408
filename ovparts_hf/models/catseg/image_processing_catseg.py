"""From an image to what CATSeg sees, step by step as in the benchmark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import BatchFeature
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, SizeDict

from ...errors import OVPartsError
from ..image_processing import PartSegmentationImageProcessor
from ..limits import check_image_settings

Normalization = Callable[[torch.Tensor], torch.Tensor]


class CATSegImageProcessor(PartSegmentationImageProcessor):
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
        sliding_window: Whether to cut overlapping windows from a larger square instead, and add the whole image. They
            have the ResNet's size, and are scaled to that of CLIP.
        canvas_size: Side of that larger square; None for two windows along each side, 640 pixels in the benchmark.
        **kwargs: Others of transformers' image processors. Without `do_resize` there is neither scaling nor windows.
    """

    auto_classes = {"AutoImageProcessor": "CATSegImageProcessor"}
    scores = "probabilities"
    has_sliding_window = True
    size = {"height": 384, "width": 384}
    image_mean = OPENAI_CLIP_MEAN
    image_std = OPENAI_CLIP_STD

    def __init__(
        self,
        size: dict[str, int] | None = None,
        shortest_edge: int = 640,
        longest_edge: int = 768,
        size_divisor: int = 32,
        sliding_window: bool = False,
        canvas_size: int | None = None,
        backbone_size: dict[str, int] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs, **({} if size is None else {"size": size}))
        self.backbone_size = None if backbone_size is None else dict(backbone_size)
        self.shortest_edge, self.longest_edge = shortest_edge, longest_edge
        self.size_divisor = size_divisor
        self.sliding_window = sliding_window
        check_image_settings(self)
        side = self._sides(self.size)[-1]
        self.canvas_size = side + window_stride(side) if canvas_size is None else canvas_size
        check_image_settings(self)
        _check_canvas(self.canvas_size, side)

    def __call__(self, images: Any, augmented: bool | None = None, **kwargs: Any) -> BatchFeature:
        """Prepares images, see `PartSegmentationImageProcessor.__call__`.

        Returns:
            `pixel_values` (batch, 3, side, side) float32; with `backbone_size` also `backbone_pixel_values` (batch, 3,
                backbone side, backbone side), of the same normalisation; and `pixel_mask` float32, how much of each
                pixel that the ResNet sees is image. For sliding windows `pixel_values` and `backbone_pixel_values` are
                (batch, windows + 1, 3, ...), and there is no `pixel_mask`.
        """
        if augmented:
            kwargs.setdefault("do_resize", False)
        return super().__call__(images, **kwargs)

    @property
    def model_input_names(self) -> list[str]:
        """Names of what is prepared for the model."""
        images = ["pixel_values"] if self.backbone_size is None else ["pixel_values", "backbone_pixel_values"]
        return images if self.sliding_window else [*images, "pixel_mask"]

    def _sides(self, size: SizeDict) -> list[int]:
        """Sides of what CLIP sees and, if that is something else, of what the ResNet sees."""
        return [size["height"], *([] if self.backbone_size is None else [self.backbone_size["height"]])]

    def _preprocess(
        self,
        images: Sequence[np.ndarray],
        size: SizeDict,
        do_resize: bool,
        resample: int | None,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: Sequence[float],
        image_std: Sequence[float],
        return_tensors: str | None,
        **kwargs: Any,
    ) -> BatchFeature:
        if do_resize:
            images = [self._scale(image, resample) for image in images]
        scale = rescale_factor if do_rescale else 1
        normalize = partial(_normalize, scale, *((image_mean, image_std) if do_normalize else (0, 1)))
        prepare = self._cut if self.sliding_window and do_resize else self._squeeze
        sides = self._sides(size)
        prepared = [prepare(torch.from_numpy(image).float(), sides, normalize) for image in images]
        data = {name: torch.stack([inputs[name] for inputs in prepared]) for name in prepared[0]}
        return BatchFeature(data, tensor_type=return_tensors)

    def _scale(self, image: np.ndarray, resample: int | None = None) -> np.ndarray:
        return self.resize(image, SizeDict(shortest_edge=self.shortest_edge, longest_edge=self.longest_edge), resample)

    def _squeeze(self, image: torch.Tensor, sides: Sequence[int], normalize: Normalization) -> dict[str, torch.Tensor]:
        """A padded image (3, height, width) as a square for CLIP and one for the ResNet."""
        bottom, right = (-side % self.size_divisor for side in image.shape[-2:])
        layers = torch.cat([normalize(image), image.new_ones(1, *image.shape[-2:])])
        layers = F.pad(layers, (0, right, 0, bottom))[None]
        squares = [_resize(layers, side)[0] for side in sides]
        return _named([square[:-1] for square in squares]) | {"pixel_mask": squares[-1][-1]}

    def _cut(self, image: torch.Tensor, sides: Sequence[int], normalize: Normalization) -> dict[str, torch.Tensor]:
        """The windows of an image (3, height, width), and then the whole, for CLIP and for the ResNet."""
        side = sides[-1]
        _check_canvas(self.canvas_size, side)
        windows = cut_windows(_resize(image[None], self.canvas_size)[0], side)
        windows = normalize(torch.cat([windows, _resize(image[None], side)]))
        return _named([windows if each == side else _resize(windows, each) for each in sides])


def _check_canvas(canvas_size: int, side: int) -> None:
    stride = window_stride(side)
    if canvas_size < side or (canvas_size - side) % stride:
        raise OVPartsError(f"canvas_size is {canvas_size}; windows of {side} fit {side} plus a multiple of {stride}.")


def _normalize(
    scale: float, mean: Sequence[float] | float, std: Sequence[float] | float, image: torch.Tensor
) -> torch.Tensor:
    mean, std = ((1 / scale) * torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
    return (image - mean) / std


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
