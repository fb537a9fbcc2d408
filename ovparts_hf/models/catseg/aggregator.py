"""The cost aggregator of CAT-Seg (Cho et al., CVPR 2024, figure 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from .class_attention import ClassAggregation
from .configuration_catseg import CATSegConfig
from .correlation import CorrelationEmbedding
from .decoder import Decoder
from .spatial import SpatialAggregation


class AggregatorLayer(GradientCheckpointingLayer):
    """Aggregates over places, then across classes."""

    def __init__(self, config: CATSegConfig):
        super().__init__()
        width, heads, grid = config.hidden_size, config.num_attention_heads, config.grid_size
        self.spatial = SpatialAggregation(width, config.image_guidance_size, heads, grid, config.window_size)
        self.across_classes = ClassAggregation(width, config.text_guidance_size, heads, grid, config.pooling_size)

    def forward(
        self, volume: torch.Tensor, image_guidance: torch.Tensor, text_guidance: torch.Tensor, asked: torch.Tensor
    ) -> torch.Tensor:
        """(classes, places, C) -> (asked classes, places, C)."""
        return self.across_classes(self.spatial(volume, image_guidance), text_guidance, asked)


class Aggregator(nn.Module):
    """From the similarity of CLIP's image and class features to one map for each class."""

    def __init__(self, config: CATSegConfig):
        super().__init__()
        *finer, coarsest = config.backbone_config.hidden_sizes
        self.grid = config.grid_size
        self.embedding = CorrelationEmbedding(config.num_templates, config.hidden_size)
        self.text_guidance = nn.Linear(config.projection_dim, config.text_guidance_size)
        self.image_guidance = nn.Conv2d(coarsest, config.image_guidance_size, 3, padding=1)
        self.decoder_guidance = nn.ModuleList(
            nn.Conv2d(width, size, 3, padding=1) for width, size in zip(finer[::-1], config.decoder_guidance_sizes)
        )
        self.layers = nn.ModuleList(AggregatorLayer(config) for _ in range(config.num_hidden_layers))
        self.decoder = Decoder(config.hidden_size, config.decoder_sizes, config.decoder_guidance_sizes)

    def forward(
        self,
        image_features: torch.Tensor,
        class_features: torch.Tensor,
        backbone_features: Sequence[torch.Tensor],
        asked: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Scores the classes of one image. They influence each other, so that all must be given.

        Args:
            image_features: (D, grid, grid), CLIP's feature of each place.
            class_features: (classes, templates, D), of unit length.
            backbone_features: Per ResNet stage (1, channels, height, width), finest first.
            asked: (n,) int64, the classes whose scores are wanted; None for all.

        Returns:
            (n, height, width) at the size of the finest backbone features.
        """
        every = torch.arange(len(class_features), device=class_features.device)
        asked = every if asked is None else asked
        *finer, coarsest = backbone_features
        image_guidance = self.image_guidance(coarsest).relu().flatten(2).transpose(1, 2)
        text_guidance = self.text_guidance(F.normalize(class_features.mean(1), dim=-1)).relu()[:, None]
        decoder_guidance = [layer(each).relu() for layer, each in zip(self.decoder_guidance, finer[::-1])]

        volume = self.embedding(image_features, class_features)
        for layer in self.layers[:-1]:
            volume = layer(volume, image_guidance, text_guidance, every)
        volume = self.layers[-1](volume, image_guidance, text_guidance, asked)
        maps = volume.transpose(1, 2).unflatten(2, (self.grid, self.grid))
        return self.decoder(maps, decoder_guidance)
