"""Files that say what the values of masks, or the names of mask files, mean."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import DatasetError, TaxonomyError
from ...taxonomy import PartTaxonomy
from ...utils.files import brief, first_line, read_json
from ..problems import Problems
from .base import ClassName
from .names import parse_labels

FILE_NAMES = (
    "names",
    "classes",
    "labels",
    "label_names",
    "class_names",
    "labelmap",
    "class_dict",
    "id2label",
    "taxonomy",
)
SUFFIXES = (".txt", ".json", ".csv", ".tsv")
_NUMBERED = re.compile(r"\s*(-?\d+)\s*[:=,;\t ]\s*(\S.*)")
_COLOURED = re.compile(r"(.+):\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*:[^:]*:[^:]*")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_CHANNELS = (("r", "g", "b"), ("red", "green", "blue"))
_KEY_COLUMNS = ("value", "pixel value", "id", "index", "key", "file", "folder", "class_id", "label_id")
_NAME_COLUMNS = ("name", "class", "label", "class_name", "part_class")
_LISTS = ("categories", "classes", "names", "labels")
_FORMS = (
    'a text file with one name a line (the first has the value 0) or "1 dog\'s ear"; a JSON list, '
    '{"1": "dog\'s ear"} or {"dog": ["ear"]}; or a CSV file with the columns value and name, or value, object '
    "and part"
)


@dataclass(frozen=True)
class NamedClass:
    """A value of masks ("7"), a colour ("#ff0000") or the name of mask files, and its meaning; None for no class."""

    key: str
    label: str
    class_name: ClassName | None


class Meaning(NamedTuple):
    """What the values of masks mean; those of colours are 0xRRGGBB."""

    classes: Mapping[int, ClassName | None]
    said_in: str  # as messages call it
    are_colours: bool = False


def meaning_of(names: Sequence[NamedClass], said_in: str) -> Meaning:
    """The classes whose key is a colour, if there are any, or else those whose key is a number."""
    colours = {int(named.key[1:], 16): named.class_name for named in names if _COLOUR.fullmatch(named.key)}
    if colours:
        return Meaning(colours, said_in, are_colours=True)
    return Meaning({value: named.class_name for value, named in numbers(names).items()}, said_in)


def find_name_file(folder: Path) -> Path | None:
    """The file of names in a folder, or else in one of its folders; of several that of the first of `FILE_NAMES`."""
    folders = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())] if folder.is_dir() else []
    return next(filter(None, map(_name_file, folders)), None)


def differing_files(path: Path, root: Path) -> str | None:
    """What is wrong if the folder beside that of a file of names, in `root`, has another one that says otherwise."""
    for folder in sorted(other for other in root.iterdir() if other.is_dir() and path.parent != root):
        other = _name_file(folder)
        if other is not None and other.read_bytes() != path.read_bytes():
            names = f"{path.relative_to(root).as_posix()} and {other.relative_to(root).as_posix()}"
            return f"{names} differ. Keep one for all, in {root.name}, or say which with --names."
    return None


def _name_file(folder: Path) -> Path | None:
    found = {path.name.lower().lstrip("_"): path for path in sorted(folder.iterdir()) if path.is_file()}
    names = (f"{stem}{suffix}" for stem in FILE_NAMES for suffix in SUFFIXES)
    return next((found[name] for name in names if name in found), None)


def read_name_file(path: Path, name: str, problems: Problems) -> list[NamedClass]:
    """Reads a file of names, in its order; `DatasetError` if it is in none of the forms."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        pairs = _from_json(read_json(path, DatasetError, name=name), name)
    else:
        text = _text(path, name)
        pairs = _from_table(text, name) if suffix in (".csv", ".tsv") else _from_lines(text)
    if not pairs:
        raise DatasetError(f"{name} names no class. Write {_FORMS}.")
    keys = [_canonical(key) for key, _ in pairs]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        problems.append(f"{name} names {key!r} more than once.")
    labels = [label for _, label in pairs]
    return [NamedClass(*found) for found in zip(keys, labels, parse_labels(labels, name, problems))]


def names_of_taxonomy(taxonomy: PartTaxonomy) -> list[NamedClass]:
    """The parts of a taxonomy by id."""
    return [
        NamedClass(str(i), part, (taxonomy.object_classes[taxonomy.object_of(i)], taxonomy.part_name(i)))
        for i, part in enumerate(taxonomy.part_classes)
    ]


def _text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{name} cannot be read: {first_line(error)}. Save it as UTF-8.") from error


