"""From an image, of any kind, to the pixels that a model takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature
from transformers.image_utils import ChannelDimension, SizeDict
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from ..errors import ImageError
from ..utils.images import MAX_PIXELS, load_image
from ..utils.resize import shortest_edge_size
from .configuration_utils import AutoMapped
from .limits import check_image_settings
from .post_processing import SemanticLabelMaps

_NO_LIMIT = 2**62  # of pixels, where whoever opened the image has set one


class PartSegmentationImageProcessor(AutoMapped, SemanticLabelMaps, ViTImageProcessorPil):
    """Resizes an image to a square with Pillow, rescales and normalises it.

    Always Pillow, whatever is installed: torchvision's resize differs by up to one grey level, which moves scores.
    """

    auto_classes = {"AutoImageProcessor": "PartSegmentationImageProcessor"}
    scores = "logits"

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        check_image_settings(self)

    def __call__(self, images: Any, augmented: bool | None = None, **kwargs: Any) -> BatchFeature:
        """Prepares images; those from training augmentation (`augmented`) are treated like any other.

        Args:
            images: An image or a list, also of lists, as `utils.images.load_image` takes them, or tensors; arrays and
                tensors are uint8 or uint16, with the channels first or last, and may be a batch.
            **kwargs: As for the image processors of transformers. `return_tensors` is "pt" unless given. Images become
                upright RGB; with `do_convert_rgb=False` they keep their channels, of 8 bits.

        Returns:
            `pixel_values` (batch, 3, size, size) float32.

        Raises:
            ImageError: There is none, or something that is not an image.
        """
        return super().__call__(images, **{"return_tensors": "pt", **kwargs})

    def _prepare_images_structure(self, images: Any, expected_ndims: int = 3) -> list[Any]:
        images = _flatten(images)
        if not images:
            raise ImageError("No image was given.")
        return images

    def process_image(
        self,
        image: Any,
        do_convert_rgb: bool | None = None,
        input_data_format: str | ChannelDimension | None = None,
        **kwargs: Any,
    ) -> np.ndarray:
        """One image as an array (channels, height, width), uint8."""
        if do_convert_rgb is not False:
            return np.array(_as_rgb(image, input_data_format)).transpose(2, 0, 1)
        try:
            array = super().process_image(image, False, input_data_format, **kwargs)
        except ValueError as error:
            raise ImageError(f"This image cannot be prepared: {error}") from error
        if array.dtype != np.uint8:
            raise ImageError(f"This image is {array.dtype}; without conversion to RGB it must be uint8.")
        return array

    def resize(self, image: np.ndarray, size: SizeDict, *args: Any, **kwargs: Any) -> np.ndarray:
        """Resizes an image (channels, height, width); by its shortest edge, sides are rounded as in the benchmark."""
        if size.shortest_edge and size.longest_edge:
            height, width = shortest_edge_size(*image.shape[-2:], size.shortest_edge, size.longest_edge)
            size = SizeDict(height=max(height, 1), width=max(width, 1))
        return super().resize(image, size, *args, **kwargs)


def _flatten(images: Any) -> list[Any]:
    """The images in a list of lists, or in a batch (images, ., ., .)."""
    if isinstance(images, list | tuple):
        return [image for group in images for image in _flatten(group)]
    return list(images) if getattr(images, "ndim", None) == 4 else [images]


def _as_rgb(image: Any, layout: str | ChannelDimension | None = None) -> Image.Image:
    """Upright 8-bit RGB. Without a `layout`, the channels of an array come first if 1, 3 or 4 are there."""
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu().numpy()
    if isinstance(image, np.ndarray) and image.ndim == 3:
        channels_first = image.shape[0] in (1, 3, 4) if layout is None else layout == ChannelDimension.FIRST
        image = image.transpose(1, 2, 0) if channels_first else image
    try:
        return load_image(image, MAX_PIXELS if isinstance(image, str | Path) else _NO_LIMIT)
    except ImageError as error:
        raise ImageError(f"This image cannot be prepared: {error}") from error
