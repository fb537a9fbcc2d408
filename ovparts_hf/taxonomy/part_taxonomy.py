"""Names of objects and parts, which of them are seen in training, and how they are numbered.

A part class is written as the OV-PARTS benchmark writes it, "dog's ear": the object name, "'s ", the part name.
Everything else (which object a part belongs to, prompt texts, training ids) follows from a `PartTaxonomy` by id, never
by substring, except `parts_named_after`, which some published numbers need.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import TaxonomyError
from ..utils.arguments import whole_numbers
from ..utils.files import atomic_write, is_unicode, read_json, unique_keys

_KEYS = ("name", "object_classes", "part_classes", "seen_objects", "ignore_index", "part_object_ids")
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u02b9\u2032\uff07\u00b4`", "'"))
_LARGEST_IGNORE_INDEX = 65535  # part maps are stored in 8 or 16 bits


@dataclass(frozen=True)
class PartTaxonomy:
    """A vocabulary of object classes and of their parts.

    Args:
        name: Short identifier, e.g. "pascal-part-116".
        object_classes: Object names in id order. An object may be without parts.
        part_classes: Part classes in id order, spelled "dog's ear".
        part_object_ids: For each part class, the id of its object.
        seen_objects: Names of the objects whose parts may be used in training. A part is seen exactly if its object is.
        ignore_index: Value in part and object maps that stands for "no label".

    Raises:
        TaxonomyError: The vocabulary is empty, or has a duplicate, an unknown object or an unusable ignore index.
    """

    name: str
    object_classes: tuple[str, ...]
    part_classes: tuple[str, ...]
    part_object_ids: tuple[int, ...]
    seen_objects: tuple[str, ...]
    ignore_index: int = 255

    def __post_init__(self) -> None:
        _check_names("object class", self.object_classes)
        _check_names("part class", self.part_classes)
        unknown = sorted(set(self.seen_objects) - set(self.object_classes))
        if unknown:
            known = list(self.object_classes)
            raise TaxonomyError(f"Seen objects {unknown} are not among the object classes. Known are {known}.")
        _check_names("seen object", self.seen_objects, may_be_empty=True)
        if len(self.part_object_ids) != len(self.part_classes):
            raise TaxonomyError(
                f"{len(self.part_object_ids)} part_object_ids were given for {len(self.part_classes)} part classes; "
                "there must be one for each."
            )
        for part, object_id in zip(self.part_classes, self.part_object_ids):
            if not 0 <= object_id < len(self.object_classes):
                last = len(self.object_classes) - 1
                raise TaxonomyError(f"Part {part!r} names object id {object_id}; ids run from 0 to {last}.")
            if not part.startswith(f"{self.object_classes[object_id]}'s "):
                raise TaxonomyError(
                    f"Part {part!r} is given to object {self.object_classes[object_id]!r}. Spell a part class as "
                    '"<object>\'s <part>".'
                )
        largest_id = max(len(self.part_classes), len(self.object_classes)) - 1
        if not largest_id < self.ignore_index <= _LARGEST_IGNORE_INDEX:
            raise TaxonomyError(
                f"ignore_index is {self.ignore_index}; it must lie above the largest class id {largest_id} and be "
                f"at most {_LARGEST_IGNORE_INDEX}. Use 255, or 65535 for more than 255 classes."
            )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PartTaxonomy:
        """Builds a taxonomy from a plain mapping.

        Args:
            data: Either `{object name: [part names]}`, where every object counts as seen, or the long form with the
                keys `object_classes`, `part_classes` and optionally `name`, `seen_objects`, `ignore_index`,
                `part_object_ids` (without the last, a part belongs to the object before its last "'s ").

        Raises:
            TaxonomyError: `data` has another shape, unknown keys, or an inconsistent vocabulary.

        Example:
            >>> PartTaxonomy.from_dict({"dog": ["head", "ear"], "bus": ["wheel"]}).part_classes
            ("dog's head", "dog's ear", "bus's wheel")
        """
        if not isinstance(data, Mapping):
            raise TaxonomyError(f"A taxonomy is a mapping, but a {type(data).__name__} was given.")
        if "part_classes" not in data:
            return cls._from_part_names(data)
        unknown = sorted(set(data) - set(_KEYS))
        if unknown:
            raise TaxonomyError(f"Unknown taxonomy keys {unknown}; allowed are {list(_KEYS)}.")
        parts = _strings("part_classes", data["part_classes"])
        objects = _strings("object_classes", data.get("object_classes", ()))
        default_ignore_index = _default_ignore_index(len(parts), len(objects))
        return cls(
            name=_strings("name", [data.get("name", "custom")])[0],
            object_classes=objects,
            part_classes=parts,
            part_object_ids=_whole("part_object_ids", data.get("part_object_ids", _object_ids(parts, objects))),
            seen_objects=_strings("seen_objects", data.get("seen_objects", objects)),
            ignore_index=_whole("ignore_index", [data.get("ignore_index", default_ignore_index)])[0],
        )

    @classmethod
    def _from_part_names(cls, part_names_of: Mapping[str, Iterable[str]]) -> PartTaxonomy:
        objects = tuple(straight(str(name)).strip() for name in part_names_of)
        parts, object_ids = [], []
        for object_id, (name, part_names) in enumerate(zip(objects, part_names_of.values())):
            for part_name in _strings(f"parts of {name!r}", part_names):
                if not part_name.strip():
                    raise TaxonomyError(f"An empty part was given to {name!r}: {part_names!r}.")
                if "'s " in part_name:
                    raise TaxonomyError(
                        f'The part {part_name!r} of {name!r} has an "\'s ", which parts an object from its part: '
                        f"{name}'s {part_name} would be read as a part of another object. Leave it out."
                    )
                parts.append(f"{name}'s {part_name.strip()}")
                object_ids.append(object_id)
        ignore_index = _default_ignore_index(len(parts), len(objects))
        return cls("custom", objects, tuple(parts), tuple(object_ids), objects, ignore_index)

    @classmethod
    def from_part_classes(cls, part_classes: Sequence[str]) -> PartTaxonomy:
        """Builds a taxonomy from part classes alone ("dog's ear"); objects follow in the order of first appearance."""
        parts = _strings("part_classes", part_classes)
        objects = tuple(dict.fromkeys(split_part_class(part)[0] for part in parts))
        return cls.from_dict({"object_classes": objects, "part_classes": parts})

    @classmethod
    def from_json(cls, path: str | Path) -> PartTaxonomy:
        """Reads what `to_json` wrote, or any JSON that `from_dict` takes.

        Raises:
            TaxonomyError: The file cannot be read or holds no taxonomy.
        """
        return cls.from_dict(read_json(path, TaxonomyError, object_pairs_hook=unique_keys))

    def to_dict(self) -> dict[str, Any]:
        """The long form of `from_dict`, JSON-ready."""
        return {key: list(value) if isinstance(value := getattr(self, key), tuple) else value for key in _KEYS}

    def to_json(self, path: str | Path) -> None:
        """Writes the taxonomy so that `from_json` reads an equal one."""
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @property
    def mask_bits(self) -> Literal[8, 16]:
        """Bits of a pixel in part and object maps."""
        return 8 if self.ignore_index <= 255 else 16

    @cached_property
    def seen_object_ids(self) -> tuple[int, ...]:
        """Ids of the seen objects, ascending."""
        seen = set(self.seen_objects)
        return tuple(i for i, name in enumerate(self.object_classes) if name in seen)

    @cached_property
    def seen_part_ids(self) -> tuple[int, ...]:
        """Ids of the parts of seen objects, ascending."""
        seen = set(self.seen_object_ids)
        return tuple(i for i, object_id in enumerate(self.part_object_ids) if object_id in seen)

    @cached_property
    def unseen_part_ids(self) -> tuple[int, ...]:
        """Ids of the parts of unseen objects, ascending."""
        return tuple(sorted(set(range(len(self.part_classes))) - set(self.seen_part_ids)))

    @cached_property
    def _parts_of(self) -> tuple[tuple[int, ...], ...]:
        groups: list[list[int]] = [[] for _ in self.object_classes]
        for part_id, object_id in enumerate(self.part_object_ids):
            groups[object_id].append(part_id)
        return tuple(map(tuple, groups))

    def parts_of(self, object_id: int) -> tuple[int, ...]:
        """Ids of the parts of one object, ascending; empty for an object without parts."""
        return self._parts_of[object_id]

    def parts_named_after(self, object_id: int) -> tuple[int, ...]:
        """Ids of the parts whose class contains the name of an object, ascending.

        Those of `parts_of`, and parts of others: "chair" is in "armchair's back" too. Only some of the benchmark's
        numbers depend on it.
        """
        return tuple(i for i, part in enumerate(self.part_classes) if self.object_classes[object_id] in part)

    def object_of(self, part_id: int) -> int:
        """Id of the object that a part belongs to."""
        return self.part_object_ids[part_id]

    def part_name(self, part_id: int) -> str:
        """The part without its object: "ear" for "dog's ear"."""
        return self.part_classes[part_id][len(self.object_classes[self.object_of(part_id)]) + 3 :]

    def prompt(self, part_id: int) -> str:
        """The text that a text encoder gets: "dog ear" for "dog's ear" (every "'s" is dropped)."""
        return self.part_classes[part_id].replace("'s", "")

    @property
    def prompts(self) -> tuple[str, ...]:
        """`prompt` of every part class, in id order."""
        return tuple(self.prompt(i) for i in range(len(self.part_classes)))

    def seen(self) -> PartTaxonomy:
        """The vocabulary of zero-shot training: seen objects and their parts, numbered from 0 in the same order."""
        new_id = {old: new for new, old in enumerate(self.seen_object_ids)}
        return PartTaxonomy(
            name=f"{self.name}-seen",
            object_classes=tuple(self.object_classes[i] for i in self.seen_object_ids),
            part_classes=tuple(self.part_classes[i] for i in self.seen_part_ids),
            part_object_ids=tuple(new_id[self.part_object_ids[i]] for i in self.seen_part_ids),
            seen_objects=tuple(self.object_classes[i] for i in self.seen_object_ids),
            ignore_index=self.ignore_index,
        )

    def part_lookup(self, target: PartTaxonomy) -> np.ndarray:
        """Table from this taxonomy's part ids to `target`'s, by name.

        Returns:
            int64 array of length `ignore_index + 1`, so that `table[part_map]` translates a part map; ids that `target`
            does not have, and the ignore index, become `target.ignore_index`.
        """
        return _lookup(self.part_classes, target.part_classes, self.ignore_index, target.ignore_index)

    def object_lookup(self, target: PartTaxonomy) -> np.ndarray:
        """As `part_lookup`, for object ids."""
        return _lookup(self.object_classes, target.object_classes, self.ignore_index, target.ignore_index)

    def object_part_lookup(self, target: PartTaxonomy) -> np.ndarray:
        """As `object_lookup`, to the first part of each object: a table from object ids to ids of `target`'s parts."""
        first = {name: parts[0] for i, name in enumerate(target.object_classes) if (parts := target.parts_of(i))}
        table = np.full(self.ignore_index + 1, target.ignore_index, dtype=np.int64)
        table[: len(self.object_classes)] = [first.get(name, target.ignore_index) for name in self.object_classes]
        return table


