"""Losses over a score map per class and one for "none"."""

from __future__ import annotations

import torch
import torch.nn.functional as F

_LEFT_OUT = -1e4  # instead of minus infinity, which times zero is not a number


def part_segmentation_loss(
    logits: torch.Tensor, none_logits: torch.Tensor, labels: torch.Tensor, kind: str, none_weight: float
) -> torch.Tensor:
    """Loss of score maps against part ids.

    Args:
        logits: (batch, classes, height, width); minus infinity where a class is left out for an image.
        none_logits: (batch, 1, height, width).
        labels: (batch, height', width'); every id that is no class means "none". Resized by nearest neighbour.
        kind: "bce", the benchmark's binary cross-entropy, averaged over all channels and pixels; "ce_dice", cross-
            entropy
            over classes plus soft Dice of the classes that occur (Milletari et al., 2016).
        none_weight: Weight of the "none" channel against 1 for a class (0.05 in the benchmark).
    """
    scores = torch.cat([logits, none_logits], dim=1).float().clamp(min=_LEFT_OUT)
    num_classes = logits.shape[1]
    target = F.interpolate(labels[:, None].float(), size=scores.shape[-2:], mode="nearest")[:, 0].long()
    target = torch.where((target >= 0) & (target < num_classes), target, num_classes)
    weight = scores.new_ones(num_classes + 1)
    weight[-1] = none_weight
    if kind == "bce":
        one_hot = F.one_hot(target, num_classes + 1).movedim(-1, 1).to(scores)
        return F.binary_cross_entropy_with_logits(scores, one_hot, weight=weight[:, None, None])
    return F.cross_entropy(scores, target, weight=weight) + _dice_loss(scores, target)


def _dice_loss(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - Dice, averaged over the (image, class) pairs that occur in the labels; "none" does not take part."""
    one_hot = F.one_hot(target, scores.shape[1]).movedim(-1, 1).to(scores)[:, :-1]
    probability = scores.softmax(1)[:, :-1]
    overlap = 2 * (probability * one_hot).sum((-2, -1)) + 1
    total = probability.sum((-2, -1)) + one_hot.sum((-2, -1)) + 1
    occurs = one_hot.any(-1).any(-1)
    return ((1 - overlap / total) * occurs).sum() / occurs.sum().clamp(min=1)
