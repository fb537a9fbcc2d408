"""The formats of labels that can be read, and which of them a source is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import ConfigurationError, DatasetError
from ...utils.content import recognise_file

if TYPE_CHECKING:
    from .base import Reader, Source

_CLASSES = {
    "coco": ("coco", "CocoReader"),
    "masks": ("masks", "MasksReader"),
    "labelme": ("labelme", "LabelMeReader"),
    "labelstudio": ("label_studio", "LabelStudioReader"),
    "cvat": ("cvat", "CvatReader"),
    "yolo": ("yolo", "YoloReader"),
    "datasets": ("table", "TableReader"),
    "instructpart": ("instructpart", "InstructPartReader"),
}
_MORE_SPECIFIC = ("instructpart", "datasets")  # may have masks in folders, and say more about them


class _Readers(Mapping[str, "Reader"]):
    """Names without imports, as help needs them; a reader is imported when it is taken."""

    def __getitem__(self, name: str) -> Reader:
        return _reader(*_CLASSES[name])

    def __contains__(self, name: object) -> bool:
        return name in _CLASSES

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


READERS: Mapping[str, Reader] = _Readers()
"""By the name of the format, in the order in which help lists them."""


@cache
def _reader(module: str, class_name: str) -> Reader:
    return getattr(import_module(f".{module}", __package__), class_name)()


def find_reader(source: Source, format_name: str | None = None) -> Reader:
    """The reader of a source: the one that is named, or the only one that recognises it.

    `ConfigurationError` if the source has an option that this format does not use.
    """
    if format_name is not None and format_name not in READERS:
        raise ConfigurationError(f"Unknown format {format_name!r}; choose one of {list(READERS)}.")
    reader = _recognised(source) if format_name is None else READERS[format_name]
    for option in ("images", "names"):
        if getattr(source, option) is not None and option not in reader.options:
            others = [name for name, other in READERS.items() if option in other.options]
            fault = f"--{option} is not used by the format {reader.name!r}, whose files hold or name the {option}"
            advice = "Leave it out, or choose another --format."
            raise ConfigurationError(f"{fault}; it is for {', '.join(others)}. {advice}")
    return reader


def _recognised(source: Source) -> Reader:
    found = {name: reader for name, reader in READERS.items() if reader.recognises(source)}
    if len(found) == 2 and "masks" in found and any(name in found for name in _MORE_SPECIFIC):
        del found["masks"]
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise DatasetError(f"{source.given} may be in any of the formats {list(found)}. Say which with --format.")
    known = "; ".join(f"{reader.name} ({reader.summary})" for reader in READERS.values())
    kind = recognise_file(source.path) if source.path.is_file() else None
    fault = "is in no format that is recognised" if source.path.exists() else "does not exist"
    fault = f"is {kind}" if kind and "archive" in kind else fault
    raise DatasetError(f"{source.given} {fault}. Formats: {known}. Say which with --format to see what is wrong.")
