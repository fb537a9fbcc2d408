"""From an OV-PARTS CLIPSeg checkpoint to a folder that `from_pretrained` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from ...errors import CheckpointError
from ..checkpoints import KeyReport, convert_checkpoint
from .configuration_clipseg import CLIPSegPartConfig
from .modeling_clipseg import CLIPSegForPartSegmentation

PREFIX = "clipseg_model."
RENAMED = {
    "visual_adapter.fc.0.weight": "visual_adapter.down.weight",
    "visual_adapter.fc.2.weight": "visual_adapter.up.weight",
    "non_object_embedding": "none_embedding",
}
UNUSED = {
    "text_adapter.fc.0.weight": "the original multiplies the text adapter by zero",
    "text_adapter.fc.2.weight": "the original multiplies the text adapter by zero",
    "tunable_linear.weight": "the original never calls this layer",
}


def convert_clipseg(checkpoint: str | Path, config: CLIPSegPartConfig) -> tuple[CLIPSegForPartSegmentation, KeyReport]:
    """See `checkpoints.convert_checkpoint`."""
    return convert_checkpoint(CLIPSegForPartSegmentation, checkpoint, config, lambda tensors, _: account_keys(tensors))


def account_keys(
    tensors: Mapping[str, torch.Tensor], prefix: str = PREFIX, renamed: Mapping[str, str] = RENAMED
) -> KeyReport:
    """Sorts the original's keys into used, derivable and unused; keys without its prefix stay unexplained."""
    report = KeyReport()
    for key, tensor in tensors.items():
        name = key.removeprefix(prefix)
        if name == key:
            continue
        if name in UNUSED:
            report.unused[key] = UNUSED[name]
        elif name.endswith(".embeddings.position_ids"):
            if not torch.equal(tensor.flatten(), torch.arange(tensor.numel())):
                raise CheckpointError(f"{key} should count 0, 1, 2, ... but does not. Is the file damaged?")
            report.derivable.append(key)
        else:
            report.use(key, {renamed.get(name, name): tensor})
    return report
