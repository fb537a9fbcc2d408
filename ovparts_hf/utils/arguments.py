"""Arguments that are refused where a silent conversion would give them another meaning."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import ConfigurationError, OVPartsError
from .files import first_line


def whole_numbers(name: str, values: Any, error: type[OVPartsError] = ConfigurationError) -> list[int]:
    """Integers of any type as Python's; true and false, fractions and text raise `error`."""
    try:
        return [_whole_number(value) for value in values]
    except TypeError as cause:
        shown = list(values) if isinstance(values, Iterable) else values
        advice = "Of a mask of bools, take np.flatnonzero."
        raise error(f"{name} holds {repr(shown)[:200]}; give integers. {advice}") from cause


def check_positive(**numbers: int | None) -> None:
    """Refuses a number that is no integer from 1 on; None stands for one that was not given."""
    for name, number in numbers.items():
        if number is not None and whole_numbers(name, [number])[0] < 1:
            raise ConfigurationError(f"{name} is {number}; it must be at least 1.")


def check_not_negative(**numbers: int) -> None:
    """Refuses a number that is no integer from 0 on."""
    for name, number in numbers.items():
        if whole_numbers(name, [number])[0] < 0:
            raise ConfigurationError(f"{name} is {number}; it must be at least 0.")


def _whole_number(value: Any) -> int:
    if str(getattr(value, "dtype", type(value).__name__)).endswith("bool"):  # of Python, numpy or torch
        raise TypeError
    return operator.index(value)


def as_array(name: str, value: Any) -> np.ndarray:
    """`np.asarray`; what is no array, such as lists of different lengths, is a `ConfigurationError`."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"The {name} is not an array: {first_line(error)}") from error


def binary_mask(name: str, value: Any) -> np.ndarray:
    """Any mask as bool, of the same shape: true where it is above 0; negative values and NaN are refused."""
    if hasattr(value, "detach"):  # a torch tensor; torch itself is not needed here
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
    array = as_array(name, value)
    if array.dtype.kind not in "biuf":
        raise ConfigurationError(f"The {name} is of dtype {array.dtype}; give bools, or numbers above 0 inside.")
    if not (array >= 0).all():
        raise ConfigurationError(
            f"The {name} holds values from {array.min()} to {array.max()}; give 0 outside and values above 0 inside. "
            "Threshold scores first: scores > 0.5."
        )
    return array > 0
