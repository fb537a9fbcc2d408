"""What stock weights are, in small: a CLIP and a DINOv2 in folders of transformers."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import Dinov2Config, Dinov2Model

from ovparts_hf.models.loading import TOY_FOLDER

CLIP = TOY_FOLDER / "clip"
_TOY = json.loads((TOY_FOLDER / "partcatseg.json").read_text(encoding="utf-8"))["config"]
SIZES: dict[str, Any] = _TOY["backbone_config"]
FIELDS = {name: value for name, value in _TOY.items() if name not in ("image_mean", "image_std", "num_templates")}
"""Fields of the configuration of a model that fits these weights."""


def save_dino(folder: Path, **changes: Any) -> Dinov2Model:
    """A DINOv2 with random weights, as transformers saves it."""
    torch.manual_seed(3)
    stock = Dinov2Model(Dinov2Config(**{**SIZES, **changes}))
    stock.save_pretrained(folder)
    return stock
