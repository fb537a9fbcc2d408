"""Regions of an image as CLIP is asked about them: crop boxes, normalisation, features pooled under masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from .clip import dense_features

_EMPTY = 1e-6  # keeps the mean over no patch at zero

Box = tuple[int, int, int, int]
EncodeRegions = Callable[[torch.Tensor], torch.Tensor]
"""Regions (regions, 3, side, side) that are normalised for CLIP -> what it sees in them."""


def mask_box(mask: torch.Tensor) -> Box:
    """The tight box (left, top, right, bottom), right and bottom exclusive, of a mask (h, w) bool that is not empty."""
    rows, columns = mask.any(1).cpu().nonzero(), mask.any(0).cpu().nonzero()
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def expand_box(box: Box, ratio: float, size: tuple[int, int], precision: type[np.floating] = np.float64) -> Box:
    """Scales a box about its centre, truncates to whole pixels and stays within an image of `size` (height, width)."""
    # The original computes boxes of objects in np.float64, those of proposals in np.float32: a pixel can differ.
    left, top, right, bottom = (precision(edge) for edge in box)
    half = precision(0.5)
    x, y = half * (left + right), half * (top + bottom)
    half_width, half_height = half * ((right - left) * precision(ratio)), half * ((bottom - top) * precision(ratio))
    left, top, right, bottom = int(x - half_width), int(y - half_height), int(x + half_width), int(y + half_height)
    height, width = size
    return max(left, 0), max(top, 0), min(right, width), min(bottom, height)


def crop(maps: torch.Tensor, box: Box) -> torch.Tensor:
    """The part of maps (..., h, w) inside a box."""
    left, top, right, bottom = box
    return maps[..., top:bottom, left:right]


def clip_normalized(
    pixel_values: torch.Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    clip_mean: Sequence[float] = tuple(OPENAI_CLIP_MEAN),
    clip_std: Sequence[float] = tuple(OPENAI_CLIP_STD),
) -> torch.Tensor:
    """Changes the normalisation of images (..., 3, h, w) from `mean` and `std`, of values 0 to 1, to CLIP's."""
    mean, std, clip_mean, clip_std = (
        pixel_values.new_tensor(values)[:, None, None] for values in (mean, std, clip_mean, clip_std)
    )
    return (pixel_values * std + (mean - clip_mean)) / clip_std


def object_region(
    pixel_values: torch.Tensor, object_mask: torch.Tensor, part_masks: torch.Tensor, ratio: float, region_size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """An image (3, side, side), and masks (1, side, side) and (parts, side, side), of an object's box, as squares."""
    box = expand_box(mask_box(object_mask), ratio, tuple(object_mask.shape))
    size = (region_size, region_size)
    image = F.interpolate(crop(pixel_values, box)[None], size=size, mode="bilinear", align_corners=False)[0]
    masks = crop(torch.cat([object_mask[None], part_masks]), box).to(pixel_values.dtype)
    masks = F.interpolate(masks[None], size=size, mode="nearest")[0]
    return image, masks[:1], masks[1:]


def patch_features(clip: nn.Module, regions: torch.Tensor) -> torch.Tensor:
    """Unit features (regions, patches, projection dim) of CLIP for each patch of squares normalised for it."""
    return F.normalize(dense_features(clip, regions)[:, 1:], dim=-1)


def patch_masks(masks: torch.Tensor, patch_size: int) -> torch.Tensor:
    """Which patches (masks, patches) masks (masks, h, w) touch."""
    return F.max_pool2d(masks[:, None], patch_size).flatten(1)


def masked_means(features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Means (masks, dim) of features (patches, dim) under masks (masks, patches); not unit vectors."""
    return masks @ features / (masks.sum(1, keepdim=True) + _EMPTY)


def object_and_part_features(
    encode: EncodeRegions,
    pixel_values: torch.Tensor,
    object_mask: torch.Tensor,
    part_masks: torch.Tensor,
    ratio: float = 1.2,
    region_size: int = 384,
) -> tuple[torch.Tensor, torch.Tensor]:
    """CLIP's features of an object (1, dim) and its parts (parts, dim) by one look (OV-PARTS, section 4.1).

    `encode` gives features of the patches of a region, see `patch_features`.
    """
    image, *masks = object_region(pixel_values, object_mask, part_masks, ratio, region_size)
    features = encode(image[None])[0]
    patch_size = region_size // math.isqrt(len(features))
    object_patches, part_patches = (patch_masks(each, patch_size) for each in masks)
    return masked_means(features, object_patches), masked_means(features, part_patches)


def masked_crops(pixel_values: torch.Tensor, masks: torch.Tensor, ratio: float, region_size: int) -> torch.Tensor:
    """Cuts each mask (masks, h, w) out of an image (3, h, w) for CLIP: squares, with CLIP's mean colour outside."""
    size = (region_size, region_size)
    regions = []
    for mask in masks:
        box = expand_box(mask_box(mask), ratio, tuple(mask.shape), np.float32)
        region = crop(pixel_values, box) * crop(mask, box)
        regions.append(F.interpolate(region[None], size=size, mode="bicubic", align_corners=False))
    return torch.cat(regions)
