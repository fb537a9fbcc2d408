"""Where and how a model runs: runtime, device and precision, checked before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..errors import ConfigurationError
from ..utils.files import first_line

RUNTIMES = ("torch", "onnx", "openvino")
"""What can run a model."""


def wrong_runtime(name_or_path: str | Path, made_for: str, runtime: str) -> str:
    """What is wrong where a model that is `made_for` one runtime is to run on another."""
    if runtime not in RUNTIMES:
        return f"The runtime is {runtime!r}; choose one of {list(RUNTIMES)}."
    if runtime == "torch":
        return (
            f"{name_or_path} is an export for {made_for}; give the model that it was made from, or leave runtime out."
        )
    made_for = "an export for " + made_for if made_for != "torch" else "a model of torch"
    return (
        f"{name_or_path} is {made_for}; write one for {runtime} by `ovparts export {runtime} MODEL OUT`, and load OUT."
    )


def usable_device(device: Any) -> Any:
    """The device, which must be there; for None the accelerator, if there is one."""
    if device is None:
        return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = first_line(error)
        raise ConfigurationError(
            f"The device {device!r} cannot be used here ({reason}). Name another, or none for the best there is."
        ) from error
    return device


def floating_type(dtype: torch.dtype | str | None) -> torch.dtype | None:
    """The precision of weights, also by its name; None stays None."""
    chosen = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype is not None and not (isinstance(chosen, torch.dtype) and chosen.is_floating_point):
        raise ConfigurationError(f"dtype is {dtype!r}; give float32, bfloat16 or float16.")
    return chosen
