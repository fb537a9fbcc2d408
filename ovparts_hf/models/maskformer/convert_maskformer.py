"""The original's fully supervised MaskFormer checkpoints, and the part of ZSseg's that is a MaskFormer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from ...errors import CheckpointError
from ..checkpoints import KeyReport, convert_checkpoint
from ..resnet import resnet_name
from .configuration_maskformer import MaskClassificationConfig, MaskFormerPartConfig
from .modeling_maskformer import MaskFormerForPartSegmentation

_NUM_LATERALS = 3
_ATTENTIONS = {"self_attn": "self_attn", "multihead_attn": "encoder_attn"}
_IN_DECODER_LAYERS = {
    "self_attn.out_proj": "self_attn.o_proj",
    "multihead_attn.out_proj": "encoder_attn.o_proj",
    "linear1": "mlp.fc1",
    "linear2": "mlp.fc2",
    "norm1": "self_attn_layer_norm",
    "norm2": "encoder_attn_layer_norm",
    "norm3": "final_layer_norm",
}
_OUTSIDE = {
    "sem_seg_head.pixel_decoder.mask_features": "pixel_level_module.pixel_decoder.mask_projection",
    "sem_seg_head.predictor.transformer.decoder.norm": "query_decoder.layernorm",
    "sem_seg_head.predictor.query_embed": "query_decoder.queries",
    "sem_seg_head.predictor.input_proj": "query_decoder.input_projection",
    "sem_seg_head.predictor.class_embed": "class_head",
}
_PYRAMID = re.compile(r"sem_seg_head\.pixel_decoder\.(adapter|layer)_(\d)(\.norm)?\.(weight|bias)")
_DECODER_LAYER = re.compile(r"sem_seg_head\.predictor\.transformer\.decoder\.layers\.(\d+)\.(.+)[._](weight|bias)")
_HEAD = re.compile(r"sem_seg_head\.predictor\.(class|mask)_embed\.layers\.(\d)\.(weight|bias)")


def convert_maskformer(
    checkpoint: str | Path, config: MaskFormerPartConfig
) -> tuple[MaskFormerForPartSegmentation, KeyReport]:
    """See `checkpoints.convert_checkpoint`; `config.backbone_config` says whether it is an R50 or an R101c."""
    return convert_checkpoint(MaskFormerForPartSegmentation, checkpoint, config, account_keys)


def account_keys(tensors: Mapping[str, torch.Tensor], config: MaskClassificationConfig) -> KeyReport:
    """Sorts the keys of backbone, decoders, heads and criterion into used and derivable; others stay unexplained."""
    report = KeyReport()
    for key, tensor in tensors.items():
        if key == "criterion.empty_weight":
            _check_empty_weight(tensor, config.no_object_weight)
            report.derivable.append(key)
        elif key.startswith("backbone."):
            name = resnet_name(key.removeprefix("backbone."), config.backbone_config.deep_stem)
            report.use(key, {f"pixel_level_module.backbone.{name}": tensor.float()})
        elif translated := _translate_head(key, tensor.float()):
            report.use(key, translated)
    return report


def _check_empty_weight(weight: torch.Tensor, no_object_weight: float) -> None:
    """Its length is not compared: released ones may have another dataset's."""
    expected = torch.ones_like(weight)
    expected[-1] = no_object_weight
    if not torch.allclose(weight, expected):
        raise CheckpointError(
            f"criterion.empty_weight should be 1 for classes and {no_object_weight} at the end, but is {weight}. Set "
            "no_object_weight of the configuration to what the model was trained with."
        )


def _translate_head(key: str, tensor: torch.Tensor) -> dict[str, torch.Tensor] | None:
    module, _, kind = key.rpartition(".")
    if module in _OUTSIDE:
        return {f"{_OUTSIDE[module]}.{kind}": tensor}
    if match := _PYRAMID.fullmatch(key):
        layer = _pyramid_layer(match[1], int(match[2]))
        position = 1 if match[3] else 0  # the convolution, then its norm
        return {f"pixel_level_module.pixel_decoder.fpn.{layer}.{position}.{match[4]}": tensor}
    if match := _HEAD.fullmatch(key):
        return {f"{match[1]}_head.{match[2]}.0.{match[3]}": tensor}
    if match := _DECODER_LAYER.fullmatch(key):
        return _translate_decoder_layer(f"query_decoder.layers.{match[1]}.", match[2], match[3], tensor)
    return None


def _pyramid_layer(kind: str, number: int) -> str:
    """The original counts from the finest map, transformers from the coarsest, whose layer it calls the stem."""
    if number > _NUM_LATERALS:
        return "stem"
    return f"layers.{_NUM_LATERALS - number}.{'proj' if kind == 'adapter' else 'block'}"


def _translate_decoder_layer(
    prefix: str, module: str, kind: str, tensor: torch.Tensor
) -> dict[str, torch.Tensor] | None:
    attention = _ATTENTIONS.get(module.removesuffix(".in_proj"))
    if attention is not None:
        parts = zip("qkv", tensor.chunk(3))
        return {f"{prefix}{attention}.{letter}_proj.{kind}": part.contiguous() for letter, part in parts}
    return {f"{prefix}{_IN_DECODER_LAYERS[module]}.{kind}": tensor} if module in _IN_DECODER_LAYERS else None
