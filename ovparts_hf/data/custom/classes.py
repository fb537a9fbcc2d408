"""The taxonomy of labelled data, and the ids that its class names have in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import NamedTuple

from ...errors import ConfigurationError, TaxonomyError
from ...taxonomy import PartTaxonomy
from ...taxonomy.part_taxonomy import spoken
from ..formats.base import ClassName, spelled
from ..problems import Problems

_CLOSE = 0.6  # similarity of a suggestion, from 0 to 1


class ClassIds(NamedTuple):
    """Ids in a taxonomy; the part is None for an object."""

    object_id: int
    part_id: int | None


def taxonomy_of(
    used: Collection[ClassName], listed: Sequence[ClassName], name: str, problems: Problems
) -> PartTaxonomy | None:
    """A taxonomy of the classes that occur: in the order of the source if it lists them, or else sorted.

    None after noting why there can be none.
    """
    classes = [class_name for class_name in listed if class_name in used]
    classes += sorted(set(used) - set(classes), key=lambda c: (c[0], c[1] or ""))
    parts = [(object_name, part_name) for object_name, part_name in classes if part_name is not None]
    objects = list(dict.fromkeys(object_name for object_name, _ in classes))
    if not parts:
        found = f"; the labels are {objects[:10]}" if objects else ""
        problems.append(f'No label names a part{found}. Call parts "object:part", such as "dog:ear".')
        return None
    alike = _spelled_twice([*objects, *(spelled(part) for part in parts)])
    problems.extend(
        f"{names} are read alike by a model; spell one way, or say with --taxonomy which." for names in alike
    )
    if alike:
        return None
    data = {
        "name": name,
        "object_classes": objects,
        "part_classes": [spelled(part) for part in parts],
        "part_object_ids": [objects.index(object_name) for object_name, _ in parts],
    }
    try:
        return PartTaxonomy.from_dict(data)
    except TaxonomyError as error:
        problems.append(str(error))
        return None


def class_ids(used: Iterable[ClassName], taxonomy: PartTaxonomy, problems: Problems) -> dict[ClassName, ClassIds]:
    """The ids of class names; case, spaces and "_" do not count. One that the taxonomy lacks is a problem."""
    objects = {_plain(name): i for i, name in enumerate(taxonomy.object_classes)}
    parts = {_plain(name): i for i, name in enumerate(taxonomy.part_classes)}
    ids = {}
    for class_name in used:
        text = spelled(class_name)
        known = objects if class_name[1] is None else parts
        found = known.get(_plain(text))
        if found is None:
            names = taxonomy.object_classes if class_name[1] is None else taxonomy.part_classes
            problems.append(f"The taxonomy has no {text!r}.{suggestion(text, names)}")
        elif class_name[1] is None:
            ids[class_name] = ClassIds(found, None)
        else:
            ids[class_name] = ClassIds(taxonomy.object_of(found), found)
    return ids


def with_seen(taxonomy: PartTaxonomy, seen: Sequence[str] | None, unseen: Sequence[str] | None) -> PartTaxonomy:
    """A taxonomy in which just the objects `seen` are seen, or all but `unseen`; `ConfigurationError` for others."""
    if seen is None and unseen is None:
        return taxonomy
    if seen is not None and unseen is not None:
        raise ConfigurationError("Give either the seen objects or the unseen ones; the others are the rest.")
    named = {_known(name, taxonomy.object_classes) for name in (seen if unseen is None else unseen) or ()}
    chosen = tuple(name for name in taxonomy.object_classes if (name in named) == (unseen is None))
    changed = replace(taxonomy, seen_objects=chosen)
    if not changed.seen_part_ids:
        raise ConfigurationError(f"No seen object has a part; the objects are {list(taxonomy.object_classes)}.")
    return changed


def suggestion(text: str, names: Iterable[str]) -> str:
    """A sentence with the names that are nearest to a text, to follow a message."""
    by_text: Mapping[str, str] = {_plain(name): name for name in names}
    nearest = [by_text[found] for found in get_close_matches(_plain(text), by_text, 3, _CLOSE)]
    if nearest:
        return f" Did you mean {' or '.join(map(repr, nearest))}?"
    return f" It has {list(by_text.values())[:20]}."


def _known(name: str, names: Sequence[str]) -> str:
    for known in names:
        if _plain(known) == _plain(name):
            return known
    raise ConfigurationError(f"There is no object {name!r}.{suggestion(name, names)}")


def _plain(name: str) -> str:
    return spoken(name.replace("_", " "))


def _spelled_twice(names: Sequence[str]) -> list[list[str]]:
    groups = defaultdict(list)
    for name in names:
        groups[spoken(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]
