"""The original's ZSseg and ZSseg+ checkpoints, and those of tuned prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from ...errors import CheckpointError
from ..checkpoints import KeyReport, convert_checkpoint, load_accounted, read_checkpoint
from ..clip import translate_clip
from ..maskformer.convert_maskformer import account_keys as account_mask_classification
from ..prompts import LearnedPrompts
from .configuration_zsseg import ZSSegConfig
from .modeling_zsseg import ZSSegForPartSegmentation

PREFIX = "clip_adapter."
CLIP_PREFIX = f"{PREFIX}clip_model."
PROMPT_PREFIX = f"{PREFIX}prompt_learner."
LEARNED = ("fuse_weight", "prefix_prompt", "connect_prompt", "suffix_prompt")
SIGNALS = ("start_signal", "ss_signal", "dot_signal", "end_signal", "pad_signal")
_SIGNAL_REASON = "a copy of a token embedding of CLIP"
_SHARED_REASON = "the same number as prompt_learner.fuse_weight"
CLIP_PIXELS = {"pixel_mean": "clip_mean", "pixel_std": "clip_std"}
"""What plain ZSseg saves of CLIP's normalisation, and where our configuration has it."""


def convert_zsseg(
    checkpoint: str | Path, config: ZSSegConfig, prompt_checkpoint: str | Path | None = None
) -> tuple[ZSSegForPartSegmentation, KeyReport]:
    """See `checkpoints.convert_checkpoint`; prompts of a separate checkpoint replace those in `checkpoint`."""
    model, report = convert_checkpoint(ZSSegForPartSegmentation, checkpoint, config, account_keys)
    if prompt_checkpoint is not None:
        load_prompts(model.prompts, prompt_checkpoint)
    return model, report


def load_prompts(prompts: LearnedPrompts | None, checkpoint: str | Path) -> KeyReport:
    """Loads the original's separate checkpoint of tuned prompts, from the keys that start with "prompt_learner."."""
    if prompts is None:
        raise CheckpointError("The model has no learned prompts: set prompt_lengths of its configuration.")
    prefix = PROMPT_PREFIX.removeprefix(PREFIX)
    tensors = {key: value for key, value in read_checkpoint(checkpoint).items() if key.startswith(prefix)}
    report = KeyReport()
    for key, tensor in tensors.items():
        _account_prompt(key, key.removeprefix(prefix), tensor, "", report)
    load_accounted(prompts, tensors, report)
    return report


def account_keys(tensors: Mapping[str, torch.Tensor], config: ZSSegConfig) -> KeyReport:
    """Sorts the original's keys into used, derivable and unused; others stay unexplained."""
    report = account_mask_classification(tensors, config)
    for key, tensor in tensors.items():
        name = key.removeprefix(PREFIX)
        if key.startswith(CLIP_PREFIX):
            if translated := translate_clip(key.removeprefix(CLIP_PREFIX), tensor):
                report.use(key, {f"clip.{own}": value for own, value in translated.items()})
        elif key.startswith(PROMPT_PREFIX):
            _account_prompt(key, key.removeprefix(PROMPT_PREFIX), tensor, "prompts.", report)
        elif name == "non_object_embedding":
            report.use(key, {"no_object_embedding": tensor.float()})
        elif name == "fuse_weight":
            report.unused[key] = _SHARED_REASON
        elif name in CLIP_PIXELS:
            _check_pixels(key, tensor, getattr(config, CLIP_PIXELS[name]))
            report.derivable.append(key)
    return report


def _account_prompt(key: str, name: str, tensor: torch.Tensor, own_prefix: str, report: KeyReport) -> None:
    if name in LEARNED:
        report.use(key, {f"{own_prefix}{name}": tensor.float()})
    elif name in SIGNALS:
        report.unused[key] = _SIGNAL_REASON


def _check_pixels(key: str, tensor: torch.Tensor, expected: Sequence[float]) -> None:
    if not torch.allclose(tensor.flatten() / 255, torch.tensor(expected)):
        raise CheckpointError(
            f"{key} should be 255 times the configuration's {list(expected)}, but is {tensor.flatten().tolist()}."
        )
