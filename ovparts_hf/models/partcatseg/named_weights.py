"""Weights that the configuration of a new or converted PartCATSeg names: of DINOv2, and of CLIP's text encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from transformers import CLIPModel, Dinov2Model, PreTrainedModel

from ...errors import ConfigurationError, HubError
from ...utils.files import user_path
from ...utils.hub import check_readable, hub_errors
from ..pretrained import load_pretrained
from .configuration_partcatseg import PartCATSegConfig

_UNUSED = "embeddings.mask_token"  # hides patches in DINOv2's own training
_TEXT = ("text_model.", "text_projection.")
_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "mlp_ratio", "patch_size", "image_size")
"""Fields of a DINOv2's configuration that the shapes of its weights follow from."""
_ADVICE = "Name weights of its sizes, or set these in the configuration."


def load_named_weights(model: nn.Module) -> None:
    """Loads what `backbone_weights` and `text_weights` of the configuration name, and forgets their names.

    Raises:
        ConfigurationError: They cannot be had, or are of other sizes than the model.
        CheckpointError: They are damaged.
    """
    config = model.config
    if config.backbone_weights is not None:
        dino = _load(Dinov2Model, "backbone_weights", config)
        state = {name: tensor for name, tensor in dino.state_dict().items() if name != _UNUSED}
        _replace(model.backbone, state, "backbone_weights", config, _advice(dino, config))
    if config.text_weights is not None:
        stock = _load(CLIPModel, "text_weights", config).state_dict()
        text = {name: tensor for name, tensor in stock.items() if name.startswith(_TEXT)}
        rest = {name: tensor for name, tensor in model.clip.state_dict().items() if not name.startswith(_TEXT)}
        _replace(model.clip, {**rest, **text}, "text_weights", config, _ADVICE)


def _load(kind: type, field: str, config: PartCATSegConfig) -> PreTrainedModel:
    source = getattr(config, field)
    location = str(user_path(source))
    try:
        with hub_errors(source, "model"):
            if not Path(location).exists():
                check_readable(location, "model", "config.json")
            return load_pretrained(kind.from_pretrained, location, (), dtype="float32")[0]
    except HubError as error:
        raise ConfigurationError(f"{field} {source!r} cannot be loaded: {error}") from error


def _advice(dino: Dinov2Model, config: PartCATSegConfig) -> str:
    sizes = {name: getattr(dino.config, name) for name in _SIZES}
    differ = {name: size for name, size in sizes.items() if getattr(config.backbone_config, name) != size}
    return f"Set backbone_config to the sizes of these weights: {differ}." if differ else _ADVICE


def _replace(
    module: nn.Module, state: Mapping[str, torch.Tensor], field: str, config: PartCATSegConfig, advice: str
) -> None:
    own = {name: tensor.shape for name, tensor in module.state_dict().items()}
    differ = sorted(name for name in {*own, *state} if name not in state or own.get(name) != state[name].shape)
    if differ:
        sizes = " and ".join(str(list(shape)) if shape else "none" for shape in _shapes(differ[0], state, own))
        raise ConfigurationError(
            f"{field} {getattr(config, field)!r} do not fit the model: {len(differ)} tensors differ, such as "
            f"{differ[0]} (shapes {sizes}). {advice}"
        )
    module.load_state_dict(state)
    setattr(config, field, None)


def _shapes(name: str, state: Mapping[str, torch.Tensor], own: Mapping[str, torch.Size]) -> tuple:
    return getattr(state.get(name), "shape", None), own.get(name)
