"""InstructPart, in the layout of its folders."""

import json

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.registry import READERS, find_reader
from ovparts_hf.errors import DatasetError

from ..labelled import SIZE, picture
from .reading import boxes, problems, read

BOXES = {("coffee mug", "handle"): (4, 6, 14, 16), ("coffee mug", "rim"): (20, 10, 28, 14)}


def write(folder, split, numbers, copies=False):
    """`copies`: the image once for each part, called like its mask."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    entries = []
    for number in numbers:
        parts = list(BOXES)[: 1 + number % 2]
        for object_name, part_name in parts:
            name = f"photo{number}-{object_name.replace(' ', '_')}-{part_name}"
            left, top, right, bottom = BOXES[object_name, part_name]
            mask = np.zeros(SIZE, np.uint8)
            mask[top:bottom, left:right] = 255
            Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
            if copies:
                picture(number).save(folder / "images" / f"{name}.jpg")
        if not copies:
            picture(number).save(folder / "images" / f"photo{number}.jpg")
        entries.append(
            {
                "image_path": f"photo{number}.jpg",
                "part_list": [
                    {"object": o, "part": p, "affordance": "hold", "action": "lift", "instruction": ["Lift it."]}
                    for o, p in parts
                ],
            }
        )
    (folder / f"data_{split}.json").write_text(json.dumps(entries))


@pytest.mark.parametrize("copies", [False, True])
def test_the_largest_training_set_and_the_test_set_are_read(copies, tmp_path):
    write(tmp_path / "all", "all", range(6), copies)
    write(tmp_path / "train" / "train200", "train", range(2), copies)
    write(tmp_path / "train" / "train600", "train", range(4), copies)
    write(tmp_path / "test", "test", range(4, 6), copies)
    assert find_reader(Source(str(tmp_path))).name == "instructpart"
    found = read(tmp_path)
    assert [image.split for image in found.images].count("train") == 4
    assert [image.split for image in found.images].count("test") == 2
    assert sorted(note.split()[0] for note in found.notes) == ["all/data_all.json", "train/train200/data_train.json"]
    for image in found.images:
        expected = {f"{o}'s {p}": box for (o, p), box in list(BOXES.items())[: len(image.annotations)]}
        assert boxes(image) == expected
    assert {len(image.annotations) for image in found.images} == {1, 2}


def test_all_is_read_alone(tmp_path):
    write(tmp_path, "all", range(3))
    assert [image.split for image in read(tmp_path).images] == [None] * 3


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"image_path": 3, "part_list": []}, "'image_path' of entry 0 of data_all.json must be"),
        ({"image_path": "photo0.jpg", "part_list": "x"}, "'part_list' of entry 0 of data_all.json is 'x'"),
        ({"image_path": "photo0.jpg", "part_list": [{"object": "mug"}]}, "'object' and 'part' of entry 0"),
        ({"image_path": "photo0.jpg", "part_list": [{"object": "a", "part": "b"}]}, "names the image 'photo0-a-b'"),
        ({"image_path": "none.jpg", "part_list": []}, "names the image 'none.jpg'"),
        ({"image_path": "../photo0.jpg", "part_list": []}, None),
    ],
)
def test_what_is_wrong_is_named(entry, message, tmp_path):
    write(tmp_path, "all", range(1))
    (tmp_path / "data_all.json").write_text(json.dumps([entry]))
    found = problems(tmp_path, "instructpart")
    assert (message in found) if message else not found


def test_a_folder_without_masks_or_without_json(tmp_path):
    write(tmp_path / "a", "all", range(1))
    (tmp_path / "a" / "masks").rename(tmp_path / "elsewhere")
    assert "There is no folder" in problems(tmp_path / "a", "instructpart")
    with pytest.raises(DatasetError, match="holds no JSON of InstructPart"):
        READERS["instructpart"].read(Source(str(tmp_path / "elsewhere")))
