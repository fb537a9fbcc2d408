"""From a CATSeg checkpoint of OV-PARTS, or CAT-Seg's own, to a folder that `from_pretrained` reads."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from ...errors import CheckpointError
from ..checkpoints import KeyReport, convert_checkpoint
from ..clip import translate_clip
from ..resnet import resnet_name
from .aggregator import shift_mask
from .configuration_catseg import CATSegConfig
from .modeling_catseg import CATSegForPartSegmentation

_BACKBONE = "backbone."
_PREDICTOR = "sem_seg_head.predictor."
_NONE = "non_object_embedding"
_RENAMED = (
    (r"^conv1\.", "embedding.convolution."),
    (r"^text_guidance_projection\.0\.", "text_guidance."),
    (r"^guidance_projection\.0\.", "image_guidance."),
    (r"^decoder_guidance_projection\.(\d)\.0\.", r"decoder_guidance.\1."),
    (r"\.swin_block\.", ".spatial."),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.2."),
    (r"(layers\.\d+)\.attention\.", r"\1.across_classes."),
    (r"\.MLP\.", ".mlp."),
    (r"\.attn\.proj\.", ".attn.projection."),
    (r"\.(attn|attention)\.([qkv])\.", lambda match: f".attention.{_LETTERS[match[2]]}."),
    (r"\.attn\.", ".attention."),
    (r"^decoder(\d)\.", lambda match: f"decoder.stages.{int(match[1]) - 1}."),
    (r"\.conv\.double_conv\.(\d)\.", lambda match: f".{_DOUBLE_CONVOLUTION[match[1]]}."),
    (r"^head\.", "decoder.head."),
)
_LETTERS = {"q": "query", "k": "key", "v": "value"}
_DOUBLE_CONVOLUTION = {"0": "convolution_1", "1": "norm1", "3": "convolution_2", "4": "norm2"}


def convert_catseg(checkpoint: str | Path, config: CATSegConfig) -> tuple[CATSegForPartSegmentation, KeyReport]:
    """See `checkpoints.convert_checkpoint`; CAT-Seg's own object models are taken, too, and get a "none" row."""
    return convert_checkpoint(CATSegForPartSegmentation, checkpoint, config, account_keys)


def account_keys(tensors: Mapping[str, torch.Tensor], config: CATSegConfig) -> KeyReport:
    """Sorts the original's keys into used and derivable; unknown ones stay unexplained."""
    report = KeyReport()
    for key, tensor in tensors.items():
        if key.startswith(_BACKBONE):
            report.use(key, {_BACKBONE + resnet_name(key.removeprefix(_BACKBONE)): tensor})
        elif key.endswith(".attn_mask"):
            _check_mask(key, tensor, config)
            report.derivable.append(key)
        elif key.startswith(f"{_PREDICTOR}clip_model."):
            translated = translate_clip(key.removeprefix(f"{_PREDICTOR}clip_model."), tensor)
            if translated is not None:
                report.use(key, {f"clip.{name}": value for name, value in translated.items()})
        elif key.startswith(f"{_PREDICTOR}transformer."):
            name = aggregator_name(key.removeprefix(f"{_PREDICTOR}transformer."))
            report.use(key, {f"aggregator.{name}": tensor})
        elif key == _PREDICTOR + _NONE:
            report.use(key, {"none_embedding": tensor})
    if _PREDICTOR + _NONE not in tensors:
        drawn = torch.randn(1, config.projection_dim, generator=torch.Generator().manual_seed(0))
        reason = "not in an object model; drawn at random with seed 0, as the original starts with a random row"
        report.added["none_embedding"] = reason
        report.state["none_embedding"] = drawn * config.text_config.hidden_size**-0.5
    return report


def aggregator_name(key: str) -> str:
    """The name in `Aggregator` of one of the original's names."""
    for pattern, replacement in _RENAMED:
        key = re.sub(pattern, replacement, key)
    return key


def _check_mask(key: str, tensor: torch.Tensor, config: CATSegConfig) -> None:
    window, grid = config.window_size, config.grid_size
    shape = ((grid // window) ** 2, window**2, window**2)
    if tensor.shape == shape:
        expected = shift_mask(grid, window, window // 2, torch.device("cpu"))[:, 0]
        if tensor.device.type == "meta" or torch.equal(tensor.float(), expected):
            return
        advice = "Is the file damaged?"
    else:
        window, grid = math.isqrt(tensor.shape[-1]), math.isqrt(tensor.shape[0] * tensor.shape[-1])
        advice = (
            f"Its shape says {window} on {grid}: set window_size={window}, "
            f"image_size={grid * config.vision_config.patch_size} and "
            f"backbone_image_size={grid * config.backbone_stride}."
        )
    raise CheckpointError(
        f"{key} is not the mask of windows of {config.window_size} on a grid of {config.grid_size} patches. {advice}"
    )
