"""Which label files a source has, told by their text alone: some are of gigabytes."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Sequence
from pathlib import Path

from .base import Source
from .images import visible_files

_LOOKED_AT = 50  # files of a folder that decide what it holds


def label_files(source: Source, suffixes: Sequence[str]) -> list[Path]:
    """The source itself, or the files in its folder at any depth, that have one of the suffixes (".json")."""
    path = source.path
    if path.is_dir():
        return [file for file in visible_files(path) if file.suffix.lower() in suffixes]
    return [path] if path.is_file() and path.suffix.lower() in suffixes else []


def any_holds(source: Source, suffixes: Sequence[str], opening: str, words: Sequence[str]) -> bool:
    """Whether one of the first files of a source begins with one of the characters `opening` and holds all `words`."""
    files = itertools.islice(label_files(source, suffixes), _LOOKED_AT)
    return any(holds(path, opening, words) for path in files)


def holds(path: Path, opening: str, words: Sequence[str]) -> bool:
    """Whether a file begins with one of the characters `opening`, after blanks, and holds all `words`."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            start = text[:200].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
            return start in opening.encode() and all(text.find(word.encode()) >= 0 for word in words)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False
