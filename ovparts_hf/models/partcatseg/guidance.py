"""DINOv2 (Oquab et al., TMLR 2024) as what guides PartCATSeg."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from transformers import Dinov2Model
from transformers.modeling_outputs import BackboneOutput
from transformers.models.dinov2.modeling_dinov2 import Dinov2Embeddings

from .configuration_partcatseg import GuidanceDinov2Config


class OffsetEmbeddings(Dinov2Embeddings):
    """Positions are resized as in DINOv2's own code: by a factor, which is not quite that of the sizes."""

    def interpolate_pos_encoding(self, embeddings: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """(1, 1 + patches, hidden size) for an image of `height` x `width` pixels."""
        offset, positions = self.config.position_offset, self.position_embeddings
        native = math.isqrt(positions.shape[1] - 1)
        grid = [side // self.config.patch_size for side in (height, width)]
        if not offset or grid == [native, native]:
            return super().interpolate_pos_encoding(embeddings, height, width)
        table = positions[:, 1:].float().transpose(1, 2).unflatten(2, (native, native))
        factors = [(side + offset) / native for side in grid]
        table = F.interpolate(table, scale_factor=factors, mode="bicubic", align_corners=False)
        return torch.cat([positions[:, :1], table.flatten(2).transpose(1, 2).to(positions.dtype)], dim=1)


class GuidanceDinov2(Dinov2Model):
    """The normalised patch features of the last layer, at four times, twice and once the grid of CLIP's patches."""

    config: GuidanceDinov2Config
    config_class = GuidanceDinov2Config

    def __init__(self, config: GuidanceDinov2Config, grid: int):
        super().__init__(config)
        self.grid = grid
        self.embeddings.__class__ = OffsetEmbeddings

    def forward(self, pixel_values: torch.Tensor) -> BackboneOutput:
        """(batch, 3, side, side) -> feature maps (batch, hidden size, ., .), the finest first."""
        tokens = super().forward(pixel_values).last_hidden_state[:, 1:]
        grid = [side // self.config.patch_size for side in pixel_values.shape[-2:]]
        features = tokens.transpose(1, 2).unflatten(2, grid)
        sides = (4 * self.grid, 2 * self.grid, self.grid)
        return BackboneOutput(
            feature_maps=tuple(
                F.interpolate(features, size=(side, side), mode="bilinear", align_corners=False) for side in sides
            )
        )
