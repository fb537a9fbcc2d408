"""Training of mask classification: masks of the labels are matched with proposals, then pairs are compared."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from transformers.models.maskformer.modeling_maskformer import MaskFormerHungarianMatcher, dice_loss, sigmoid_focal_loss

from .configuration_maskformer import MaskClassificationConfig
from .modules import pad_to_multiple

Targets = tuple[list[torch.Tensor], list[torch.Tensor]]


def masks_from_labels(labels: torch.Tensor, size: tuple[int, int], num_classes: int, stride: int = 1) -> Targets:
    """Masks (n, height, width) float32 of 0 and 1, and class ids (n,), of each label map (batch, height', width'), for
    the classes below `num_classes` that occur; at the images' `size`, then extended as they are, of which every
    `stride`th pixel is kept along each side.
    """
    if tuple(labels.shape[-2:]) != tuple(size):
        labels = F.interpolate(labels[:, None].float(), size=size, mode="nearest")[:, 0].long()
    ids = [each[(each >= 0) & (each < num_classes)].unique() for each in labels]
    kept = slice(stride // 2, None, stride)
    masks = [
        pad_to_multiple((each == present[:, None, None]).float())[:, kept, kept] for each, present in zip(labels, ids)
    ]
    return masks, ids


def mask_classification_loss(
    class_logits: Sequence[torch.Tensor],
    mask_logits: Sequence[torch.Tensor],
    targets: Targets,
    config: MaskClassificationConfig,
    across_processes: bool = False,
) -> dict[str, torch.Tensor]:
    """Weighted losses of each decoder layer, whose proposals are matched on their own (MaskFormer, section 3.2).

    Takes `Proposals`, layer by layer, and `masks_from_labels`. Names end in "_0", "_1", ... but for the last layer; the
    sum is the training loss. With `across_processes`, which all processes must pass together, the losses of masks are
    divided by their mean number per process, so that each mask weighs the same.
    """
    num_masks = _count_masks(targets[0], across_processes)
    matcher = MaskFormerHungarianMatcher(config.cross_entropy_weight, config.mask_weight, config.dice_weight)
    losses = {}
    for depth, (classes, masks) in enumerate(zip(class_logits, mask_logits)):
        suffix = "" if depth == len(class_logits) - 1 else f"_{depth}"
        pairs = matcher(masks.float(), classes.float(), *targets)
        focal, dice = _mask_losses(masks.float(), targets[0], pairs, num_masks)
        cross_entropy = _class_loss(classes.float(), targets[1], pairs, config.no_object_weight)
        losses[f"loss_ce{suffix}"] = config.cross_entropy_weight * cross_entropy
        losses[f"loss_mask{suffix}"] = config.mask_weight * focal
        losses[f"loss_dice{suffix}"] = config.dice_weight * dice
    return losses


Pairs = list[tuple[torch.Tensor, torch.Tensor]]  # per image: queries, and the targets that they were given


def _class_loss(logits: torch.Tensor, class_ids: list[torch.Tensor], pairs: Pairs, none_weight: float) -> torch.Tensor:
    """Cross-entropy of all queries; those without a target should answer "no object"."""
    none = logits.shape[-1] - 1
    target = torch.full(logits.shape[:2], none, device=logits.device)
    for row, ids, (queries, matched) in zip(target, class_ids, pairs):
        row[queries] = ids[matched]
    weight = logits.new_ones(none + 1)
    weight[none] = none_weight
    return F.cross_entropy(logits.transpose(1, 2), target, weight)


def _count_masks(masks: list[torch.Tensor], across_processes: bool) -> float:
    """How many masks there are to learn, in the mean over processes, but at least one."""
    count = sum(len(each) for each in masks)
    if across_processes and dist.is_available() and dist.is_initialized():
        total = torch.tensor(float(count), device=masks[0].device)
        dist.all_reduce(total)
        count = total.item() / dist.get_world_size()
    return max(1, count)


def _mask_losses(
    logits: torch.Tensor, masks: list[torch.Tensor], pairs: Pairs, num_masks: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Focal and Dice loss of the matched masks at the size of the targets."""
    # index_select, not indexing: its gradient is summed in a fixed order, so that training can be repeated exactly.
    queries = [index * logits.shape[1] + matched for index, (matched, _) in enumerate(pairs)]
    predicted = logits.flatten(0, 1).index_select(0, torch.cat(queries).to(logits.device))
    target = torch.cat([each[matched] for each, (_, matched) in zip(masks, pairs)])
    if len(target) == 0:
        return logits.sum() * 0, logits.sum() * 0
    predicted = F.interpolate(predicted[:, None], size=target.shape[-2:], mode="bilinear", align_corners=False)
    predicted, target = predicted.flatten(1), target.flatten(1)
    return sigmoid_focal_loss(predicted, target, num_masks), dice_loss(predicted, target, num_masks)