def split_part_class(part_class: str) -> tuple[str, str]:
    """Splits a part class at its last "'s ": "men's shoe's lace" into ("men's shoe", "lace")."""
    object_name, separator, part_name = straight(part_class).rpartition("'s ")
    if not (separator and object_name.strip() and part_name.strip()):
        raise TaxonomyError(f'{part_class!r} is not a part class. Spell it as "<object>\'s <part>", e.g. "dog\'s ear".')
    return object_name.strip(), part_name.strip()


def straight(text: str) -> str:
    """The text with every typographic apostrophe as "'"."""
    return text.translate(_APOSTROPHES)


def spoken(name: str) -> str:
    """What a tokenizer reads of a name: without case, spaces more than one, or other forms of Unicode."""
    return " ".join(unicodedata.normalize("NFC", straight(name)).lower().split())


def spoken_alike(names: Iterable[str]) -> list[list[str]]:
    """Names that a tokenizer cannot tell apart, as they differ in case, spaces or the form of Unicode only."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(spoken(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _strings(name: str, values: Any) -> tuple[str, ...]:
    """Any iterable of strings; of a set, whose order is chance, in alphabetical order."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable) or isinstance(values, Mapping):
        raise TaxonomyError(f"{name} must be a list of strings, but is {values!r}.")
    values = sorted(values, key=str) if isinstance(values, set | frozenset) else tuple(values)
    for value in values:
        if not isinstance(value, str) or not is_unicode(value):
            raise TaxonomyError(f"{name} must be a list of strings, but holds {value!r}.")
    return tuple(straight(str(value)) for value in values)


