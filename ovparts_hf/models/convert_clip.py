"""OpenAI's names and layouts of CLIP weights, and transformers' (`CLIPModel`)."""

from __future__ import annotations

import re

import torch

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
    """What one of OpenAI's tensors becomes in transformers' `CLIPModel` (ViT towers).

    Args:
        key: OpenAI's name, without a prefix.
        tensor: Its value, float32 or float16.

    Returns:
        Name -> float32 tensor: three for a fused in-projection (query, key, value), otherwise one; None for a key that
        CLIP does not have.
    """
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
