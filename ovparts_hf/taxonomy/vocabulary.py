"""A vocabulary as people type it: objects and their parts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import OVPartsError
from . import PartTaxonomy, split_part_class

VocabularyInput: TypeAlias = "Mapping[str, Sequence[str]] | Sequence[str] | PartTaxonomy | str"
"""`{"dog": ["head", "ear"]}`, `["dog's head", "dog's ear"]`, a taxonomy, or "dog: head, ear; bus: wheel"."""


@dataclass(frozen=True)
class Vocabulary:
    """The classes to choose from: part classes ("dog's ear") or free text.

    `objects` says where each object's parts are among the classes; free text belongs to no object.
    """

    classes: tuple[str, ...]
    objects: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, names: VocabularyInput) -> Vocabulary:
        """Reads any of the forms of `VocabularyInput`; one that is empty or has duplicates is an `OVPartsError`."""
        if isinstance(names, str):
            names = parse_parts(names)
        if isinstance(names, Mapping):
            names = PartTaxonomy.from_dict(names)
        if isinstance(names, PartTaxonomy):
            parts = {name: names.parts_of(i) for i, name in enumerate(names.object_classes)}
            return cls(names.part_classes, {name: ids for name, ids in parts.items() if ids})
        return cls._of_list(names)

    @classmethod
    def _of_list(cls, names: Sequence[str]) -> Vocabulary:
        if not isinstance(names, Sequence) or not names:
            raise OVPartsError(
                'Name parts as {"dog": ["head", "ear"]}, as ["dog\'s head", "dog\'s ear"] or as a taxonomy; given was '
                f"{names!r}."
            )
        invalid = [name for name in names if not isinstance(name, str) or not name.strip()]
        if invalid:
            raise OVPartsError(f"Every class must be a non-empty string; {invalid[0]!r} is not.")
        classes = tuple(name.strip() for name in names)
        duplicates = [name for name in classes if classes.count(name) > 1]
        if duplicates:
            raise OVPartsError(f"{duplicates[0]!r} is named twice; name each class once.")
        objects: dict[str, tuple[int, ...]] = {}
        for position, part_class in enumerate(classes):
            if "'s " in part_class:
                name, _ = split_part_class(part_class)
                objects[name] = (*objects.get(name, ()), position)
        return cls(classes, objects)

    def parts_of(self, name: str) -> tuple[int, ...]:
        """Positions of an object's parts; without any, an `OVPartsError`."""
        if name not in self.objects:
            raise OVPartsError(f"The vocabulary has no part of {name!r}; its objects are {list(self.objects)}.")
        return self.objects[name]


def parse_parts(text: str) -> dict[str, list[str]]:
    """Reads the parts of each object from "dog: head, ear; bus: wheel", where a line break does the same as ";"."""
    parts_by_object: dict[str, list[str]] = {}
    for line in re.split(r"[;\n]", text):
        if not line.strip():
            continue
        name, _, listed = line.partition(":")
        name, parts = name.strip(), [part.strip() for part in listed.split(",") if part.strip()]
        if not name or not parts:
            raise OVPartsError(f'{line.strip()!r} does not name an object and its parts; write "dog: head, ear, tail".')
        if name in parts_by_object:
            raise OVPartsError(f"{name!r} is named twice; list all of its parts in one place.")
        parts_by_object[name] = parts
    if not parts_by_object:
        raise OVPartsError('No parts are named; write "dog: head, ear, tail".')
    return parts_by_object
