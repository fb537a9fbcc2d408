"""Classifying the parts of given objects with CLIP, by prompts with learned vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPModel
from transformers.utils import ModelOutput

from ...models.prompts import LearnedPrompts, prompt_features


@dataclass
class PromptClassifierOutput(ModelOutput):
    """The loss, a scalar cross-entropy (only with labels), and logits (rows, classes), -inf for excluded classes."""

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None


class PromptClassifier(nn.Module):
    """The CLIP branch of ZSseg+ on its own, for tuning prompts; CLIP is frozen, and not in the state dict."""

    clip: CLIPModel

    def __init__(self, clip: CLIPModel, prompts: LearnedPrompts, temperature: float = 100.0) -> None:
        super().__init__()
        self.prompts = prompts
        self.temperature = temperature
        object.__setattr__(self, "clip", clip.eval().requires_grad_(False))  # so that it is no submodule

    def forward(
        self,
        part_features: torch.Tensor,
        object_features: torch.Tensor,
        class_mask: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> PromptClassifierOutput:
        """Classifies parts (rows,) among the candidates of `class_mask` (rows, classes), the parts of the row's object.

        Features (rows, dim) are means of CLIP's unit vectors; `input_ids` and `attention_mask` (classes, length) come
        from `tokenize_prompts`.
        """
        fused = self.prompts.fuse(part_features, object_features)
        if self.prompts.meta_net is None:
            text = prompt_features(self.clip, self.prompts, input_ids, attention_mask)
            logits = (fused @ F.normalize(text, dim=-1).T).masked_fill(~class_mask, -math.inf)
        else:
            # index_select, not indexing: its gradient is summed in a fixed order.
            rows, classes = class_mask.nonzero(as_tuple=True)
            text = prompt_features(
                self.clip, self.prompts, input_ids[classes], attention_mask[classes], object_features[rows]
            )
            pairs = (fused.index_select(0, rows) * F.normalize(text, dim=-1)).sum(-1)
            logits = fused.new_full(class_mask.shape, -math.inf).masked_scatter(class_mask, pairs)
        logits = self.temperature * logits
        return PromptClassifierOutput(None if labels is None else F.cross_entropy(logits, labels), logits)

    def save_pretrained(self, folder: str | Path, state_dict: dict[str, torch.Tensor]) -> None:
        """Saves the prompts in this module's state dict for `LearnedPrompts.from_pretrained`."""
        self.load_state_dict(state_dict)
        self.prompts.save_pretrained(folder)

    def _apply(self, function: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> PromptClassifier:
        self.clip._apply(function, recurse)  # `to` another device takes CLIP along
        return super()._apply(function, recurse)
