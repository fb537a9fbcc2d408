"""The formats of labels that can be read, and which of them a source is in."""

from __future__ import annotations

from ...errors import ConfigurationError, DatasetError
from ...utils.content import recognise_file
from .base import Reader, Source
from .coco import CocoReader
from .masks import MasksReader

READERS: dict[str, Reader] = {reader.name: reader for reader in (CocoReader(), MasksReader())}
"""By the name of the format, in the order in which help lists them."""


def find_reader(source: Source, format_name: str | None = None) -> Reader:
    """The reader of a source: the one that is named, or the only one that recognises it."""
    if format_name is not None:
        if format_name not in READERS:
            raise ConfigurationError(f"Unknown format {format_name!r}; choose one of {list(READERS)}.")
        return READERS[format_name]
    found = [reader for reader in READERS.values() if reader.recognises(source)]
    if len(found) == 1:
        return found[0]
    if found:
        names = [reader.name for reader in found]
        raise DatasetError(f"{source.given} may be in any of the formats {names}. Say which with --format.")
    known = "; ".join(f"{reader.name} ({reader.summary})" for reader in READERS.values())
    kind = recognise_file(source.path) if source.path.is_file() else None
    fault = "is in no known format" if source.path.exists() else "does not exist"
    fault = f"is {kind}" if kind and "archive" in kind else fault
    raise DatasetError(f"{source.given} {fault}. What can be read: {known}. With --format, faults are named.")
