"""What every part segmentation model returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers.utils import ModelOutput


@dataclass
class PartSegmentationOutput(ModelOutput):
    """Scores of one forward pass.

    Attributes:
        loss: Training loss, scalar; only with `labels`.
        logits: (batch, classes, height, width). Classes that `class_mask` ruled out are minus infinity.
        none_logits: (batch, 1, height, width), the score of "no part"; only with `include_none`.
        class_features: (classes, dim), the encoded class names, ready to be passed in again; None for those that
            the model keeps itself.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    none_logits: torch.FloatTensor | None = None
    class_features: torch.FloatTensor | None = None
