"""How PartCATSeg is trained: part classes, names of parts and objects, and the agreement of classes and objects."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..loss import part_segmentation_loss
from ..part_object import level_losses, level_targets
from .aggregator import LevelScores
from .configuration_partcatseg import PartCATSegConfig
from .vocabulary import Vocabulary

_EPS = 1e-10
_LEFT_OUT = -1e4  # instead of minus infinity, which cannot be resized


class PartCATSegLosses(NamedTuple):
    """Scalars, before they are weighted."""

    classes_on_parts: torch.Tensor
    classes_on_background: torch.Tensor
    parts: torch.Tensor
    objects: torch.Tensor
    divergence: torch.Tensor

    def total(self, config: PartCATSegConfig) -> torch.Tensor:
        """Their weighted sum."""
        return (
            self.classes_on_parts
            + self.classes_on_background
            + config.part_weight * self.parts
            + config.object_weight * self.objects
            + config.divergence_weight * self.divergence
        )


def part_catseg_losses(
    scores: LevelScores,
    vocabulary: Vocabulary,
    labels: torch.Tensor,
    object_labels: torch.Tensor | None,
    config: PartCATSegConfig,
) -> PartCATSegLosses:
    """Losses at the size of the labels, see `level_targets`. The tensors of `scores` have a batch dimension.

    With `segmentation_loss` "ce_dice", part classes are trained as in CATSeg instead.
    """
    size = labels.shape[-2:]
    ids = vocabulary.part_ids[:-1], vocabulary.object_ids[:-1]
    targets = level_targets(labels, object_labels, *ids, size)
    classes, names = (
        F.interpolate(each.float().clamp(min=_LEFT_OUT), size=size, mode="bilinear", align_corners=False)
        for each in (scores.classes, scores.names)
    )
    parts, objects = names.tensor_split([vocabulary.num_parts], dim=1)
    found = level_losses(classes, parts, objects, targets, config.none_weight)
    if config.segmentation_loss != "bce":
        everywhere = part_segmentation_loss(
            classes[:, :-1], classes[:, -1:], labels, config.segmentation_loss, config.none_weight
        )
        found = found._replace(classes_on_parts=everywhere, classes_on_background=torch.zeros_like(everywhere))
    divergence = compositional_divergence(
        *compositional_shares(scores.class_correlation, scores.object_correlation, vocabulary.object_ids)
    )
    return PartCATSegLosses(*found, divergence)


def compositional_shares(
    class_correlation: torch.Tensor, object_correlation: torch.Tensor, object_ids: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The share of each object by the sum over its parts and by its own name, (batch, objects + 1, tokens) twice.

    From the correlations (batch, classes + 1, tokens) and (batch, objects + 1, tokens), and the object of each class.
    """
    classes, objects = ((each.float().softmax(1) + _EPS) for each in (class_correlation, object_correlation))
    belongs = object_ids == torch.arange(objects.shape[1], device=object_ids.device)[:, None]
    with torch.autocast(classes.device.type, enabled=False):  # a small share would become 0 in half precision
        return torch.einsum("oc,bcn->bon", belongs.to(classes), classes), objects


def compositional_divergence(by_parts: torch.Tensor, by_name: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence of (batch, objects + 1, tokens), averaged over images and tokens."""
    first, second = by_parts + _EPS, by_name + _EPS
    middle = ((first + second) / 2).log()
    divergence = first * (first.log() - middle) + second * (second.log() - middle)
    return divergence.sum(1).mean() / 2
