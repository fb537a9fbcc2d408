"""ResNet (He et al., CVPR 2016) as detectron2 builds it, on transformers' modules.

Batch norm is frozen, strides sit in the 3 x 3 convolutions, and the deeplab variant (R101c) has a stem of three
convolutions and growing dilations in its last stage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import ResNetBackbone, ResNetConfig
from transformers.models.resnet.modeling_resnet import ResNetConvLayer

_BATCH_NORM_EPS = 1e-5
_PLAIN_STEM = {"embedding_size": 64, "deep_stem": False, "last_dilations": None}
RESNETS = {
    "resnet-50": {"depths": [3, 4, 6, 3], **_PLAIN_STEM},
    "resnet-101": {"depths": [3, 4, 23, 3], **_PLAIN_STEM},
    "resnet-101c": {
        "depths": [3, 4, 23, 3],
        "embedding_size": 128,
        "deep_stem": True,
        "last_dilations": [1, 2, 4],
    },
}
"""Fields of `PartResNetConfig` for detectron2's R50, R101 and R101c (its deeplab variant with a multi-grid)."""


@strict
class PartResNetConfig(ResNetConfig):
    r"""Configuration of `PartResNet`: everything of transformers' `ResNetConfig`, and the following.

    Args:
        deep_stem: Whether three 3 x 3 convolutions replace the 7 x 7 one of the stem (R101c).
        stem_pooling: Whether the stem ends with a pooling that halves the resolution, as in every released model.
        last_dilations: Dilation of the 3 x 3 convolution of each layer of the last stage, or None for 1 everywhere.
    """

    model_type = "ovparts_resnet"

    deep_stem: bool = False
    stem_pooling: bool = True
    last_dilations: list[int] | tuple[int, ...] | None = None

    def __post_init__(self, **kwargs):
        kwargs.setdefault("out_indices", list(range(1, len(self.depths) + 1)))
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Checks that there is a dilation for each layer of the last stage."""
        if self.last_dilations is not None and len(self.last_dilations) != self.depths[-1]:
            raise ValueError(
                f"last_dilations is {self.last_dilations}; the last stage has {self.depths[-1]} layers, give one each."
            )


class FrozenBatchNorm2d(nn.Module):
    """Batch norm that always uses its stored statistics and whose affine part is not learned either."""

    def __init__(self, num_features: int):
        super().__init__()
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(features, self.running_mean, self.running_var, self.weight, self.bias, eps=_BATCH_NORM_EPS)


class PartResNet(ResNetBackbone):
    """The feature maps of each stage, finest first (detectron2's res2, res3, ...)."""

    config: PartResNetConfig
    config_class = PartResNetConfig
    _supports_sdpa = True  # there is no attention that could fail to

    def __init__(self, config: PartResNetConfig):
        super().__init__(config)
        if config.deep_stem:
            self.embedder.embedder = _deep_stem(config)
        if not config.stem_pooling:
            self.embedder.pooler = nn.Identity()
        if config.last_dilations is not None:
            for layer, dilation in zip(self.encoder.stages[-1].layers, config.last_dilations):
                convolution = layer.layer[1].convolution
                convolution.dilation = convolution.padding = (dilation, dilation)
        _freeze_batch_norm(self)


def _deep_stem(config: PartResNetConfig) -> nn.Sequential:
    width = config.embedding_size
    return nn.Sequential(
        ResNetConvLayer(config.num_channels, width // 2, stride=2, activation=config.hidden_act),
        ResNetConvLayer(width // 2, width // 2, activation=config.hidden_act),
        ResNetConvLayer(width // 2, width, activation=config.hidden_act),
    )


def _freeze_batch_norm(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features))
        else:
            _freeze_batch_norm(child)


def resnet_name(key: str, deep_stem: bool = False) -> str:
    """The name in `PartResNet` of one of detectron2's.

    Args:
        key: Without a prefix: "stem.conv1.weight", "res2.0.conv1.norm.weight", "res2.0.shortcut.weight".
        deep_stem: Whether the stem has three convolutions.
    """
    if deep_stem:
        name = re.sub(r"^stem\.conv(\d)", lambda m: f"embedder.embedder.{int(m[1]) - 1}", key)
    else:
        name = key.replace("stem.conv1", "embedder.embedder")
    name = re.sub(r"^res(\d+)\.(\d+)", lambda m: f"encoder.stages.{int(m[1]) - 2}.layers.{m[2]}", name)
    name = re.sub(r"\.conv(\d)\.", lambda m: f".layer.{int(m[1]) - 1}.", name)
    layer, _, tensor = name.rpartition(".")
    return f"{layer.removesuffix('.norm')}.{'normalization' if layer.endswith('.norm') else 'convolution'}.{tensor}"


def resnet_state(tensors: Mapping[str, torch.Tensor], deep_stem: bool = False) -> dict[str, torch.Tensor]:
    """A state dict for `PartResNet` from one with detectron2's names; a classifier's layers stay behind."""
    ours = {key: tensor for key, tensor in tensors.items() if key.startswith(("stem.", "res"))}
    return {resnet_name(key, deep_stem): tensor for key, tensor in ours.items()}
