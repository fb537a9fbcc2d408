"""ResNets of timm, such as "timm/resnet50.tv_in1k" with torchvision's weights, under the names of transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import ResNetConfig
from transformers.utils import cached_file

from ..errors import CheckpointError, ConfigurationError
from ..utils.files import brief
from .checkpoints import read_checkpoint

DEPTHS = {"resnet50": [3, 4, 6, 3], "resnet101": [3, 4, 23, 3], "resnet152": [3, 8, 36, 3]}
"""Networks of timm that compute what transformers' ResNet does. Others have tensors of the same names and shapes."""
_HARMLESS = {"num_classes", "global_pool", "in_chans", "drop_rate", "drop_path_rate"}
"""Options of timm's networks that do not change what a backbone computes, or that change the shape of a tensor."""
_WEIGHTS = "model.safetensors"
_CLASSIFIER = "fc."
_COUNTER = "num_batches_tracked"  # of batch norm, whose values nothing reads
_NAMES = (
    (r"^(conv|bn)1\.", r"embedder.embedder.\1."),
    (r"^layer(\d)\.(\d+)\.", lambda match: f"encoder.stages.{int(match[1]) - 1}.layers.{match[2]}."),
    (r"\.(conv|bn)(\d)\.", lambda match: f".layer.{int(match[2]) - 1}.{match[1]}."),
    (r"\.downsample\.0\.", ".shortcut.conv."),
    (r"\.downsample\.1\.", ".shortcut.bn."),
    (r"\.conv\.", ".convolution."),
    (r"\.bn\.", ".normalization."),
)


def is_timm(config: Mapping[str, Any]) -> bool:
    """Whether the content of a config.json, as transformers reads it, is that of a model which timm saved."""
    return config.get("model_type") == "timm_wrapper"


def timm_config(config: Mapping[str, Any], name_or_path: str | Path) -> ResNetConfig:
    """The configuration of a ResNet of timm as transformers has it; other networks of timm are refused."""
    architecture, options = config.get("architecture"), config.get("model_args") or {}
    changes = sorted(set(options) - _HARMLESS)
    if architecture not in list(DEPTHS) or changes:
        changed = f" with other {brief(changes)}" if changes else ""
        raise ConfigurationError(
            f"{str(name_or_path)!r} is {brief(architecture)} of timm{changed}; of timm's networks {list(DEPTHS)} can "
            "be a backbone, as they are. Choose one of them, such as 'timm/resnet50.tv_in1k'."
        )
    return ResNetConfig(depths=DEPTHS[architecture])


def read_timm_resnet(name_or_path: str | Path, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors of a ResNet of timm, in a folder or on the Hub, by the names of transformers' `ResNetModel`."""
    timm_config(config, name_or_path)
    tensors = {
        name: tensor
        for name, tensor in read_checkpoint(cached_file(str(name_or_path), _WEIGHTS)).items()
        if not name.startswith(_CLASSIFIER) and not name.endswith(_COUNTER)
    }
    given, own = {name: tensor.shape for name, tensor in tensors.items()}, _shapes(config["architecture"])
    wrong = sorted(name for name in given.keys() | own.keys() if given.get(name) != own.get(name))
    if wrong:
        raise CheckpointError(
            f"The weights of {str(name_or_path)!r} are not those of timm's {config['architecture']}: {len(wrong)} "
            f"tensors are missing, unexpected or of another shape, such as {wrong[0]}. Download or save them again, "
            "whole."
        )
    return {transformers_name(name): tensor for name, tensor in tensors.items()}


def transformers_name(name: str) -> str:
    """The name in transformers' ResNet of one of timm's, such as "layer1.0.conv1.weight"."""
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _shapes(architecture: str) -> dict[str, torch.Size]:
    """The tensors of timm's network."""
    import timm  # which takes a second

    with torch.device("meta"):
        network = timm.create_model(architecture, num_classes=0)
    return {name: tensor.shape for name, tensor in network.state_dict().items() if not name.endswith(_COUNTER)}
