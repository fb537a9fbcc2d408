"""A vocabulary as people type it: objects and their parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ..errors import OVPartsError, TaxonomyError
from ..utils.files import is_unicode, read_json, unique_keys
from . import PartTaxonomy, split_part_class
from .part_taxonomy import spoken_alike, straight

VocabularyInput: TypeAlias = "Mapping[str, Iterable[str]] | Iterable[str] | PartTaxonomy | str"
"""`{"dog": ["head", "ear"]}`, `["dog's head", "a red door"]`, a taxonomy, or "dog: head, ear; a red door". Instead of a
list any iterable; the names of a set are sorted."""


_MARKS = str.maketrans("：；，、", ":;,,")


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
            if not names:
                raise OVPartsError('No parts are named; write {"dog": ["head", "ear"]}.')
            names = PartTaxonomy.from_dict(names)
        if isinstance(names, PartTaxonomy):
            parts = {name: names.parts_of(i) for i, name in enumerate(names.object_classes)}
            return cls(names.part_classes, {name: ids for name, ids in parts.items() if ids})
        return cls._of_list(names)

    @classmethod
    def _of_list(cls, given: Iterable[str]) -> Vocabulary:
        names = list(given) if isinstance(given, Iterable) and not isinstance(given, bytes) else []
        if not names:
            raise OVPartsError(
                'Name parts as {"dog": ["head", "ear"]}, as ["dog\'s head", "dog\'s ear"] or as a taxonomy; given was '
                f"{given!r}."
            )
        if isinstance(given, set | frozenset):
            names.sort(key=str)
        invalid = [name for name in names if not (isinstance(name, str) and name.strip() and is_unicode(name))]
        if invalid:
            raise OVPartsError(f"Every class must be a non-empty string; {invalid[0]!r} is not.")
        classes = tuple(straight(str(name)).strip() for name in names)
        for alike in spoken_alike(classes):
            also = "" if len(set(alike)) == 1 else f", also as {alike[1]!r}, which a model reads alike"
            raise OVPartsError(f"{alike[0]!r} is named twice{also}; name each class once.")
        objects: dict[str, tuple[int, ...]] = {}
        for position, part_class in enumerate(classes):
            if "'s " in part_class:
                name, _ = split_part_class(part_class)
                objects[name] = (*objects.get(name, ()), position)
        return cls(classes, objects)

    def parts_of(self, name: str) -> tuple[int, ...]:
        """Positions of an object's parts; without any, an `OVPartsError`."""
        name = straight(name)
        if name not in self.objects:
            raise OVPartsError(f"The vocabulary has no part of {name!r}; its objects are {list(self.objects)}.")
        return self.objects[name]


def read_parts(path: str | Path) -> list[str] | PartTaxonomy:
    """Reads a JSON file: what `PartTaxonomy.from_dict` takes, or a list of such mappings and of classes."""
    advice = 'Write {"dog": ["head", "ear"]} or ["dog\'s head", "dog\'s ear"].'
    given = read_json(path, TaxonomyError, advice, object_pairs_hook=unique_keys)
    try:
        if not isinstance(given, list):
            return PartTaxonomy.from_dict(given)
        lists = [PartTaxonomy.from_dict(each).part_classes if isinstance(each, dict) else [each] for each in given]
        return list(Vocabulary.of([name for names in lists for name in names]).classes)
    except OVPartsError as error:
        raise TaxonomyError(f"{path}: {error}") from error


def parse_parts(text: str) -> list[str]:
    """Reads classes from "dog: head, ear; a red door, bus's wheel", where a line break does the same as ";".

    The full-width marks of Chinese and Japanese keyboards count as the marks of this form.
    """
    classes: list[str] = []
    objects: set[str] = set()
    for line in re.split(r"[;\n]", straight(text).translate(_MARKS)):
        name, colon, listed = line.partition(":") if ":" in line else ("", "", line)
        name, words = name.strip(), [word.strip() for word in listed.split(",") if word.strip()]
        if colon and not (name and words):
            raise OVPartsError(f'{line.strip()!r} does not name an object and its parts; write "dog: head, ear, tail".')
        if name in objects:
            raise OVPartsError(f"{name!r} is named twice; list all of its parts in one place.")
        objects |= {name} if colon else set()
        classes += PartTaxonomy.from_dict({name: words}).part_classes if colon else words
    if not classes:
        raise OVPartsError('No parts are named; write "dog: head, ear, tail".')
    return classes
