"""Configuration of MaskFormer for parts."""

from __future__ import annotations

from huggingface_hub.dataclasses import strict

from ..auto_map import AutoMapped
from .configuration_mask_classification import MaskClassificationConfig


@strict
class MaskFormerPartConfig(AutoMapped, MaskClassificationConfig):
    r"""Configuration of `MaskFormerForPartSegmentation`: everything of `MaskClassificationConfig`.

    Its classes are those of `id2label` (or as many as `num_labels`), in that order.
    """

    model_type = "ovparts_maskformer"
    auto_classes = {
        "AutoConfig": "MaskFormerPartConfig",
        "AutoModel": "MaskFormerForPartSegmentation",
        "AutoModelForSemanticSegmentation": "MaskFormerForPartSegmentation",
    }
