"""Splits that the names of files and folders tell."""

from __future__ import annotations

import re
from pathlib import PurePath

_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_YEAR = re.compile(r"(\d{4})$")  # "train2017"


def split_of(path: PurePath) -> str | None:
    """ "train", "validation" or "test" from the words of a path below the source, the last one first; None without."""
    for part in reversed(path.parts):
        for word in reversed(re.split(r"[^a-z0-9]+", part.lower())):
            if split := _WORDS.get(_YEAR.sub("", word)):
                return split
    return None
