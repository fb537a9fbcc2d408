"""What a user asks for in words: objects and their parts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import OVPartsError
from . import PartTaxonomy, split_part_class

Words: TypeAlias = "Mapping[str, Sequence[str]] | Sequence[str] | PartTaxonomy | str"
"""`{"dog": ["head", "ear"]}`, `["dog's head", "dog's ear"]`, a taxonomy, or "dog: head, ear; bus: wheel"."""


@dataclass(frozen=True)
class Vocabulary:
    """The part classes ("dog's ear") or free words that may be answered.

    `objects` says where each object's parts are among the classes. Free words belong to no object.
    """

    classes: tuple[str, ...]
    objects: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, words: Words) -> Vocabulary:
        """Reads a vocabulary in any of the forms of `Words`; if it is empty or has duplicates, an `OVPartsError`."""
        if isinstance(words, str):
            words = parse_parts(words)
        if isinstance(words, Mapping):
            words = PartTaxonomy.from_dict(words)
        if isinstance(words, PartTaxonomy):
            parts = {name: words.parts_of(i) for i, name in enumerate(words.object_classes)}
            return cls(words.part_classes, {name: ids for name, ids in parts.items() if ids})
        return cls._of_list(words)

    @classmethod
    def _of_list(cls, words: Sequence[str]) -> Vocabulary:
        if not isinstance(words, Sequence) or not words:
            raise OVPartsError(
                'Name parts as {"dog": ["head", "ear"]}, as ["dog\'s head", "dog\'s ear"] or as a taxonomy; given was '
                f"{words!r}."
            )
        wrong = [word for word in words if not isinstance(word, str) or not word.strip()]
        if wrong:
            raise OVPartsError(f"Every class must be a non-empty string; {wrong[0]!r} is not.")
        classes = tuple(word.strip() for word in words)
        twice = [word for word in classes if classes.count(word) > 1]
        if twice:
            raise OVPartsError(f"{twice[0]!r} is named twice; name each class once.")
        objects: dict[str, tuple[int, ...]] = {}
        for position, word in enumerate(classes):
            if "'s " in word:
                name, _ = split_part_class(word)
                objects[name] = (*objects.get(name, ()), position)
        return cls(classes, objects)

    def parts_of(self, name: str) -> tuple[int, ...]:
        """Positions of an object's parts; without any, an `OVPartsError`."""
        if name not in self.objects:
            raise OVPartsError(f"No part of {name!r} is asked for; the objects are {list(self.objects)}.")
        return self.objects[name]


def parse_parts(text: str) -> dict[str, list[str]]:
    """Reads the parts of each object from "dog: head, ear; bus: wheel", where a line break does the same as ";"."""
    found: dict[str, list[str]] = {}
    for line in re.split(r"[;\n]", text):
        if not line.strip():
            continue
        name, _, listed = line.partition(":")
        name, parts = name.strip(), [part.strip() for part in listed.split(",") if part.strip()]
        if not name or not parts:
            raise OVPartsError(f'{line.strip()!r} does not name an object and its parts; write "dog: head, ear, tail".')
        if name in found:
            raise OVPartsError(f"{name!r} is named twice; list all of its parts in one place.")
        found[name] = parts
    if not found:
        raise OVPartsError('No parts are named; write "dog: head, ear, tail".')
    return found
