"""What ZSseg adds to a MaskFormer: the mask of an object prompts the queries (ZSseg+), CLIP names what they propose,
and both opinions are multiplied."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ...errors import ConfigurationError
from ..clip_regions import EncodeRegions, masked_crops, object_and_part_features
from .configuration_zsseg import ZSSegConfig

CROPS_AT_ONCE = 32


def ensemble(query_scores: torch.Tensor, clip_scores: torch.Tensor, exponents: torch.Tensor) -> torch.Tensor:
    """Weighted geometric mean of two opinions; `exponents` (0 to 1) is the share of the queries'."""
    return query_scores**exponents * clip_scores ** (1 - exponents)


def clip_proposal_scores(
    encode: EncodeRegions,
    config: ZSSegConfig,
    pixel_values: torch.Tensor,
    masks: torch.Tensor,
    class_features: torch.Tensor,
) -> torch.Tensor:
    """Plain ZSseg: CLIP looks at each proposal (queries, h, w) in an image (3, h, w), cut out and blanked around.

    Returns a distribution over classes for each query; 1 everywhere if its mask exceeds the threshold nowhere.
    """
    masks = masks > config.mask_threshold
    found = masks.flatten(1).any(1)
    scores = class_features.new_ones(len(masks), len(class_features))
    if found.any():
        crops = masked_crops(pixel_values, masks[found], config.crop_ratio, config.region_size)
        features = torch.cat([encode(some) for some in crops.split(CROPS_AT_ONCE)])
        scores[found] = (config.temperature * features @ class_features.T).softmax(-1).to(scores)
    return scores


def clip_part_features(
    encode: EncodeRegions,
    config: ZSSegConfig,
    pixel_values: torch.Tensor,
    object_mask: torch.Tensor,
    predicted: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ZSseg+: CLIP looks once at an object (h, w), and at its parts as the queries see them.

    `predicted` (h, w) is the class that the queries prefer at each pixel. Returns the classes (parts,) predicted
    somewhere on the object, ascending, and the features of the object (1, dim) and of these parts of it (parts, dim).
    """
    present = predicted[object_mask].unique()
    part_masks = (predicted == present[:, None, None]) & object_mask
    features = object_and_part_features(
        encode, pixel_values, object_mask, part_masks, config.crop_ratio, config.region_size
    )
    return present, *features


def attention_bias(object_masks: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bias (objects, 1, 1, h * w) of masks (objects, H, W) on the attention of queries to the deepest map (h, w).

    It adds 1 outside the object and 0 inside: the original means to hide the surroundings, but hands a float mask over,
    which is added. Trained weights depend on it. A cell belongs to the object if one of its pixels does.
    """
    strides = [side // cells for side, cells in zip(object_masks.shape[1:], size)]
    return 1 - F.max_pool2d(object_masks, strides).flatten(1)[:, None, None]


def object_mask_features(mask_features: torch.Tensor, object_masks: torch.Tensor) -> torch.Tensor:
    """Sum (objects, dim) of features (objects, dim, H / 4, W / 4) over masks (objects, H, W), per pixel."""
    stride = object_masks.shape[-1] // mask_features.shape[-1]
    share = F.avg_pool2d(object_masks, (stride, stride))
    return torch.einsum("nchw,nhw->nc", mask_features, share) / (share.shape[-2] * share.shape[-1])


def check_object_masks(object_masks: torch.Tensor | None, pixel_values: torch.Tensor, required: bool) -> None:
    """Checks that there are object masks if the model requires them, and that they fit the images."""
    if not required:
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
