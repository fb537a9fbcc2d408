"""The two halves of MaskFormer (Cheng et al., NeurIPS 2021): pixels in, mask features out; queries in, masks out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from transformers import initialization as init
from transformers.models.maskformer.modeling_maskformer import (
    MaskFormerDetrDecoderLayer,
    MaskFormerDetrSelfAttention,
    MaskFormerPixelDecoder,
    MaskFormerSinePositionEmbedding,
)
from transformers.utils import ModelOutput
from transformers.utils.output_capturing import OutputRecorder

from ...errors import ConfigurationError
from ..resnet import PartResNet
from .configuration_maskformer import MaskClassificationConfig

SIZE_DIVISOR = 32
"""Height and width that networks with five halvings need a multiple of."""


class PixelFeatures(NamedTuple):
    """What is computed once per image: `deepest` (batch, channels, H / 32, W / 32), which queries look at, and
    `mask_features` (batch, mask feature size, H / 4, W / 4), from which masks are read.
    """

    deepest: torch.Tensor
    mask_features: torch.Tensor

    def expand(self, count: int) -> PixelFeatures:
        """The features of one image for each of `count` objects, or as they are for `count` images."""
        return PixelFeatures(*(features.expand(count, -1, -1, -1) for features in self))


def pad_to_multiple(maps: torch.Tensor, value: float = 0.0, divisor: int = SIZE_DIVISOR) -> torch.Tensor:
    """Extends the last two dimensions at the bottom and at the right to a multiple of `divisor`."""
    height, width = maps.shape[-2:]
    # Of an exported graph, sizes that are rounded up this way are simplified; with `-side % divisor` they are not.
    bottom, right = ((side + divisor - 1) // divisor * divisor - side for side in (height, width))
    return F.pad(maps, (0, right, 0, bottom), value=value)


class PixelLevelModule(nn.Module):
    """Backbone and pixel decoder (a feature pyramid)."""

    def __init__(self, config: MaskClassificationConfig):
        super().__init__()
        self.backbone = PartResNet(config.backbone_config)
        channels = self.backbone.channels
        self.pixel_decoder = MaskFormerPixelDecoder(
            in_features=channels[-1],
            lateral_widths=channels[:-1],
            feature_size=config.fpn_feature_size,
            mask_feature_size=config.mask_feature_size,
        )

    def forward(self, pixel_values: torch.Tensor) -> PixelFeatures:
        """Encodes images (batch, 3, H, W), H and W multiples of 32."""
        features = self.backbone(pixel_values).feature_maps
        return PixelFeatures(features[-1], self.pixel_decoder(list(features)).last_hidden_state)


class QueryDecoder(nn.Module):
    """Transformer decoder without encoder: learned queries look at a feature map (DETR, Carion et al., ECCV 2020).

    transformers' own loop hands each layer the normalised states of the one before when it collects all layers; the
    original normalises only what it collects. Hence this loop over transformers' layers.
    """

    def __init__(self, config: MaskClassificationConfig, in_channels: int):
        super().__init__()
        self.input_projection = nn.Conv2d(in_channels, config.hidden_size, kernel_size=1)
        self.position_embedder = MaskFormerSinePositionEmbedding(config.hidden_size // 2, normalize=True)
        self.queries = nn.Embedding(config.num_queries, config.hidden_size)
        self.layers = nn.ModuleList([MaskFormerDetrDecoderLayer(config) for _ in range(config.decoder_layers)])
        self.layernorm = nn.LayerNorm(config.hidden_size)
        for name, layer in self.layers.named_modules():
            if isinstance(layer, nn.Linear):
                layer.decoder_role = name.rpartition(".")[2]  # for `init_mask_classification_layer`

    def forward(self, features: torch.Tensor, attention_bias: torch.Tensor | None = None) -> torch.Tensor:
        """Decodes all queries, which look at features (batch, in_channels, h, w) with a bias (batch, 1, 1, h * w).

        Returns (layers, batch, queries, hidden size), each layer's states after the shared layer norm.
        """
        memory = self.input_projection(features)
        positions = self.position_embedder(memory.shape, memory.device, memory.dtype)
        memory, positions = (each.flatten(2).transpose(1, 2) for each in (memory, positions))
        queries = self.queries.weight.expand(features.shape[0], -1, -1)
        states, collected = torch.zeros_like(queries), []
        for layer in self.layers:
            # By position: gradient checkpointing loses the gradient of keyword arguments with use_reentrant=True.
            states = layer(states, None, positions, queries, memory, attention_bias)
            collected.append(self.layernorm(states))
        return torch.stack(collected)


def init_mask_classification_layer(module: nn.Module) -> None:
    """Draws a layer that a backbone's weights do not bring along, as MaskFormer does: heads like any linear layer in
    PyTorch, the decoder by Xavier's rule, convolutions by Caffe2's variant of it.

    transformers does not ask about modules without parameters of their own, such as a whole decoder, when they belong
    to another package's model. Backbone and CLIP draw their own layers.
    """
    if isinstance(module, nn.Conv2d):
        init.kaiming_uniform_(module.weight, a=1)
        if module.bias is not None:
            init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        role, bound = getattr(module, "decoder_role", None), module.in_features**-0.5
        if role is None:
            init.uniform_(module.weight, -bound, bound)
        else:  # the original draws queries, keys and values as one matrix of threefold height
            init.xavier_uniform_(module.weight, gain=0.5**0.5 if role in ("q_proj", "k_proj", "v_proj") else 1.0)
        if role in (None, "fc1", "fc2"):
            init.uniform_(module.bias, -bound, bound)
        else:
            init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        init.normal_(module.weight)


@dataclass
class Proposals(ModelOutput):
    """What the queries of every decoder layer propose: `class_logits` (layers, batch, queries, classes + 1), the last
    column being "no object", and `mask_logits` (layers, batch, queries, H / 4, W / 4); the states (batch, queries,
    hidden size) that leave each layer, and its self-attention, if they were asked for.
    """

    class_logits: torch.FloatTensor | None = None
    mask_logits: torch.FloatTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None
    attentions: tuple[torch.FloatTensor, ...] | None = None


RECORDED = {
    "hidden_states": OutputRecorder(
        MaskFormerDetrDecoderLayer, capture_initial_hidden_state=False, num_hidden_layers_key="decoder_layers"
    ),
    "attentions": MaskFormerDetrSelfAttention,
}
"""What `capture_outputs` adds to `Proposals`."""


def mask_probabilities(mask_logits: torch.Tensor, padded: tuple[int, int], size: tuple[int, int]) -> torch.Tensor:
    """Enlarges mask logits (batch, queries, h, w) to the `padded` image, cuts it to `size`, and takes the sigmoid."""
    enlarged = F.interpolate(mask_logits, size=tuple(padded), mode="bilinear", align_corners=False)
    return enlarged[..., : size[0], : size[1]].sigmoid()


def sum_of_queries(class_scores: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """(batch, queries, classes), (batch, queries, h, w) -> (batch, classes, h, w), summed (MaskFormer, section 3.4)."""
    return torch.einsum("bqc,bqhw->bchw", class_scores, masks)


def class_probabilities(class_logits: torch.Tensor) -> torch.Tensor:
    """Probabilities (..., classes) from logits (..., classes + 1); they sum to one together with "no object"."""
    return class_logits.softmax(-1)[..., :-1]


def check_request(
    rows: int, num_classes: int, class_mask: torch.Tensor | None, labels: torch.Tensor | None, include_none: bool
) -> None:
    """Checks the arguments of `forward` that all mask classification models share."""
    if include_none:
        raise ConfigurationError("This model has no score for 'none' at a pixel; set include_none=False.")
    if class_mask is not None and tuple(class_mask.shape) != (rows, num_classes):
        raise ConfigurationError(
            f"class_mask has shape {list(class_mask.shape)}; for {rows} rows and {num_classes} classes pass "
            f"[{rows}, {num_classes}]."
        )
    if labels is not None and (labels.dim() != 3 or len(labels) != rows):
        raise ConfigurationError(
            f"labels has shape {list(labels.shape)}; pass (rows, height, width) with one label map for each of the "
            f"{rows} rows."
        )
