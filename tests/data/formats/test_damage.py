"""Label files in which anything may have become anything: what is wrong is said, and nothing else is raised."""

import copy
import json
import random

import pytest

from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.registry import READERS
from ovparts_hf.errors import OVPartsError

from ..labelled import SIZE, write_coco
from .writers import WRITERS

JUNK = (
    None,
    True,
    -1,
    0,
    1e300,
    float("nan"),
    float("inf"),
    10**400,
    "",
    "x",
    "\0",
    "../..",
    "\ud800",
    [],
    {},
    [[]],
    [{}],
    "a:b",
)
CASES = 60


def places(data):
    """(container, key) of everything in JSON data."""
    found = []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        found.append((data, key))
        found += places(value)
    return found


def damaged_json(text, chance):
    data = copy.deepcopy(json.loads(text))
    for _ in range(chance.randint(1, 3)):
        container, key = chance.choice(places(data) or [({"": 0}, "")])
        action = chance.random()
        if action < 0.2 and isinstance(container, dict):
            container.pop(key)
        else:
            container[key] = copy.deepcopy(chance.choice(JUNK))
    return json.dumps(data).encode("utf-8", "surrogatepass")


def damaged_text(text, chance):
    words = text.split('"') if '"' in text else text.split(" ")
    for _ in range(chance.randint(1, 3)):
        words[chance.randrange(len(words))] = str(chance.choice(JUNK))
    return ('"' if '"' in text else " ").join(words).encode("utf-8", "surrogatepass")


def damaged_bytes(data, chance):
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed[: chance.randint(1, len(changed))])


def label_files(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".xml", ".txt", ".yaml"))


@pytest.mark.parametrize("name", ["coco", "labelme", "labelstudio", "cvat", "yolo"])
def test_damaged_files_are_problems_or_are_read(name, tmp_path):
    {**WRITERS, "coco": write_coco}[name](tmp_path, 2)
    files = {path: path.read_bytes() for path in label_files(tmp_path)}
    problems = 0
    for case in range(CASES):
        chance = random.Random(f"{name} {case}")
        path = chance.choice(list(files))
        if chance.random() < 0.2:
            path.write_bytes(damaged_bytes(files[path], chance))
        else:
            damage = damaged_json if path.suffix == ".json" else damaged_text
            path.write_bytes(damage(files[path].decode(), chance))
        try:
            labels = READERS[name].read(Source(str(tmp_path)))
            problems += len(labels.problems)
            assert all(isinstance(problem, str) and problem for problem in labels.problems)
            for image in labels.images:
                for annotation in image.annotations:
                    try:
                        assert annotation.shape.mask(*SIZE, annotation.name).shape == SIZE
                    except OVPartsError:
                        problems += 1
        except OVPartsError:
            problems += 1
        except Exception as error:
            raise AssertionError(f"case {case} of {name}: {path.read_bytes()[:2000]!r}") from error
        path.write_bytes(files[path])
    assert problems > CASES / 4
