"""What runs start from: CLIP alone, or what was learned of whole objects."""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate.utils import set_seed
from safetensors.torch import load_file
from torch import nn

from ...training import TrainArguments
from ...training.setup import TrainingSetup

_PRETRAINED_TOWER = "clip"


def load_start(arguments: TrainArguments, pretrained: Path | None) -> TrainingSetup:
    """What a run is made of, its model changed: with the weights of `pretrained` that have the same name and shape.

    For None, CLIP is left as it is, and all other layers are at random.
    """
    set_seed(arguments.seed)
    setup = TrainingSetup.load(arguments)
    if pretrained is None:
        restart_but_clip(setup.model)
    else:
        copy_matching(setup.model, pretrained)
    return setup


def restart_but_clip(model: nn.Module) -> None:
    """Draws all layers but CLIP's anew, with torch's own deviations."""
    for name, module in model.named_modules():
        inside = name == _PRETRAINED_TOWER or name.startswith(f"{_PRETRAINED_TOWER}.")
        if not inside and hasattr(module, "reset_parameters"):
            module.reset_parameters()


@torch.no_grad()
def copy_matching(model: nn.Module, pretrained: Path) -> list[str]:
    """Copies the weights that have the same name and shape; returns their names."""
    learned = load_file(pretrained / "model.safetensors")
    own = dict(model.named_parameters())
    names = [name for name, weights in learned.items() if name in own and own[name].shape == weights.shape]
    for name in names:
        own[name].copy_(learned[name])
    return names
