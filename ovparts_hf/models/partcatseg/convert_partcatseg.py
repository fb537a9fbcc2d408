"""From a PartCATSeg checkpoint of its authors, or CAT-Seg's own, to a folder that `from_pretrained` reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from ..catseg.convert_catseg import account_keys as account_catseg_keys
from ..catseg.convert_catseg import aggregator_name
from ..checkpoints import KeyReport, convert_checkpoint
from .configuration_partcatseg import PartCATSegConfig
from .modeling_partcatseg import PartCATSegForPartSegmentation
from .named_weights import load_named_weights

_DINO = "backbone.dinov2."
_AGGREGATOR = "sem_seg_head.predictor.transformer."
_DINO_NAMES = (
    (r"^cls_token$", "embeddings.cls_token"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^blocks\.", "encoder.layer."),
    (r"\.attn\.proj\.", ".attention.o_proj."),
    (r"\.ls(\d)\.gamma$", r".layer_scale\1.lambda1"),
    (r"^norm\.", "layernorm."),
)
_CLASS_LAYERS = "layers_specific_part."
_CLASS_MODULES = {"conv2.": "class_embedding.convolution.", "conv_proj_feat.": "composition."}
_COPIES = {"class_layers.": "layers.", "class_embedding.": "embedding."}
_UNUSED = {
    f"{_DINO}mask_token": "hides patches in DINOv2's own training; an image has all of its patches",
    f"{_AGGREGATOR}layers_object.": "the original never runs these layers",
}
_RESNET = "of CAT-Seg's ResNet, whose place DINOv2 takes"
_GUIDANCE = "takes the channels of CAT-Seg's ResNet, which are not those of DINOv2"
_FRESH = "not in CAT-Seg's checkpoint; drawn at random with seed 0"
_COPIED = "a copy of CAT-Seg's (copy_pretrained_layers)"


def convert_partcatseg(
    checkpoint: str | Path, config: PartCATSegConfig
) -> tuple[PartCATSegForPartSegmentation, KeyReport]:
    """See `checkpoints.convert_checkpoint`; CAT-Seg's object models are taken, too, as what training starts from.

    What the configuration names in `backbone_weights` and `text_weights` replaces what is in the checkpoint.
    """
    model, report = convert_checkpoint(PartCATSegForPartSegmentation, checkpoint, config, account_keys)
    load_named_weights(model)
    return model, report


def account_keys(tensors: Mapping[str, torch.Tensor], config: PartCATSegConfig) -> KeyReport:
    """Sorts the original's keys into used, derivable and unused; unknown ones stay unexplained."""
    is_catseg = not any(key.startswith(_DINO) for key in tensors)
    own, shared, unused = KeyReport(), {}, {}
    for key, tensor in tensors.items():
        reason = next((reason for prefix, reason in _UNUSED.items() if key.startswith(prefix)), None)
        if reason is not None or (is_catseg and key.startswith("backbone.")):
            unused[key] = reason or _RESNET
        elif key.startswith(_DINO):
            own.use(key, {f"backbone.{name}": part for name, part in dino_tensors(key[len(_DINO) :], tensor).items()})
        elif (name := _class_name(key)) is not None:
            own.use(key, {f"aggregator.{name}": tensor.flatten(1) if name == "composition.weight" else tensor})
        else:
            shared[key] = tensor
    report = account_catseg_keys(shared, config)
    report.used |= own.used
    report.state |= own.state
    report.unused |= unused
    if is_catseg:
        _begin(report, config)
    return report


def dino_tensors(key: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """Name in transformers' `Dinov2Model` -> tensor for one of DINOv2's own (q, k, v for a fused one)."""
    if match := re.fullmatch(r"blocks\.(\d+)\.attn\.qkv\.(weight|bias)", key):
        layer = f"encoder.layer.{match[1]}.attention."
        parts = zip("qkv", tensor.chunk(3))
        return {f"{layer}{letter}_proj.{match[2]}": part.contiguous() for letter, part in parts}
    for pattern, replacement in _DINO_NAMES:
        key = re.sub(pattern, replacement, key)
    return {key: tensor}


def _class_name(key: str) -> str | None:
    """The name in `PartAggregator` of what only PartCATSeg has; None for all others, and for derivable masks."""
    name = key.removeprefix(_AGGREGATOR)
    if name == key or key.endswith(".attn_mask"):
        return None
    if name.startswith(_CLASS_LAYERS):
        return f"class_{aggregator_name('layers.' + name.removeprefix(_CLASS_LAYERS))}"
    own = next((original for original in _CLASS_MODULES if name.startswith(original)), None)
    return None if own is None else _CLASS_MODULES[own] + name.removeprefix(own)


def _begin(report: KeyReport, config: PartCATSegConfig) -> None:
    """Adds what CAT-Seg's checkpoint lacks, and takes out what does not fit."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = PartCATSegForPartSegmentation(config).state_dict()
    for key, names in list(report.used.items()):
        if any("_guidance." in name and fresh[name].shape != report.state[name].shape for name in names):
            report.unused[key] = _GUIDANCE
            for name in report.used.pop(key):
                del report.state[name]
    for name, tensor in fresh.items():
        if name in report.state:
            continue
        module, _, rest = name.removeprefix("aggregator.").partition(".")
        source = f"aggregator.{_COPIES.get(f'{module}.')}{rest}"
        copied = config.copy_pretrained_layers and source in report.state
        report.state[name] = report.state[source].clone() if copied else tensor
        added = name if module.endswith("_guidance") else f"{name[: name.index(module)]}{module}"
        report.added[added] = _COPIED if copied else _FRESH
