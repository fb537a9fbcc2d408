"""What PartCLIPSeg's attention control wants: parts that attend to different cells, and each to at least one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..part_object import LevelTargets

_TINY = 1e-9
_NEXT_TO_MIDDLE = torch.tensor(-1.0).exp().item()
"""Weight of a neighbour in smoothing, 1 being that of the middle: the released code squares x / (2 sigma), so that its
Gaussian of sigma 0.5 has a deviation of 0.71."""


class ImageTargets(NamedTuple):
    """What is in one image, on the decoder's grid.

    Attributes:
        class_ids: (classes,) int64, the labelled ones.
        class_masks: (classes, height, width) bool, where they are; one may have no cell.
        objects: (objects,) int64.
        object_masks: (objects, height, width) bool.
    """

    class_ids: torch.Tensor
    class_masks: torch.Tensor
    objects: torch.Tensor
    object_masks: torch.Tensor


def image_targets(targets: LevelTargets, image: int, grid: tuple[int, int], drop_last_object: bool) -> ImageTargets:
    """Reads the labels of one image; `drop_last_object` leaves out the last one if every pixel is of an object."""
    classes, objects = targets.classes[image], targets.objects[image]
    class_ids, object_ids = classes.unique(), objects.unique()
    if drop_last_object and object_ids[0] >= 0:
        object_ids = object_ids[:-1]
    class_ids, object_ids = class_ids[class_ids >= 0], object_ids[object_ids >= 0]
    on_grid = F.interpolate(torch.stack([classes, objects])[None].float(), size=grid, mode="nearest")[0].long()
    class_masks, object_masks = (
        cells == ids[:, None, None] for cells, ids in zip(on_grid, (class_ids, object_ids), strict=True)
    )
    return ImageTargets(class_ids, class_masks, object_ids, object_masks)


def attended_cells(attention: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """How much a part attends to each cell (parts, height, width), from within its mask, averaged over *all* cells.

    `attention` is (parts, 1 + cells, 1 + cells), the class token first, and `masks` (parts, height, width) bool.
    """
    of_cells = attention[:, 1:, 1:]
    rows = masks.flatten(1).to(of_cells)[:, None]
    return (rows @ of_cells / of_cells.shape[1]).view(masks.shape)


def smooth(maps: torch.Tensor) -> torch.Tensor:
    """(n, height, width) with a 3 x 3 Gaussian, reflected at the border."""
    line = maps.new_tensor([_NEXT_TO_MIDDLE, 1.0, _NEXT_TO_MIDDLE])
    kernel = line[:, None] * line
    padded = F.pad(maps[:, None], (1, 1, 1, 1), mode="reflect")
    return F.conv2d(padded, (kernel / kernel.sum())[None, None])[:, 0]


def relative_attention(attended: torch.Tensor) -> torch.Tensor:
    """(n, height, width) from 0, where a part attends least, to 1, where it attends most, smoothed."""
    least, most = attended.flatten(1).aminmax(dim=1)
    return smooth((attended - least[:, None, None]) / (most - least + _TINY)[:, None, None])


class ControlLosses(NamedTuple):
    """Scalars of the separation and of the enhancement loss."""

    separation: torch.Tensor
    enhancement: torch.Tensor


def control_losses(
    attended: Sequence[torch.Tensor], images: Sequence[ImageTargets], object_of: torch.Tensor | None, threshold: float
) -> ControlLosses:
    """The losses of attention control, averaged over objects and once more divided by the number of images.

    Args:
        attended: From `attended_cells`, for each image its classes.
        images: What is in each image; those without a labelled class do not count.
        object_of: (classes,) the object of each class, to compare an object's own parts; None: all in the image.
        threshold: Relative attention above which a part claims a cell.
    """
    separation, enhancement = [], []
    for cells, image in zip(attended, images, strict=True):
        if not len(image.class_ids):
            continue
        claims, peaks = relative_attention(cells.detach()) > threshold, smooth(cells).flatten(1).amax(1)
        for object_id, mask in zip(image.objects, image.object_masks, strict=True):
            own = torch.ones_like(peaks, dtype=torch.bool)
            if object_of is not None:
                own = object_of[image.class_ids] == object_id
                if not own.any():
                    continue
            parts_there = (claims[own] & mask).sum(0)
            separation.append((parts_there > 1).sum() / ((parts_there >= 1).sum() + _TINY))
            enhancement.append(1 - peaks[own].min(0).values.clamp(max=1))
    if not separation:
        nothing = attended[0].new_zeros(())
        return ControlLosses(nothing, nothing)
    return ControlLosses(*(torch.stack(each).mean() / len(images) for each in (separation, enhancement)))
