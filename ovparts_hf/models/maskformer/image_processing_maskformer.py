"""From an image and the masks of its objects to what mask classification models see."""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers import BatchFeature
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from ...errors import OVPartsError
from ...utils.resize import resize_nearest
from ..image_processing import PartSegmentationImageProcessor

BENCHMARK_SIZE = {"shortest_edge": 512, "longest_edge": 2048}
"""In pixels, of the original's MaskFormer at test time, and of ZSseg, built on it. ZSseg+ has a lower limit."""


class MaskClassificationImageProcessor(PartSegmentationImageProcessor):
    """Scales an image by its short side with Pillow, rescales and normalises it; its shape is kept.

    `size` has "shortest_edge", the length of the short side, and "longest_edge", which the long side may not exceed;
    both are in pixels, and sides are rounded as in the benchmark.
    """

    auto_classes = {"AutoImageProcessor": "MaskClassificationImageProcessor"}
    scores = "plain"
    image_mean = IMAGENET_DEFAULT_MEAN
    image_std = IMAGENET_DEFAULT_STD
    size = {"shortest_edge": 512, "longest_edge": 768}
    do_convert_rgb = True

    def __call__(
        self,
        images: Any,
        object_masks: Any = None,
        augmented: bool | None = None,
        return_tensors: str | None = "pt",
        **kwargs: Any,
    ) -> BatchFeature:
        """Prepares images that get the same size, see `PartSegmentationProcessor.__call__`.

        Returns:
            `pixel_values` (batch, 3, height, width) float32 and, if masks are given, `object_masks` (objects, height,
                width) float32 of 0 and 1, resized by nearest neighbour as the image is.

        Raises:
            OVPartsError: The images get different sizes.
        """
        if augmented:
            kwargs.setdefault("do_resize", False)
        images = super().__call__(images, return_tensors=None, **kwargs)["pixel_values"]
        sizes = {image.shape[-2:] for image in images}
        if len(sizes) > 1:
            raise OVPartsError(f"The images get different sizes {sorted(sizes)}; prepare them one by one.")
        data = {"pixel_values": np.stack(images).astype(np.float32)}
        if object_masks is not None:
            masks = np.asarray(object_masks, dtype=bool)
            data["object_masks"] = resize_nearest(masks, *sizes, precision=np.float32).astype(np.float32)
        return BatchFeature(data, tensor_type=return_tensors)
