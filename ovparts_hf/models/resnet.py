"""ResNet (He et al., CVPR 2016) as detectron2 builds it, on transformers' modules.

Batch norm is frozen, strides sit in the 3 x 3 convolutions, and the deeplab variant (R101c) has a stem of three
convolutions and growing dilations in its last stage.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedConfig, ResNetBackbone, ResNetModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.resnet.modeling_resnet import ResNetBottleNeckLayer, ResNetConvLayer

from ..errors import CheckpointError, ConfigurationError
from ..utils.hub import check_readable, hub_errors
from .checkpoints import read_checkpoint
from .configuration_utils import PartResNetConfig
from .pretrained import check_finite, load_pretrained
from .timm_resnet import is_timm, read_timm_resnet

_BATCH_NORM_EPS = 1e-5


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


class CheckpointingBottleneck(GradientCheckpointingLayer, ResNetBottleNeckLayer):
    """A residual block that is computed anew in the backward pass, if gradient checkpointing is on."""


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
        for module in self.modules():
            if type(module) is ResNetBottleNeckLayer:
                module.__class__ = CheckpointingBottleneck
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
    """The name in `PartResNet` of one of detectron2's, such as "stem.conv1.weight" or "res2.0.conv1.norm.weight"."""
    if deep_stem:
        name = re.sub(r"^stem\.conv(\d)", lambda m: f"embedder.embedder.{int(m[1]) - 1}", key)
    else:
        name = key.replace("stem.conv1", "embedder.embedder")
    name = re.sub(r"^res(\d+)\.(\d+)", lambda m: f"encoder.stages.{int(m[1]) - 2}.layers.{m[2]}", name)
    name = re.sub(r"\.conv(\d)\.", lambda m: f".layer.{int(m[1]) - 1}.", name)
    layer, _, tensor = name.rpartition(".")
    return f"{layer.removesuffix('.norm')}.{'normalization' if layer.endswith('.norm') else 'convolution'}.{tensor}"


def load_backbone(model: nn.Module, name_or_path: str | Path) -> None:
    """Loads a pretrained ResNet: a folder or Hub repository of transformers or timm, or a file with detectron2's names.

    Of timm's networks "resnet50", "resnet101" and "resnet152" fit, such as "timm/resnet50.tv_in1k", which has
    torchvision's weights.

    Raises:
        CheckpointError: It does not fit.
        ConfigurationError: The model has no ResNet.
    """
    backbone = next((module for module in model.modules() if isinstance(module, PartResNet)), None)
    if backbone is None:
        own = hasattr(getattr(model, "config", None), "backbone_weights")
        advice = "name its own weights by config: {backbone_weights: ...}" if own else "leave it out"
        name = type(model).__name__
        raise ConfigurationError(
            f"backbone {str(name_or_path)!r} is for models with a ResNet, but a {name} has none: {advice}."
        )
    renamed = _read_resnet(name_or_path, backbone.config.deep_stem)
    check_finite(renamed, name_or_path)
    own = backbone.state_dict()
    missing = [
        name
        for name, tensor in own.items()
        if name not in renamed or renamed[name].shape != tensor.shape or not renamed[name].is_floating_point()
    ]
    if missing:
        raise CheckpointError(
            f"{name_or_path} does not fit the backbone: {len(missing)} of {len(own)} tensors are missing or have "
            f"another shape or type, such as {missing[0]}. Choose a ResNet with the depths {backbone.config.depths}."
        )
    backbone.load_state_dict({name: renamed[name] for name in own})


def _read_resnet(name_or_path: str | Path, deep_stem: bool) -> dict[str, torch.Tensor]:
    """The tensors of a pretrained ResNet, and of its classifier, by their names in `PartResNet`."""
    if Path(name_or_path).is_file():
        tensors = read_checkpoint(name_or_path).items()
        return {resnet_name(key, deep_stem): tensor for key, tensor in tensors if key.startswith(("stem.", "res"))}
    name = str(name_or_path)
    with hub_errors(name, "model"):
        if not Path(name).exists():
            check_readable(name, "model", "config.json")
        config = PreTrainedConfig.get_config_dict(name)[0]
        if is_timm(config):
            return read_timm_resnet(name, config)
    return load_pretrained(ResNetModel.from_pretrained, name, (), dtype="float32")[0].state_dict()
