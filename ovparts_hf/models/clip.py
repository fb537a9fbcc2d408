"""CLIP as the part segmentation models use it: features of class names, and dense features of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

TEXTS_AT_ONCE = 128


def text_features(clip: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
    """Encodes prompts with a CLIP text tower, not normalised.

    Padding may be dropped or trimmed: attention is causal and the feature is read at the end-of-text token, which comes
    before it.

    Args:
        clip: A transformers CLIP-like model with `get_text_features`.
        input_ids: (prompts, length) int64.
        attention_mask: (prompts, length) int64, 1 for tokens, or None.

    Returns:
        (prompts, projection dim).
    """
    rows = []
    for start in range(0, len(input_ids), TEXTS_AT_ONCE):
        part = slice(start, start + TEXTS_AT_ONCE)
        mask = None if attention_mask is None else attention_mask[part]
        rows.append(clip.get_text_features(input_ids=input_ids[part], attention_mask=mask).pooler_output)
    return torch.cat(rows)


def picture_activations(
    vision_model: nn.Module, pixel_values: torch.Tensor, layers: Sequence[int]
) -> tuple[torch.Tensor, ...]:
    """Hidden states of a CLIP vision tower after the given layers; no layer above the last of them is run.

    Args:
        vision_model: A transformers CLIP-like vision model (`embeddings`, `pre_layrnorm`, `encoder.layers`).
        pixel_values: (batch, 3, height, width); the position table is interpolated to the picture's grid.
        layers: Layer indices counted from 0.

    Returns:
        One (batch, 1 + grid height * grid width, hidden size) per entry of `layers`, class token first.
    """
    states = vision_model.embeddings(pixel_values, interpolate_pos_encoding=True)
    states = vision_model.pre_layrnorm(states)
    activations = {}
    for index, layer in enumerate(vision_model.encoder.layers[: max(layers) + 1]):
        states = layer(states, None)
        if index in layers:
            activations[index] = states
    return tuple(activations[index] for index in layers)


def dense_features(clip: nn.Module, pixel_values: torch.Tensor) -> torch.Tensor:
    """A CLIP feature for each patch (MaskCLIP, Zhou et al., ECCV 2022): the last layer's attention only maps values.

    Args:
        clip: A transformers `CLIPModel`.
        pixel_values: (batch, 3, height, width); the position table is interpolated to the picture's grid.

    Returns:
        (batch, 1 + grid height * grid width, projection dim), not normalised, the class token first.
    """
    vision = clip.vision_model
    last = vision.encoder.layers[-1]
    states = vision.pre_layrnorm(vision.embeddings(pixel_values, interpolate_pos_encoding=True))
    for layer in vision.encoder.layers[:-1]:
        states = layer(states, None)
    states = states + last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(states)))
    states = states + last.mlp(last.layer_norm2(states))
    return clip.visual_projection(vision.post_layernorm(states))
