"""Reads XML that may come from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ...errors import DatasetError


def read_xml(path: Path, name: str) -> Element:
    """The root of an XML file, called `name` in the `DatasetError` that it raises if that is not whole.

    A document type is refused: its entities may grow without end, or name files of the machine.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*_: Any) -> None:
        raise DatasetError(f"{name} has a document type (DOCTYPE), which label files have no use for. Do not use it.")

    parser.StartDoctypeDeclHandler = refuse
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
        return builder.close()
    except OSError as error:
        raise DatasetError(f"{name} cannot be read: {error.strerror}.") from error
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{name} is not valid XML: {error}. Export it again.") from error
