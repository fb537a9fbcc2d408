"""Numbers and lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 20


def counted(number: int, noun: str) -> str:
    """ "1 image", "2,000 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(values: Sequence[str], quote: bool = True) -> str:
    """The first of some values, and how many more there are."""
    shown = ", ".join(repr(value) if quote else value for value in values[:_SHOWN])
    return shown + (f" and {len(values) - _SHOWN:,} more" if len(values) > _SHOWN else "")
