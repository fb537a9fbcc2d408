"""The second stage of ZSseg: CLIP names what the first stage proposed, and both opinions are multiplied."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..clip_regions import masked_crops, object_and_part_features
from .configuration_zsseg import ZSSegConfig

CROPS_AT_ONCE = 32


def ensemble(query_scores: torch.Tensor, clip_scores: torch.Tensor, exponents: torch.Tensor) -> torch.Tensor:
    """Weighted geometric mean of two opinions; `exponents` (0 to 1) is the share of the queries'."""
    return query_scores**exponents * clip_scores ** (1 - exponents)


def clip_proposal_scores(
    clip: nn.Module,
    config: ZSSegConfig,
    pixel_values: torch.Tensor,
    masks: torch.Tensor,
    class_features: torch.Tensor,
) -> torch.Tensor:
    """Plain ZSseg: CLIP looks at each proposal, cut out and blanked around.

    Args:
        clip: A transformers `CLIPModel`.
        config: Of the model.
        pixel_values: (3, h, w), normalised for CLIP.
        masks: (queries, h, w), 0 to 1.
        class_features: (classes, dim) unit vectors.

    Returns:
        (queries, classes), a distribution for each query; 1 everywhere if its mask exceeds the threshold nowhere.
    """
    masks = masks > config.mask_threshold
    found = masks.flatten(1).any(1)
    scores = class_features.new_ones(len(masks), len(class_features))
    if found.any():
        crops = masked_crops(pixel_values, masks[found], config.crop_ratio, config.region_size)
        features = torch.cat([_image_features(clip, config, some) for some in crops.split(CROPS_AT_ONCE)])
        scores[found] = (config.temperature * features @ class_features.T).softmax(-1)
    return scores


def clip_part_features(
    clip: nn.Module,
    config: ZSSegConfig,
    pixel_values: torch.Tensor,
    object_mask: torch.Tensor,
    predicted: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ZSseg+: CLIP looks once at an object, and at its parts as the queries see them.

    Args:
        clip: A transformers `CLIPModel`.
        config: Of the model.
        pixel_values: (3, h, w), normalised for CLIP.
        object_mask: (h, w) bool, not empty.
        predicted: (h, w) int64, the class that the queries prefer at each pixel.

    Returns:
        The classes (parts,) int64 predicted somewhere on the object, ascending, and the features of the object (1, dim)
        and of these parts of it (parts, dim).
    """
    present = predicted[object_mask].unique()
    part_masks = (predicted == present[:, None, None]) & object_mask
    features = object_and_part_features(
        clip, pixel_values, object_mask, part_masks, config.crop_ratio, config.region_size
    )
    return present, *features


def _image_features(clip: nn.Module, config: ZSSegConfig, crops: torch.Tensor) -> torch.Tensor:
    resized = config.region_size != config.vision_config.image_size
    return F.normalize(clip.get_image_features(crops, interpolate_pos_encoding=resized).pooler_output, dim=-1)
