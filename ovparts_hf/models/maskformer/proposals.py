"""What mask classification proposes, and the class map that it makes of it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F


class Proposals(NamedTuple):
    """What the queries of every decoder layer propose.

    Attributes:
        class_logits: (layers, batch, queries, classes + 1), the last column being "no object".
        mask_logits: (layers, batch, queries, H / 4, W / 4).
    """

    class_logits: torch.Tensor
    mask_logits: torch.Tensor


def mask_probabilities(mask_logits: torch.Tensor, padded: tuple[int, int], size: tuple[int, int]) -> torch.Tensor:
    """Enlarges masks (batch, queries, h, w) to the padded image and cuts the padding off.

    Args:
        mask_logits: Before the sigmoid.
        padded: (height, width) that the network saw.
        size: (height, width) of the image at its upper left.

    Returns:
        (batch, queries, *size), 0 to 1.
    """
    enlarged = F.interpolate(mask_logits, size=tuple(padded), mode="bilinear", align_corners=False)
    return enlarged[..., : size[0], : size[1]].sigmoid()


def sum_of_queries(class_scores: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Class maps (batch, classes, h, w) from proposals: the sum over queries of score times mask (MaskFormer, 3.4).

    Args:
        class_scores: (batch, queries, classes), not below zero.
        masks: (batch, queries, h, w), 0 to 1.
    """
    return torch.einsum("bqc,bqhw->bchw", class_scores, masks)


def class_probabilities(class_logits: torch.Tensor) -> torch.Tensor:
    """Probabilities (..., classes) from logits (..., classes + 1); they sum to one together with "no object"."""
    return class_logits.softmax(-1)[..., :-1]
