"""Spatial aggregation: attention within windows of the correlation volume of each class, guided by the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .chunks import class_chunks

_MASKED = -100.0


def guided_linear(layer: nn.Linear, features: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
    """`layer(concatenate(features, guidance))` where one guidance serves many rows: its share is computed once.

    Args:
        layer: Takes both next to each other.
        features: (rows, tokens, C).
        guidance: (1, tokens, G), (rows, 1, G) or anything else that broadcasts.
    """
    width = features.shape[-1]
    return F.linear(features, layer.weight[:, :width]) + F.linear(guidance, layer.weight[:, width:], layer.bias)


class GuidedWindowAttention(nn.Module):
    """Attention within windows; queries and keys also see the guidance (CAT-Seg, section 3.2; Swin without bias)."""

    def __init__(self, width: int, guidance_width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(width + guidance_width, width)
        self.key = nn.Linear(width + guidance_width, width)
        self.value = nn.Linear(width, width)
        self.projection = nn.Linear(width, width)

    def forward(
        self, windows: torch.Tensor, guidance: torch.Tensor, window_tokens: int, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Attends.

        Args:
            windows: (classes, tokens, C), the tokens of a window next to each other.
            guidance: (1, tokens, G), likewise.
            window_tokens: Tokens in a window.
            mask: (windows, 1, window tokens, window tokens), added to the scores, or None.
        """
        query = self._heads(guided_linear(self.query, windows, guidance), window_tokens)
        key = self._heads(guided_linear(self.key, windows, guidance), window_tokens)
        value = self._heads(self.value(windows), window_tokens)
        if mask is not None:
            mask = mask.to(query.dtype).repeat(len(windows), 1, 1, 1)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.projection(attended.transpose(1, 2).reshape(windows.shape))

    def _heads(self, states: torch.Tensor, window_tokens: int) -> torch.Tensor:
        width = states.shape[-1]
        return states.reshape(-1, window_tokens, self.num_heads, width // self.num_heads).transpose(1, 2)


class GuidedWindowBlock(nn.Module):
    """A Swin block (Liu et al., ICCV 2021) whose windows may be shifted."""

    def __init__(self, width: int, guidance_width: int, num_heads: int, grid: int, window: int, shifted: bool):
        super().__init__()
        self.grid, self.window = grid, min(window, grid)
        self.shift = window // 2 if shifted and grid > window else 0
        self.norm1 = nn.LayerNorm(width)
        self.attention = GuidedWindowAttention(width, guidance_width, num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, volume: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """Adds attention within windows, then a token-wise MLP.

        Args:
            volume: (classes, grid * grid, C), row by row.
            guidance: (1, grid * grid, G), already normalised.
        """
        order = window_order(self.grid, self.window, self.shift, volume.device)
        mask = shift_mask(self.grid, self.window, self.shift, volume.device) if self.shift else None
        guidance = guidance.index_select(1, order)
        return torch.cat([self._forward(chunk, guidance, order, mask) for chunk in class_chunks(volume)])

    def _forward(
        self, volume: torch.Tensor, guidance: torch.Tensor, order: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        windows = self.norm1(volume).index_select(1, order)
        attended = self.attention(windows, guidance, self.window**2, mask)
        volume = volume + attended.index_select(1, order.argsort())
        return volume + self.mlp(self.norm2(volume))


class SpatialAggregation(nn.Module):
    """Two blocks, the second with shifted windows."""

    def __init__(self, width: int, guidance_width: int, num_heads: int, grid: int, window: int):
        super().__init__()
        self.guidance_norm = nn.LayerNorm(guidance_width)
        self.block_1 = GuidedWindowBlock(width, guidance_width, num_heads, grid, window, shifted=False)
        self.block_2 = GuidedWindowBlock(width, guidance_width, num_heads, grid, window, shifted=True)

    def forward(self, volume: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """(classes, grid * grid, C) with guidance (1, grid * grid, G) -> (classes, grid * grid, C)."""
        guidance = self.guidance_norm(guidance)
        return self.block_2(self.block_1(volume, guidance), guidance)


def window_order(grid: int, window: int, shift: int, device: torch.device) -> torch.Tensor:
    """For each place in the sequence of windows, the token of the grid that stands there, (grid * grid,) int64."""
    tokens = torch.arange(grid**2, device=device).view(grid, grid).roll((-shift, -shift), (0, 1))
    return tokens.unflatten(1, (-1, window)).unflatten(0, (-1, window)).transpose(1, 2).flatten()


def shift_mask(grid: int, window: int, shift: int, device: torch.device) -> torch.Tensor:
    """Keeps apart what a cyclic shift brought together from opposite edges.

    Returns:
        (windows, 1, tokens, tokens) float32, 0 or -100, to be added to the scores.
    """
    edge = torch.zeros(grid, dtype=torch.long, device=device)
    edge[-window:-shift], edge[-shift:] = 1, 2
    region = (3 * edge[:, None] + edge).flatten()
    region = region[window_order(grid, window, 0, device)].view(-1, window**2)
    return _MASKED * (region[:, None, :, None] != region[:, None, None, :]).float()
