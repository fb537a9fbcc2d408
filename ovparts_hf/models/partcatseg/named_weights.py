"""Weights that the configuration of a new or converted PartCATSeg names: of DINOv2, and of CLIP's text encoder."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from transformers import CLIPModel, Dinov2Model

from ...errors import ConfigurationError
from ..pretrained import load_pretrained

_UNUSED = "embeddings.mask_token"  # hides patches in DINOv2's own training
_TEXT = ("text_model.", "text_projection.")


def load_named_weights(model: nn.Module) -> None:
    """Loads what `backbone_weights` and `text_weights` of the configuration name, and forgets their names."""
    config = model.config
    if config.backbone_weights is not None:
        stock = _load(Dinov2Model, config.backbone_weights)
        _replace(model.backbone, {name: stock[name] for name in stock if name != _UNUSED}, "backbone_weights", config)
    if config.text_weights is not None:
        stock = _load(CLIPModel, config.text_weights)
        text = {name: tensor for name, tensor in stock.items() if name.startswith(_TEXT)}
        rest = {name: tensor for name, tensor in model.clip.state_dict().items() if not name.startswith(_TEXT)}
        _replace(model.clip, {**rest, **text}, "text_weights", config)


def _load(kind: type, source: str) -> dict[str, torch.Tensor]:
    return load_pretrained(kind.from_pretrained, source, (), dtype="float32")[0].state_dict()


def _replace(module: nn.Module, state: Mapping[str, torch.Tensor], field: str, config: object) -> None:
    own = {name: tensor.shape for name, tensor in module.state_dict().items()}
    differ = sorted(name for name in {*own, *state} if name not in state or own.get(name) != state[name].shape)
    if differ:
        sizes = " and ".join(str(list(shape)) if shape else "none" for shape in _shapes(differ[0], state, own))
        raise ConfigurationError(
            f"{field} {getattr(config, field)!r} do not fit the model: {len(differ)} tensors differ, such as "
            f"{differ[0]} (shapes {sizes}). Name weights of its sizes, or set these in the configuration."
        )
    module.load_state_dict(state)
    setattr(config, field, None)


def _shapes(name: str, state: Mapping[str, torch.Tensor], own: Mapping[str, torch.Size]) -> tuple:
    return getattr(state.get(name), "shape", None), own.get(name)
