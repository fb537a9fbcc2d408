"""What the settings of a model may be, checked before anything is built of them: that could take all memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from transformers.image_utils import SizeDict

from ..errors import ConfigurationError

MAX_PARAMETERS = 2**30  # about twice the largest model that the families are built on
_MOST = 65_536  # of what is counted, and the largest width
_MOST_BY_NAME = {"layers": 1024, "depths": 1024, "ignore_index": 2**31, "vocab": 2**20, "token_id": 2**20}
_SIGNED = ("ignore_index", "token_id", "layers", "indices", "in_index", "keep_alive", "frame_num")
"""May be negative: some count from the end, and -1 stands for no limit."""
_LONGEST_SIDE = 16_384  # pixels
_SIDES = (
    *("size", "backbone_size", "crop_size", "pad_size", "shortest_edge", "longest_edge", "size_divisor"),
    "canvas_size",
)


def check_numbers(settings: Any, name: str = "") -> None:
    """Raises a ConfigurationError if a configuration holds a number that no model has, however deeply."""
    limit = next((most for part, most in _MOST_BY_NAME.items() if part in name), _MOST)
    if isinstance(settings, Mapping | list | tuple):
        if len(settings) > _MOST:
            raise ConfigurationError(f"{name} has {len(settings):,} entries; at most {_MOST:,} are possible.")
        pairs = settings.items() if isinstance(settings, Mapping) else [(name, value) for value in settings]
        for key, value in pairs:
            check_numbers(value, str(key))
    elif isinstance(settings, int) and abs(settings) > limit:
        raise ConfigurationError(f"{name[:80]} is {_short(settings)}; at most {limit:,} is possible.")
    elif isinstance(settings, int) and settings < 0 and not any(part in name for part in _SIGNED):
        raise ConfigurationError(f"{name[:80]} is {_short(settings)}; it cannot be negative.")
    elif isinstance(settings, float) and not math.isfinite(settings):
        raise ConfigurationError(f"{name[:80]} is {settings}; it must be a finite number.")


def check_parameters(model: nn.Module) -> None:
    """Raises a ConfigurationError if a model, so far without memory, has more parameters than fit any machine."""
    count = sum(parameter.numel() for parameter in model.parameters())
    if count > MAX_PARAMETERS:
        raise ConfigurationError(
            f"A {type(model).__name__} of this configuration has {count:,} parameters; at most {MAX_PARAMETERS:,} are "
            "loaded. Check the sizes in its config.json."
        )


def check_image_settings(processor: Any) -> None:
    """Raises a ConfigurationError if an image processor has sizes or a normalisation that no image can get."""
    for name in _SIDES:
        value = getattr(processor, name, None)
        sides = vars(value) if isinstance(value, SizeDict) else value if isinstance(value, Mapping) else {name: value}
        for key, side in sides.items():
            if side is not None and not (type(side) is int and 0 < side <= _LONGEST_SIDE):
                raise ConfigurationError(f"{key} of the images is {_short(side)}; use 1 to {_LONGEST_SIDE:,} pixels.")
    for name in ("image_mean", "image_std"):
        value = getattr(processor, name, None)
        if value is not None and not _is_color(value, positive=name == "image_std"):
            raise ConfigurationError(f"{name} is {_short(value)}; give three finite numbers, of image_std above zero.")
    factor = getattr(processor, "rescale_factor", None)
    if factor is not None and not (isinstance(factor, int | float) and 0 < abs(factor) <= 1):
        raise ConfigurationError(f"rescale_factor is {_short(factor)}; it brings values from 0..255 to 0..1: 1 / 255.")


def _is_color(value: Any, positive: bool) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) == 3
        and all(type(each) in (int, float) and math.isfinite(each) for each in value)
        and (not positive or min(value) > 0)
    )


def _short(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number of more than 18 digits"
    return repr(value)[:80]
