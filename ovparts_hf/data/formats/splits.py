"""Splits that the names of files and folders tell."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

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


def listed_splits(root: Path) -> dict[str, str]:
    """The split of each image that PASCAL VOC's lists "ImageSets/*/train.txt", "val.txt" and "test.txt" name.

    Images are named without suffix, from their folder on. What several splits list is in none.
    """
    found: dict[str, set[str]] = {}
    for path in sorted(root.glob("ImageSets/*/*.txt")):
        if split := _WORDS.get(path.stem.lower()):
            lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
            for name in filter(None, (line.strip().strip('"') for line in lines)):
                found.setdefault(name, set()).add(split)
    return {name: next(iter(splits)) for name, splits in found.items() if len(splits) == 1}


def split_of(path: PurePath) -> str | None:
    """ "train", "validation" or "test" from the words of a path below the source, the last one first; None without."""
    for part in reversed(path.parts):
        for word in reversed(re.split(r"[^a-z0-9]+", part.lower())):
            if split := _WORDS.get(_YEAR.sub("", word)):
                return split
    return None
