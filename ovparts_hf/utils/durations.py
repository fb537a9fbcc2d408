"""Lengths of time as people write them: "90s", "20m", "1h30m"."""

from __future__ import annotations

import re

from ..errors import ConfigurationError

_SECONDS = {"h": 3600, "m": 60, "s": 1}
_FORM = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", re.IGNORECASE)


def parse_duration(text: str | float) -> float:
    """Seconds of "90s", "20m", "1.5h" or "1h30m"; a number alone is seconds.

    Raises:
        ConfigurationError: It is none of these, or not longer than nothing.
    """
    written = str(text).replace(" ", "")
    match = _FORM.fullmatch(written)
    try:
        seconds = float(written) if re.fullmatch(r"\d+(\.\d+)?", written) else None
        if seconds is None and match and written:
            seconds = sum(float(number) * each for number, each in zip(match.groups(), _SECONDS.values()) if number)
    except OverflowError:
        seconds = None
    if not seconds or seconds == float("inf"):
        raise ConfigurationError(f"{text!r} is no length of time; write it like 90s, 20m or 1h30m.")
    return seconds


def format_duration(seconds: float) -> str:
    """A length of time for people, in two units at most: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
