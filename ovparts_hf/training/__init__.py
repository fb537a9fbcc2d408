"""Fine-tuning on a dataset of parts, and prompt tuning. Names are loaded when they are first used."""

from importlib import import_module
from typing import Any

_HOMES = {
    "Estimate": "estimate",
    "PromptTuningArguments": "arguments",
    "StockCLIP": "prompt_tuning.features",
    "TrainArguments": "arguments",
    "TrainingInterrupted": "signals",
    "classify_parts": "prompt_tuning.scores",
    "estimate_run": "dry_run",
    "train": "loop",
    "tune_prompts": "prompt_tuning.loop",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
