"""The loss of the families that score every class at every pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..errors import ConfigurationError

_LEFT_OUT = -1e4  # instead of minus infinity, which times zero is not a number


def part_segmentation_loss(
    logits: torch.Tensor, none_logits: torch.Tensor, labels: torch.Tensor, kind: str, none_weight: float
) -> torch.Tensor:
    """Loss of logits (batch, classes, h, w) and (batch, 1, h, w) of "none" against labels (batch, height, width).

    Labels are resized by nearest neighbour; every id that is no class means "none". "bce" is the benchmark's binary
    cross-entropy, averaged over all channels and pixels; "ce_dice" is cross-entropy over classes plus soft Dice of the
    classes that occur (Milletari et al., 2016). `none_weight` is the weight of "none" against 1 for a class.
    """
    if labels.dim() != 3 or len(labels) != len(logits):
        raise ConfigurationError(
            f"labels has shape {list(labels.shape)}; pass (batch, height, width) with one label map for each of the "
            f"{len(logits)} images."
        )
    scores = torch.cat([logits, none_logits], dim=1).float().clamp(min=_LEFT_OUT)
    num_classes = logits.shape[1]
    target = F.interpolate(labels[:, None].float(), size=scores.shape[-2:], mode="nearest")[:, 0].long()
    target = torch.where((target >= 0) & (target < num_classes), target, num_classes)
    weight = scores.new_ones(num_classes + 1)
    weight[-1] = none_weight
    if kind == "bce":
        one_hot = F.one_hot(target, num_classes + 1).movedim(-1, 1).to(scores)
        return F.binary_cross_entropy_with_logits(scores, one_hot, weight=weight[:, None, None])
    if none_weight == 0 and (target == num_classes).all():
        return 0 * scores.sum()  # nothing counts, and a mean over nothing would be NaN
    return F.cross_entropy(scores, target, weight=weight) + _dice_loss(scores, target)


def _dice_loss(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - Dice, averaged over the (image, class) pairs that occur in the labels; "none" does not take part."""
    one_hot = F.one_hot(target, scores.shape[1]).movedim(-1, 1).to(scores)[:, :-1]
    probability = scores.softmax(1)[:, :-1]
    overlap = 2 * (probability * one_hot).sum((-2, -1)) + 1
    total = probability.sum((-2, -1)) + one_hot.sum((-2, -1)) + 1
    occurs = one_hot.any(-1).any(-1)
    return ((1 - overlap / total) * occurs).sum() / occurs.sum().clamp(min=1)
