"""MaskFormer (Cheng et al., NeurIPS 2021) for parts: OV-PARTS' fully supervised model with a closed vocabulary.

Each query proposes one mask and one distribution over classes; a pixel's score of a class is the sum over queries of
the two.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.models.maskformer.modeling_maskformer import MaskformerMLPPredictionHead

from ...errors import ConfigurationError
from ..mask_classification import (
    PixelFeatures,
    PixelLevelModule,
    Proposals,
    QueryDecoder,
    class_probabilities,
    init_mask_classification_layer,
    mask_classification_loss,
    mask_probabilities,
    masks_from_labels,
    pad_to_multiple,
    sum_of_queries,
)
from ..outputs import PartSegmentationOutput
from .configuration_maskformer import MaskFormerPartConfig

TRAINABLE_SETS = ("none", "all")


class MaskFormerForPartSegmentation(PreTrainedModel):
    """MaskFormer with a ResNet whose batch norm is frozen."""

    config: MaskFormerPartConfig
    config_class = MaskFormerPartConfig
    main_input_name = "pixel_values"
    _supports_sdpa = True

    def __init__(self, config: MaskFormerPartConfig):
        super().__init__(config)
        self.pixel_level_module = PixelLevelModule(config)
        self.query_decoder = QueryDecoder(config, self.pixel_level_module.backbone.channels[-1])
        self.class_head = nn.Linear(config.hidden_size, config.num_labels + 1)
        self.mask_head = MaskformerMLPPredictionHead(config.hidden_size, config.hidden_size, config.mask_feature_size)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        init_mask_classification_layer(module, self.config.init_xavier_std)

    def set_trainable(self, name: str) -> None:
        """Chooses what an optimiser may change: "all" (batch norm of the backbone is frozen anyway) or "none".

        Raises:
            ConfigurationError: The name is neither.
        """
        if name not in TRAINABLE_SETS:
            raise ConfigurationError(f"Trainable set {name!r} is unknown; choose one of {list(TRAINABLE_SETS)}.")
        self.requires_grad_(name == "all")

    def propose(self, features: PixelFeatures) -> Proposals:
        """Lets the queries propose masks and classes."""
        states = self.query_decoder(features.deepest)
        masks = torch.einsum("lbqc,bchw->lbqhw", self.mask_head(states), features.mask_features)
        return Proposals(self.class_head(states), masks)

    def forward(
        self,
        pixel_values: torch.Tensor,
        class_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> PartSegmentationOutput:
        """Scores every class at every pixel.

        Args:
            pixel_values: (batch, 3, height, width), normalised; extended by zeros to a multiple of 32.
            class_mask: (batch, classes) bool; classes that are False for a picture score -inf. The loss is the same.
            labels: (batch, height', width') class ids, of any size; other values are unlabelled.

        Returns:
            `logits` at the size of `pixel_values`: sums of probabilities, not below zero. With `labels`, the loss; in
            training mode then nothing else.
        """
        size = pixel_values.shape[-2:]
        padded = pad_to_multiple(pixel_values)
        proposals = self.propose(self.pixel_level_module(padded))
        loss = None
        if labels is not None:
            targets = masks_from_labels(labels, size, self.config.num_labels)
            loss = sum(mask_classification_loss(*proposals, targets, self.config).values())
            if self.training:
                return PartSegmentationOutput(loss=loss)
        masks = mask_probabilities(proposals.mask_logits[-1], padded.shape[-2:], size)
        logits = sum_of_queries(class_probabilities(proposals.class_logits[-1]), masks)
        if class_mask is not None:
            logits = logits.masked_fill(~class_mask[:, :, None, None], -math.inf)
        return PartSegmentationOutput(loss=loss, logits=logits)
