"""What all model families share when they are trained: which parameters learn, and how new ones start."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import nn
from transformers import initialization as init

from ..errors import ConfigurationError


def set_trainable_parameters(model: nn.Module, name: str, groups: Mapping[str, str]) -> None:
    """Chooses what an optimiser may change.

    Args:
        model: All its parameters are set.
        name: "none", or some of the groups joined by "+".
        groups: Name of a group -> beginning of the names of its parameters.

    Raises:
        ConfigurationError: A group is unknown.
    """
    chosen = [] if name == "none" else name.split("+")
    unknown = sorted(set(chosen) - set(groups))
    if unknown:
        raise ConfigurationError(
            f"Trainable set {name!r} names {unknown}; use 'none' or join some of {list(groups)} by '+'."
        )
    prefixes = tuple(groups[group] for group in chosen)
    for parameter_name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter_name.startswith(prefixes))


def init_like_torch(module: nn.Module) -> None:
    """Draws a new layer at PyTorch's own scale, as the originals do; transformers' common default is much smaller."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        init.kaiming_uniform_(module.weight, a=math.sqrt(5))
