"""What the mask of an object does to the first stage of ZSseg+."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ...errors import ConfigurationError


def attention_bias(object_masks: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bias (objects, 1, 1, h * w) on the attention of queries to the deepest map.

    It adds 1 outside the object and 0 inside: the original means to hide the surroundings, but hands a float mask over,
    which is added. Trained weights depend on it.

    Args:
        object_masks: (objects, H, W) float of 0 and 1; a cell belongs to the object if one of its pixels does.
        size: (h, w) of the map, which H and W are multiples of.
    """
    return 1 - F.adaptive_max_pool2d(object_masks[:, None], size).flatten(2)[:, None]


def object_mask_features(mask_features: torch.Tensor, object_masks: torch.Tensor) -> torch.Tensor:
    """Sum of mask features over an object, divided by the area of the whole image.

    Args:
        mask_features: (objects, dim, H / 4, W / 4).
        object_masks: (objects, H, W) float of 0 and 1.

    Returns:
        (objects, dim).
    """
    share = F.avg_pool2d(object_masks, object_masks.shape[-1] // mask_features.shape[-1])
    return torch.einsum("nchw,nhw->nc", mask_features, share) / (share.shape[-2] * share.shape[-1])


def check_object_masks(object_masks: torch.Tensor | None, pixel_values: torch.Tensor, wanted: bool) -> None:
    """Checks that there are object masks if the model wants them, and that they fit the images.

    Raises:
        ConfigurationError: They do not.
    """
    if not wanted:
        if object_masks is not None:
            raise ConfigurationError(
                "object_masks were given, but this model seeks the parts of all objects at once "
                "(object_mask_prompt=False). Leave them out."
            )
        return
    if object_masks is None:
        raise ConfigurationError(
            "This model seeks the parts of a given object, and object_masks is missing. Pass masks (objects, height, "
            "width), from annotations or an object segmenter, or use a model with object_mask_prompt=False."
        )
    images, size = len(pixel_values), tuple(pixel_values.shape[-2:])
    fits = object_masks.dim() == 3 and tuple(object_masks.shape[-2:]) == size and len(object_masks) > 0
    if not fits or images not in (1, len(object_masks)):
        raise ConfigurationError(
            f"object_masks has shape {list(object_masks.shape)} for {images} images of size {list(size)}. Pass "
            f"(objects, {size[0]}, {size[1]}) with one object for each image, or any number for a single image."
        )
