"""Class aggregation: attention across classes at each place, guided by the class features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .spatial import guided_linear

_EPS = 1e-6


class GuidedLinearAttention(nn.Module):
    """Linear attention (Katharopoulos et al., ICML 2020) over classes, with the feature map elu(x) + 1."""

    def __init__(self, width: int, guidance_width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(width + guidance_width, width)
        self.key = nn.Linear(width + guidance_width, width)
        self.value = nn.Linear(width, width)

    def forward(self, volume: torch.Tensor, guidance: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        """Attends to all classes.

        Args:
            volume: (classes, places, C).
            guidance: (classes, 1, G).
            asked: (n,) the classes that ask.

        Returns:
            (n, places, C).
        """
        asking = volume.index_select(0, asked), guidance.index_select(0, asked)
        query = F.elu(self._heads(guided_linear(self.query, *asking))) + 1
        key = F.elu(self._heads(guided_linear(self.key, volume, guidance))) + 1
        value = self._heads(self.value(volume))
        # Means instead of sums over classes: the same quotient, with numbers that stay small.
        context = torch.einsum("tphk,tphv->phkv", key, value / len(volume))
        norm = torch.einsum("tphk,phk->tph", query, key.sum(0)) + _EPS
        attended = torch.einsum("tphk,phkv->tphv", query, context) * (len(volume) / norm[..., None])
        return attended.flatten(2)

    def _heads(self, states: torch.Tensor) -> torch.Tensor:
        return states.unflatten(-1, (self.num_heads, -1))


class ClassAggregation(nn.Module):
    """Attention across classes on a pooled grid, then an MLP; the result is enlarged and added."""

    def __init__(self, width: int, guidance_width: int, num_heads: int, grid: int, pooling: int):
        super().__init__()
        self.grid, self.pooling = grid, pooling
        self.norm1 = nn.LayerNorm(width)
        self.attention = GuidedLinearAttention(width, guidance_width, num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, volume: torch.Tensor, guidance: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        """Aggregates.

        Args:
            volume: (classes, grid * grid, C).
            guidance: (classes, 1, G).
            asked: (n,) the classes whose result is wanted; all classes take part.

        Returns:
            (n, grid * grid, C).
        """
        pooled = self._pool(volume)
        states = pooled.index_select(0, asked) + self.attention(self.norm1(pooled), guidance, asked)
        states = states + self.mlp(self.norm2(states))
        return volume.index_select(0, asked) + self._enlarge(states)

    def _pool(self, volume: torch.Tensor) -> torch.Tensor:
        image = volume.transpose(1, 2).unflatten(2, (self.grid, self.grid))
        return F.avg_pool2d(image, self.pooling).flatten(2).transpose(1, 2)

    def _enlarge(self, pooled: torch.Tensor) -> torch.Tensor:
        side = self.grid // self.pooling
        image = pooled.transpose(1, 2).unflatten(2, (side, side))
        image = F.interpolate(image, size=(self.grid, self.grid), mode="bilinear", align_corners=True)
        return image.flatten(2).transpose(1, 2)