def _whole(name: str, values: Any) -> tuple[int, ...]:
    return tuple(whole_numbers(name, values, TaxonomyError))


def _check_names(kind: str, names: tuple[str, ...], may_be_empty: bool = False) -> None:
    if not names and not may_be_empty:
        raise TaxonomyError(f"A taxonomy needs at least one {kind}.")
    if any(not name.strip() for name in names):
        raise TaxonomyError(f"An empty {kind} name was given: {list(names)}.")
    alike = spoken_alike(names)
    if alike:
        raise TaxonomyError(
            f"Duplicate {kind}: {sorted(set(alike[0]))}. Each name may occur once, whatever its case and spaces."
        )


def _object_ids(parts: tuple[str, ...], objects: tuple[str, ...]) -> list[int]:
    ids = {name: i for i, name in enumerate(objects)}
    result = []
    for part in parts:
        name, _ = split_part_class(part)
        if name not in ids:
            raise TaxonomyError(f"Part class {part!r} names the unknown object {name!r}. Known are {list(objects)}.")
        result.append(ids[name])
    return result


def _default_ignore_index(num_parts: int, num_objects: int) -> int:
    return 255 if max(num_parts, num_objects) <= 255 else _LARGEST_IGNORE_INDEX


def _lookup(source: tuple[str, ...], target: tuple[str, ...], source_ignore: int, target_ignore: int) -> np.ndarray:
    ids = {name: i for i, name in enumerate(target)}
    table = np.full(source_ignore + 1, target_ignore, dtype=np.int64)
    table[: len(source)] = [ids.get(name, target_ignore) for name in source]
    return table


PASCAL_PART_116, ADE20K_PART_234, PARTIMAGENET, PARTIMAGENET_OOD, PACO_LVIS, TOY_WORLD = _BUILT_IN = tuple(
    PartTaxonomy.from_json(Path(__file__).with_name(f"{name}.json"))
    for name in (
        "pascal_part_116",
        "ade20k_part_234",
        "partimagenet",
        "partimagenet_ood",
        "paco_lvis",
        "toy_world",
    )
)
TAXONOMIES = {taxonomy.name: taxonomy for taxonomy in _BUILT_IN}
"""The built-in vocabularies, by name."""
