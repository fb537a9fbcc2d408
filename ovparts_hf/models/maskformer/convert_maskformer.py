"""The original's fully supervised MaskFormer checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from ..checkpoints import KeyReport, load_accounted, read_checkpoint
from .configuration_maskformer import MaskFormerPartConfig
from .modeling_maskformer import MaskFormerForPartSegmentation
from .names import account_mask_classification


def convert_maskformer(
    checkpoint: str | Path, config: MaskFormerPartConfig
) -> tuple[MaskFormerForPartSegmentation, KeyReport]:
    """Builds the model of a checkpoint of the original.

    Args:
        checkpoint: A detectron2 `.pth` or a safetensors file with the original's key names.
        config: Sizes and classes of the model; `backbone_config` says whether it is an R50 or an R101c.

    Returns:
        The model, and what became of each key.

    Raises:
        CheckpointError: The file is unreadable, or a key or shape is unexplained.
    """
    tensors = read_checkpoint(checkpoint)
    report = account_keys(tensors, config)
    model = MaskFormerForPartSegmentation(config)
    load_accounted(model, tensors, report)
    return model.eval(), report


def account_keys(tensors: Mapping[str, torch.Tensor], config: MaskFormerPartConfig) -> KeyReport:
    """Sorts the original's keys into used and derivable; others stay unexplained."""
    report = KeyReport()
    account_mask_classification(tensors, config, report)
    return report
