"""The name that somebody who gave an unknown one may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A sentence with the nearest name, to be put behind that of an error; empty if none is near."""
    nearest = get_close_matches(str(name), [str(each) for each in known], n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""
