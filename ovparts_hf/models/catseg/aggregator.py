"""The cost aggregator of CAT-Seg (Cho et al., CVPR 2024, figure 2).

From top to bottom: correlation of image and class features -> embedding -> spatial aggregation and class aggregation,
layer after layer -> decoder. In between, a volume is (classes, tokens, C) for the tokens of one image, row by row.
Only class aggregation lets classes see each other; elsewhere they go through in groups.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from ..class_chunks import ClassChunks
from .configuration_catseg import CATSegConfig

NUMBERS_AT_ONCE = {"cpu": 600_000, "cuda": 20_000_000}
"""Size of the input of a group of classes: what fits a CPU's cache, or keeps a GPU busy."""
_MASKED = -100.0
_EPS = 1e-6
_CHANNELS_PER_GROUP = 16


class Aggregator(nn.Module):
    """From CLIP's features of an image and of classes to a score map for each class."""

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
        decoded: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(D, grid, grid), (classes, templates, D), (1, channels, h, w) of stages -> (`decoded` classes, height,
        width).
        """
        all_classes = torch.arange(class_features.shape[0], device=class_features.device)
        decoded = all_classes if decoded is None else decoded
        *finer, coarsest = backbone_features
        image_guidance = self.image_guidance(coarsest).relu().flatten(2).transpose(1, 2)
        text_guidance = self.text_guidance(F.normalize(class_features.mean(1), dim=-1)).relu()[:, None]
        decoder_guidance = [layer(stage).relu() for layer, stage in zip(self.decoder_guidance, finer[::-1])]

        volume = self.embedding(image_features, class_features)
        for layer in self.layers[:-1]:
            volume = layer(volume, image_guidance, text_guidance, all_classes)
        volume = self.layers[-1](volume, image_guidance, text_guidance, decoded)
        return self.decoder(to_maps(volume, self.grid), decoder_guidance)


# ---- correlation and its embedding ---------------------------------------------------------------------------------


class CorrelationEmbedding(ClassChunks, nn.Module):
    """Cosine similarity of each token and template, and a convolution with the templates as channels."""

    def __init__(self, num_templates: int, width: int):
        super().__init__()
        self.convolution = nn.Conv2d(num_templates, width, 7, padding=3)

    def forward(self, image_features: torch.Tensor, class_features: torch.Tensor) -> torch.Tensor:
        """(D, grid, grid) and (classes, templates, D) -> (classes, tokens, C)."""
        image_features = F.normalize(image_features, dim=0)
        if self.is_chunked:
            return self.in_chunks(lambda group: self._embed(image_features, group), class_features)
        return torch.cat([self._embed(image_features, group) for group in class_groups(class_features)])

    def _embed(self, image_features: torch.Tensor, class_features: torch.Tensor) -> torch.Tensor:
        correlation = torch.einsum("tpd,dhw->tphw", F.normalize(class_features, dim=-1), image_features)
        return to_tokens(self.convolution(correlation))


class AggregatorLayer(GradientCheckpointingLayer):
    """Spatial aggregation, then class aggregation."""

    def __init__(self, config: CATSegConfig):
        super().__init__()
        width, heads, grid = config.hidden_size, config.num_attention_heads, config.grid_size
        self.spatial = SpatialAggregation(width, config.image_guidance_size, heads, grid, config.window_size)
        self.across_classes = ClassAggregation(width, config.text_guidance_size, heads, grid, config.pooling_size)

    def forward(
        self, volume: torch.Tensor, image_guidance: torch.Tensor, text_guidance: torch.Tensor, decoded: torch.Tensor
    ) -> torch.Tensor:
        """(classes, tokens, C), (1, tokens, G), (classes, 1, H) and the n classes to return -> (n, tokens, C)."""
        return self.across_classes(self.spatial(volume, image_guidance), text_guidance, decoded)


# ---- spatial aggregation: two Swin blocks, guided by the image -----------------------------------------------------


class SpatialAggregation(nn.Module):
    """Two window blocks, the second with shifted windows."""

    def __init__(self, width: int, guidance_width: int, num_heads: int, grid: int, window: int):
        super().__init__()
        self.guidance_norm = nn.LayerNorm(guidance_width)
        self.block_1 = GuidedWindowBlock(width, guidance_width, num_heads, grid, window, shifted=False)
        self.block_2 = GuidedWindowBlock(width, guidance_width, num_heads, grid, window, shifted=True)

    def forward(self, volume: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """(classes, tokens, C) and (1, tokens, G) -> (classes, tokens, C)."""
        guidance = self.guidance_norm(guidance)
        return self.block_2(self.block_1(volume, guidance), guidance)


class GuidedWindowBlock(ClassChunks, nn.Module):
    """A Swin block (Liu et al., ICCV 2021): attention within windows, which may be shifted, and an MLP."""

    def __init__(self, width: int, guidance_width: int, num_heads: int, grid: int, window: int, shifted: bool):
        super().__init__()
        self.grid, self.window = grid, min(window, grid)
        self.shift = window // 2 if shifted and grid > window else 0
        self.norm1 = nn.LayerNorm(width)
        self.attention = GuidedWindowAttention(width, guidance_width, num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, volume: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """(classes, tokens, C) and normalised guidance (1, tokens, G) -> (classes, tokens, C)."""
        order = window_order(self.grid, self.window, self.shift, volume.device)
        mask = shift_mask(self.grid, self.window, self.shift, volume.device) if self.shift else None
        guidance = guidance.index_select(1, order)
        if self.is_chunked:
            return self.in_chunks(lambda group: self._forward(group, guidance, order, mask), volume)
        return torch.cat([self._forward(group, guidance, order, mask) for group in class_groups(volume)])

    def _forward(
        self, volume: torch.Tensor, guidance: torch.Tensor, order: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        windows = self.norm1(volume).index_select(1, order)
        attended = self.attention(windows, guidance, self.window**2, mask)
        volume = volume + attended.index_select(1, order.argsort())
        return volume + self.mlp(self.norm2(volume))


class GuidedWindowAttention(nn.Module):
    """Attention within windows whose queries and keys also see the guidance (CAT-Seg, section 3.2)."""

    def __init__(self, width: int, guidance_width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.query = GuidedLinear(width + guidance_width, width)
        self.key = GuidedLinear(width + guidance_width, width)
        self.value = nn.Linear(width, width)
        self.projection = nn.Linear(width, width)

    def forward(
        self, windows: torch.Tensor, guidance: torch.Tensor, window_tokens: int, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """(classes, tokens, C) and (1, tokens, G), window after window, and `shift_mask` -> (classes, tokens, C)."""
        query = self._heads(self.query(windows, guidance), window_tokens)
        key = self._heads(self.key(windows, guidance), window_tokens)
        value = self._heads(self.value(windows), window_tokens)
        if mask is not None:
            mask = mask.to(query.dtype).repeat(windows.shape[0], 1, 1, 1)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.projection(attended.transpose(1, 2).reshape(windows.shape))

    def _heads(self, states: torch.Tensor, window_tokens: int) -> torch.Tensor:
        width = states.shape[-1]
        return states.reshape(-1, window_tokens, self.num_heads, width // self.num_heads).transpose(1, 2)


def window_order(grid: int, window: int, shift: int, device: torch.device) -> torch.Tensor:
    """The tokens (grid * grid,) int64 of a shifted grid, window after window."""
    tokens = torch.arange(grid**2, device=device).view(grid, grid).roll((-shift, -shift), (0, 1))
    return tokens.unflatten(1, (-1, window)).unflatten(0, (-1, window)).transpose(1, 2).flatten()


def shift_mask(grid: int, window: int, shift: int, device: torch.device) -> torch.Tensor:
    """What keeps opposite edges apart after a cyclic shift: (windows, 1, window tokens, window tokens) of 0 or -100."""
    edge = torch.zeros(grid, dtype=torch.long, device=device)
    edge[-window:-shift], edge[-shift:] = 1, 2
    region = (3 * edge[:, None] + edge).flatten()
    region = region[window_order(grid, window, 0, device)].view(-1, window**2)
    return _MASKED * (region[:, None, :, None] != region[:, None, None, :]).float()


# ---- class aggregation: attention across classes, guided by the text -----------------------------------------------


class ClassAggregation(nn.Module):
    """Attention across classes on a pooled grid and an MLP, enlarged and added to the volume."""

    def __init__(self, width: int, guidance_width: int, num_heads: int, grid: int, pooling: int):
        super().__init__()
        self.grid, self.pooling = grid, pooling
        self.norm1 = nn.LayerNorm(width)
        self.attention = GuidedLinearAttention(width, guidance_width, num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, volume: torch.Tensor, guidance: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        """(classes, tokens, C), (classes, 1, G) and the n classes to return -> (n, tokens, C)."""
        pooled = to_tokens(F.avg_pool2d(to_maps(volume, self.grid), self.pooling))
        states = pooled.index_select(0, decoded) + self.attention(self.norm1(pooled), guidance, decoded)
        states = states + self.mlp(self.norm2(states))
        maps, size = to_maps(states, self.grid // self.pooling), (self.grid, self.grid)
        enlarged = to_tokens(F.interpolate(maps, size=size, mode="bilinear", align_corners=True))
        return volume.index_select(0, decoded) + enlarged


class GuidedLinearAttention(nn.Module):
    """Linear attention (Katharopoulos et al., ICML 2020) over classes, with the feature map elu(x) + 1."""

    def __init__(self, width: int, guidance_width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.query = GuidedLinear(width + guidance_width, width)
        self.key = GuidedLinear(width + guidance_width, width)
        self.value = nn.Linear(width, width)

    def forward(self, volume: torch.Tensor, guidance: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        """Attention of the n decoded classes to all: (classes, tokens, C), (classes, 1, G) -> (n, tokens, C)."""
        of_query = volume.index_select(0, decoded), guidance.index_select(0, decoded)
        query = F.elu(self._heads(self.query(*of_query))) + 1
        key = F.elu(self._heads(self.key(volume, guidance))) + 1
        value = self._heads(self.value(volume))
        # Means instead of sums over classes: the same quotient, with numbers that stay small.
        context = torch.einsum("tphk,tphv->phkv", key, value / volume.shape[0])
        norm = torch.einsum("tphk,phk->tph", query, key.sum(0)) + _EPS
        attended = torch.einsum("tphk,phkv->tphv", query, context) * (volume.shape[0] / norm[..., None])
        return attended.flatten(2)

    def _heads(self, states: torch.Tensor) -> torch.Tensor:
        return states.unflatten(-1, (self.num_heads, -1))


# ---- decoder -------------------------------------------------------------------------------------------------------


class Decoder(ClassChunks, nn.Module):
    """Stages that double the resolution, then one score for each pixel."""

    def __init__(self, width: int, sizes: Sequence[int], guidance_sizes: Sequence[int]):
        super().__init__()
        widths = [width, *sizes]
        self.stages = nn.ModuleList(
            GuidedUpsampling(*stage) for stage in zip(widths[:-1], widths[1:], guidance_sizes, strict=True)
        )
        self.head = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, maps: torch.Tensor, guidance: Sequence[torch.Tensor]) -> torch.Tensor:
        """(classes, C, grid, grid), and (1, G, height, width) for each stage -> (classes, height, width)."""
        shared = [stage.prepare(stage_guidance) for stage, stage_guidance in zip(self.stages, guidance)]
        if self.is_chunked:
            return self.in_chunks(lambda group: self._decode(group, shared), maps)
        return torch.cat([self._decode(group, shared) for group in class_groups(maps)])

    def _decode(self, maps: torch.Tensor, shared: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        for stage, kernel_and_offset in zip(self.stages, shared):
            maps = stage(maps, *kernel_and_offset)
        return self.head(maps).squeeze(1)


class GuidedUpsampling(nn.Module):
    """Transposed convolution, concatenation with guidance, and two convolutions with group norm."""

    def __init__(self, width_in: int, width_out: int, guidance_width: int):
        super().__init__()
        groups = width_out // _CHANNELS_PER_GROUP
        self.up = nn.ConvTranspose2d(width_in, width_in - guidance_width, 2, stride=2)
        self.convolution_1 = nn.Conv2d(width_in, width_out, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(groups, width_out)
        self.convolution_2 = nn.Conv2d(width_out, width_out, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(groups, width_out)

    def prepare(self, guidance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Kernel (channels in, channels out, 4, 4) and offset (1, channels out, height, width) for all classes.

        Up-sampling and the first convolution are linear with nothing in between: together they are one transposed
        convolution of the maps of a class, plus what follows from the guidance (1, G, height, width) alone.
        """
        width = self.up.out_channels
        kernel = F.conv2d(self.up.weight, self.convolution_1.weight[:, :width], padding=2)
        bias = self.up.bias[:, None, None].expand(1, -1, *guidance.shape[-2:])
        return kernel, self.convolution_1(torch.cat([bias.to(guidance), guidance], dim=1))

    def forward(self, maps: torch.Tensor, kernel: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        """(classes, channels in, h, w), and what `prepare` made -> (classes, channels out, 2 h, 2 w)."""
        maps = F.conv_transpose2d(maps, kernel, stride=2, padding=1)
        maps = (maps.flatten(2) + offset.flatten(2)).view_as(maps)  # OpenVINO 2026 fuses a plain sum, and then fails
        maps = self.norm1(maps).relu()
        return self.norm2(self.convolution_2(maps)).relu()


# ---- shared --------------------------------------------------------------------------------------------------------


def class_groups(volume: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(classes, ...) cut into groups of classes that are computed together; in a compiled graph all of them are."""
    if torch.compiler.is_compiling():
        return (volume,)
    limit = NUMBERS_AT_ONCE.get(volume.device.type, NUMBERS_AT_ONCE["cuda"])
    return volume.split(max(1, limit // volume.shape[1:].numel()))


class GuidedLinear(nn.Linear):
    """A linear layer of features next to guidance that broadcasts to them, whose share is computed once."""

    def forward(self, features: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """(rows, tokens, C) and (rows or 1, tokens or 1, G) -> (rows, tokens, width)."""
        width = features.shape[-1]
        return F.linear(features, self.weight[:, :width]) + F.linear(guidance, self.weight[:, width:], self.bias)


def to_maps(volume: torch.Tensor, grid: int) -> torch.Tensor:
    """(classes, grid * grid, C) -> (classes, C, grid, grid)."""
    return volume.transpose(1, 2).unflatten(2, (grid, grid))


def to_tokens(maps: torch.Tensor) -> torch.Tensor:
    """(classes, C, grid, grid) -> (classes, grid * grid, C)."""
    return maps.flatten(2).transpose(1, 2)