def _from_lines(text: str) -> list[tuple[str, str]]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    coloured = [_COLOURED.fullmatch(line) for line in lines if not line.startswith("#")]
    if coloured and all(coloured):
        return [(_colour(match.groups()[1:]), match[1]) for match in coloured if match]
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if lines and all(numbered):
        return [(match[1], match[2]) for match in numbered if match]
    first = -1 if lines and lines[0] == "__ignore__" else 0  # as LabelMe's own lists start
    return [(str(value), line) for value, line in enumerate(lines, start=first)]


def _from_table(text: str, name: str) -> list[tuple[str, str]]:
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
    rows = [row for row in rows if any(row)]
    head = [cell.lower() for cell in rows[0]] if rows else []
    if "name" not in head and not {"object", "part"} <= set(head) and not set(head) & {*_KEY_COLUMNS, *_NAME_COLUMNS}:
        head = ["value", "name"] if len(head) == 2 else ["value", "object", "part"] if len(head) == 3 else head
    else:
        rows = rows[1:]
    channels = next((tuple(map(head.index, names)) for names in _CHANNELS if set(names) <= set(head)), None)
    key = next((head.index(column) for column in _KEY_COLUMNS if column in head), None)
    label = next((head.index(column) for column in _NAME_COLUMNS if column in head), None)
    pair = (head.index("object"), head.index("part")) if {"object", "part"} <= set(head) else None
    if label is None and pair is None:
        raise DatasetError(f"{name} has the columns {brief(head)}. Write {_FORMS}.")
    found = []
    for number, row in enumerate(rows):
        row += [""] * (len(head) - len(row))
        text = _joined(row[pair[0]], row[pair[1]]) if pair else row[label or 0]
        value = _colour([row[i] for i in channels]) if channels else str(number) if key is None else row[key]
        found.append((value, text))
    return found


def _colour(channels: Sequence[str]) -> str:
    """("255", "0", "128") as "#ff0080"; a channel that is no number from 0 to 255 makes it no colour."""
    known = all(re.fullmatch(r"\d{1,3}", channel, re.ASCII) and int(channel) < 256 for channel in channels)
    return "#" + "".join(f"{int(channel):02x}" for channel in channels) if known else ",".join(channels)


def _joined(object_name: str, part_name: str) -> str:
    return f"{object_name}:{part_name}" if part_name else object_name


def _from_json(data: Any, name: str) -> list[tuple[str, str]]:
    if isinstance(data, Mapping) and "part_classes" not in data:
        lists = (data[key] for key in _LISTS if isinstance(data.get(key), list | Mapping))
        data = next(lists, data) if len(data) < 5 else data
    if isinstance(data, list):
        return [_entry(str(number), value, name) for number, value in enumerate(data)]
    if not isinstance(data, Mapping):
        raise DatasetError(f"{name} holds {brief(data)}. Write {_FORMS}.")
    if "part_classes" in data or all(isinstance(value, list) for value in data.values()):
        try:
            return [(named.key, named.label) for named in names_of_taxonomy(PartTaxonomy.from_dict(data))]
        except TaxonomyError as error:
            raise DatasetError(f"{name}: {error}") from error
    if all(_numbers(value) for value in data.values()):
        return [(str(v), _joined(name, part)) for name, parts in data.items() for part, v in parts.items()]
    if _numbers(data):
        return [(str(value), label) for label, value in data.items()]
    return [_entry(key, value, name) for key, value in data.items()]


def _entry(key: str, value: Any, name: str) -> tuple[str, str]:
    """A class as text, or as a mapping with a name, or an object and a part, and perhaps its value."""
    if isinstance(value, str):
        return key, value
    if isinstance(value, Mapping):
        key = str(next((value[column] for column in _KEY_COLUMNS if column in value), key))
        if isinstance(value.get("object"), str):
            return key, _joined(value["object"], str(value.get("part") or ""))
        if isinstance(value.get("name"), str):
            return key, value["name"]
    raise DatasetError(f"{name} holds {brief(value)} where a class is named. Write {_FORMS}.")


def _numbers(value: Any) -> bool:
    """Whether this is a mapping of names to numbers, in which there is no key of an entry."""
    known = isinstance(value, Mapping) and not set(value) & {*_KEY_COLUMNS, *_NAME_COLUMNS}
    return known and all(type(number) is int for number in value.values())


def _canonical(key: str) -> str:
    return str(int(key)) if re.fullmatch(r"-?\d{1,9}", key) else key


def numbers(names: Sequence[NamedClass]) -> dict[int, NamedClass]:
    """The classes whose key is a value of masks."""
    return {int(named.key): named for named in names if re.fullmatch(r"-?\d{1,9}", named.key)}
