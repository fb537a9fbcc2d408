"""From a checkpoint of the authors' PartCLIPSeg to a folder that `from_pretrained` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from ..checkpoints import KeyReport, convert_checkpoint
from ..clipseg import convert_clipseg
from .configuration_partclipseg import PartCLIPSegConfig
from .modeling_partclipseg import PartCLIPSegForPartSegmentation

PREFIX = "partclipseg_model."
RENAMED_MODULES = {
    "decoder.cond_film_mul.": "decoder.condition_film_mul.",
    "decoder.cond_film_add.": "decoder.condition_film_add.",
    "decoder.reduce_cond_embed.": "decoder.condition_projection.",
    "decoder.part_obj_with_cond_embed.": "decoder.part_object_convolution.",
    "decoder.part_obj_mlp.0.": "decoder.part_projection.",
}
MIXING = PREFIX + "decoder.part_obj_mlp.0.weight"
"""One layer over features of a part and of an object, here one for each."""


def convert_partclipseg(
    checkpoint: str | Path, config: PartCLIPSegConfig
) -> tuple[PartCLIPSegForPartSegmentation, KeyReport]:
    """See `checkpoints.convert_checkpoint`."""
    return convert_checkpoint(
        PartCLIPSegForPartSegmentation, checkpoint, config, lambda tensors, _: account_keys(tensors)
    )


def account_keys(tensors: Mapping[str, torch.Tensor]) -> KeyReport:
    """Sorts the original's keys into used, derivable and unused; keys without its prefix stay unexplained."""
    renamed = {name: _renamed(name) for name in (key.removeprefix(PREFIX) for key in tensors)}
    report = convert_clipseg.account_keys(tensors, PREFIX, {**renamed, **convert_clipseg.RENAMED})
    if MIXING in tensors:
        part, of_object = tensors[MIXING].chunk(2, dim=1)
        report.use(
            MIXING,
            {
                "decoder.part_projection.weight": part.contiguous(),
                "decoder.object_projection.weight": of_object.contiguous(),
            },
        )
    return report


def _renamed(name: str) -> str:
    for old, new in RENAMED_MODULES.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
