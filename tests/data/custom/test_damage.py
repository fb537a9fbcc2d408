"""Damaged sources: whatever is in a label file, the answer is a dataset or problems, never another error."""

import copy
import random

import pytest

from ovparts_hf.data.custom.survey import survey
from ovparts_hf.data.formats.base import Source
from ovparts_hf.errors import OVPartsError

from ..labelled import coco, save, write_images, write_masks

VALUES = (
    *(
        None,
        True,
        -1,
        0,
        1.5,
        10**30,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "x",
        "dog:head",
        "\0",
        "\ud800",
        "../x.png",
    ),
    *([], {}, [[]], [{}], {"id": 1}, [[1, 2, 3, 4, 5, 6]], {"size": [48, 64], "counts": "xyz"}, [None], "a" * 5000),
)


def places(value, path=()):
    """The paths of all values in a JSON document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def damaged(data, generator):
    result = copy.deepcopy(data)
    for _ in range(generator.randint(1, 3)):
        *path, last = generator.choice([path for path in places(result) if path])
        parent = result
        for key in path:
            parent = parent[key]
        if isinstance(parent, dict) and generator.random() < 0.3:
            del parent[last]
        else:
            parent[last] = copy.deepcopy(generator.choice(VALUES))
    return result


def look(folder, format_name):
    try:
        found = survey(Source(str(folder)), "mine", format_name, progress=False)
    except OVPartsError as error:
        return [str(error)]
    if not found.problems:
        assert any(found.validates)
        for image in found.images:
            found.painter.row(image)
    return found.problems


@pytest.mark.parametrize("seed", range(8))
def test_damaged_coco(seed, tmp_path):
    write_images(tmp_path / "images", 4)
    generator, data = random.Random(seed), coco(4)
    for _ in range(25):
        save(tmp_path, damaged(data, generator))
        assert all(len(problem) < 4000 for problem in look(tmp_path, "coco"))


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files(seed, tmp_path):
    write_masks(tmp_path, 4)
    generator = random.Random(seed)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    contents = {path: path.read_bytes() for path in files}
    for _ in range(25):
        path = generator.choice(files)
        data = bytearray(contents[path])
        for _ in range(generator.randint(1, 10)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(data[: generator.choice([len(data), len(data) // 2])])
        look(tmp_path, "masks")
        path.write_bytes(contents[path])
