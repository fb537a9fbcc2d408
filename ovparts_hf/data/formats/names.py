"""From the labels that people give regions to objects and parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...taxonomy.part_taxonomy import straight
from ...utils.files import brief, is_unicode
from ..problems import Problems
from .base import ClassName

SEPARATORS = (":", "'s ", "/")
"""Between an object and its part: "dog:ear", "dog's ear", "dog/ear"."""
_BACKGROUND = {"background", "ignore", "none", "void", "unlabeled", "unlabelled", "unknown"}
_NO_OBJECT = {"", "none", "object", "objects", "part", "parts", "thing", "stuff", "root", "superclass"}


def is_background(label: str) -> bool:
    """Whether a label says that there is no class: "background", "_background_", "__ignore__", "void" ..."""
    return label.strip().strip("_").lower() in _BACKGROUND


def separator_of(labels: Iterable[str]) -> str | None:
    """The separator of a source: that of most of its labels, of equally frequent ones the first; None without any."""
    texts = [straight(label) for label in labels]
    counts = {separator: sum(separator in text for text in texts) for separator in SEPARATORS}
    best = max(SEPARATORS, key=counts.__getitem__)
    return best if counts[best] else None


def parse_labels(
    labels: Sequence[str], name: str, problems: Problems, supercategories: Sequence[str] = ()
) -> list[ClassName | None]:
    """The class of each label of a source, which messages call `name`; None for a background.

    Labels with the separator of the source are parts, the others objects. Where no label has any, those with a
    supercategory are parts of that, unless it says nothing ("", "none", "part" ...), repeats the label, or the label is
    itself the supercategory of others. A label that begins with its supercategory ("Dog head" of "Dog") is the rest.
    """
    separator = separator_of(label for label in labels if not is_background(label))
    above = [_tidy(text) for text in supercategories] or [""] * len(labels)
    classes: list[ClassName | None] = []
    for label, supercategory in zip(labels, above, strict=True):
        if is_background(label):
            classes.append(None)
        elif not is_unicode(label) or not label.strip():
            problems.append(f"{name} has the label {brief(label)}; write an object, or an object and its part.")
            classes.append(None)
        elif separator is not None:
            classes.append(_split(label, separator, name, problems))
        else:
            classes.append(_with_supercategory(_tidy(label), supercategory, above))
    return classes


def _split(label: str, separator: str, name: str, problems: Problems) -> ClassName | None:
    text = _tidy(label)
    if separator not in text and not text.endswith(separator.rstrip()):
        return text, None
    object_name, _, part_name = text.rpartition(separator) if separator == "'s " else text.partition(separator)
    object_name, part_name = object_name.strip(), part_name.strip()
    if not object_name or not part_name or "'s " in part_name:
        problems.append(f'{name} has the label {brief(label)}; write an object and its part as "dog{separator}ear".')
        return None
    return object_name, part_name


def _with_supercategory(text: str, supercategory: str, supercategories: Sequence[str]) -> ClassName:
    says_nothing = supercategory.lower() in _NO_OBJECT or supercategory.lower() == text.lower()
    if says_nothing or text in supercategories:
        return text, None
    repeated = re.match(rf"{re.escape(supercategory)}[ _-]+(?=\S)", text, re.IGNORECASE)
    return supercategory, text[repeated.end() :] if repeated else text


def _tidy(label: str) -> str:
    return " ".join(straight(label).split())
