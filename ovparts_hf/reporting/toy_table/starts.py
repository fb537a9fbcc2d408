"""What runs start from: CLIP alone, or what was learned of whole objects."""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate.utils import set_seed
from safetensors.torch import load_file
from torch import nn

from ...models.loading import load_model
from ...utils.files import atomic_folder

_PRETRAINED_TOWER = "clip"


def save_start(source: str, folder: Path, seed: int, pretrained: Path | None) -> None:
    """Writes the model that a run starts from, unless it is there.

    That is `source`, with the weights of `pretrained` where they have the same name and shape;
    for None, with CLIP alone as it is and all other layers at random.
    """
    if folder.exists():
        return
    set_seed(seed)
    model, processor = load_model(source, for_training=True)
    if pretrained is None:
        restart_but_clip(model)
    else:
        copy_matching(model, pretrained)
    with atomic_folder(folder) as temporary:
        model.save_pretrained(temporary)
        processor.save_pretrained(temporary)


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
