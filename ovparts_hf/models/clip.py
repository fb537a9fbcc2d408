"""CLIP as the part segmentation models use it: features of names and images, and OpenAI's names of its weights."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence

import torch
from torch import nn
from transformers.utils.import_utils import is_torchdynamo_exporting

TEXTS_AT_ONCE = 128


def text_features(
    clip: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, half: bool = False
) -> torch.Tensor:
    """Encodes prompts (prompts, length) with a CLIP text tower into (prompts, projection dim), not normalised.

    Of many prompts, those of like length are encoded together, without padding that none of them needs. `half` computes
    in float16 with float32 layer norms, as OpenAI's code does on a GPU.
    """
    if attention_mask is None:
        attention_mask = torch.ones_like(input_ids)
    if is_torchdynamo_exporting():  # a graph has a fixed number of steps
        return clip.get_text_features(input_ids=input_ids, attention_mask=attention_mask).pooler_output
    dtype = clip.dtype
    if half:
        clip = _with_half_precision_text(clip)
    lengths = attention_mask.sum(1)
    many = len(lengths) > TEXTS_AT_ONCE
    order = lengths.argsort(stable=True) if many else torch.arange(len(lengths), device=lengths.device)
    rows = []
    for part in order.split(TEXTS_AT_ONCE):
        longest = input_ids.shape[1] if torch.compiler.is_compiling() else int(lengths[part].max())
        ids, mask = input_ids[part, :longest], attention_mask[part, :longest]
        rows.append(clip.get_text_features(input_ids=ids, attention_mask=mask).pooler_output)
    return torch.cat(rows).to(dtype).index_select(0, order.argsort())


def _with_half_precision_text(clip: nn.Module) -> nn.Module:
    shell = copy.copy(clip)
    shell._modules = dict(clip._modules)
    for name in ("text_model", "text_projection"):
        shell._modules[name] = copy.deepcopy(clip._modules[name]).half()
    for module in shell.text_model.modules():
        if isinstance(module, nn.LayerNorm):
            module.float()
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
            module.register_forward_hook(lambda _, inputs, output: output.half())
    return shell


def image_activations(
    vision_model: nn.Module, pixel_values: torch.Tensor, layers: Sequence[int]
) -> tuple[torch.Tensor, ...]:
    """Hidden states (batch, 1 + patches, hidden size), class token first, after each of `layers`, counted from 0."""
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
    (batch, 3, height, width) -> (batch, 1 + patches, projection dim), not normalised, class token first.
    """
    vision = clip.vision_model
    last = vision.encoder.layers[-1]
    states = vision.pre_layrnorm(vision.embeddings(pixel_values, interpolate_pos_encoding=True))
    for layer in vision.encoder.layers[:-1]:
        states = layer(states, None)
    states = states + last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(states)))
    states = states + last.mlp(last.layer_norm2(states))
    return clip.visual_projection(vision.post_layernorm(states))


_TOWERS = {
    "visual.transformer.resblocks.": "vision_model.encoder.layers.",
    "transformer.resblocks.": "text_model.encoder.layers.",
}
_IN_LAYERS = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_OUTSIDE = {
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "logit_scale": "logit_scale",
}
_TRANSPOSED = {"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}
_LAYER = re.compile(rf"({'|'.join(map(re.escape, _TOWERS))})(\d+)\.(.+)")


def translate_clip(key: str, tensor: torch.Tensor) -> dict[str, torch.Tensor] | None:
    """Name in `CLIPModel` -> float32 tensor for one of OpenAI's (q, k, v for a fused one); None for an unknown key."""
    tensor = tensor.float()
    if key in _OUTSIDE:
        return {_OUTSIDE[key]: tensor}
    if key in _TRANSPOSED:
        return {_TRANSPOSED[key]: tensor.T.contiguous()}
    match = _LAYER.fullmatch(key)
    if match is None:
        return None
    layer = f"{_TOWERS[match[1]]}{match[2]}."
    if match[3] in ("attn.in_proj_weight", "attn.in_proj_bias"):
        kind = match[3].removeprefix("attn.in_proj_")
        parts = zip("qkv", tensor.chunk(3))
        return {f"{layer}self_attn.{letter}_proj.{kind}": part.contiguous() for letter, part in parts}
    module, _, kind = match[3].rpartition(".")
    return {f"{layer}{_IN_LAYERS[module]}.{kind}": tensor} if module in _IN_LAYERS else None
