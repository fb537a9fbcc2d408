"""XML of names that people type."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def add_element(parent: Element, tag: str, **attributes: object) -> Element:
    """A new child; characters that XML cannot hold are replaced."""
    return SubElement(parent, tag, {name: xml_text(str(value)) for name, value in attributes.items()})


def xml_text(text: str) -> str:
    """A text without the characters that XML cannot hold, even escaped."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def document(root: Element) -> str:
    """A whole file, indented."""
    indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(root, encoding="unicode")}\n'
