"""Which images of a source are trained on, and which are validated on."""

import json

import pytest
from PIL import Image

from ovparts_hf.data.custom.split import read_together
from ovparts_hf.errors import DatasetError

from ..labelled import PARTS, coco, part_map, picture, save, write_coco
from .looking import look


def test_one_image_cannot_be_divided(tmp_path):
    write_coco(tmp_path, 1)
    (problem,) = look(tmp_path).problems
    assert "1 labelled image" in problem


def write_splits(folder, *names):
    for start, name in enumerate(names):
        images = folder / "images" / name
        images.mkdir(parents=True)
        (folder / "masks" / name).mkdir(parents=True)
        for number in range(2):
            picture(10 * start + number).save(images / f"{name}{number}.png")
            Image.fromarray(part_map(number)).save(folder / "masks" / name / f"{name}{number}.png")
    (folder / "names.txt").write_text("\n".join(PARTS), encoding="utf-8")


def sides(found):
    return {image.image_id: side for image, side in zip(found.images, found.validates)}


def test_the_split_of_the_source_is_kept(tmp_path):
    write_splits(tmp_path, "train", "val", "test")
    found = look(tmp_path)
    assert found.problems == []
    assert sides(found) == {"train0": False, "train1": False, "val0": True, "val1": True}
    assert any("Left out: 2 images of the split test." in note for note in found.notes)
    assert found.division == "as in the source"
    assert len(look(tmp_path, rule={"validation": "50%"}).images) == 6


def test_a_test_split_takes_the_place_of_a_missing_validation_split(tmp_path):
    write_splits(tmp_path, "train", "test")
    assert sides(look(tmp_path)) == {"train0": False, "train1": False, "test0": True, "test1": True}


def test_an_image_on_both_sides_of_the_source_is_a_problem(tmp_path):
    write_splits(tmp_path, "train", "val")
    (tmp_path / "images" / "val" / "val0.png").write_bytes((tmp_path / "images" / "train" / "train0.png").read_bytes())
    (problem,) = look(tmp_path).problems
    assert "train0.png" in problem
    assert "val0.png" in problem


def test_equal_images_and_groups_stay_together(tmp_path):
    write_coco(tmp_path, 12)
    (tmp_path / "images" / "photo01.png").write_bytes((tmp_path / "images" / "photo07.png").read_bytes())
    for seed in range(6):
        found = look(tmp_path, rule={"group": r"photo(\d)", "seed": seed, "validation": "4"})
        side = sides(found)
        assert len({side[f"photo{number:02d}"] for number in range(10)}) == 1
        assert side["photo10"] == side["photo11"] != side["photo00"]
        side = sides(look(tmp_path, rule={"seed": seed}))
        assert side["photo01"] == side["photo07"]


def test_groups_are_stored(tmp_path):
    write_coco(tmp_path, 12)
    found = look(tmp_path, rule={"group": r"photo(\d)"})
    (tmp_path / "split.json").write_text(found.split_json(), encoding="utf-8")
    groups = read_together(tmp_path / "split.json")
    assert groups == {name: int(name[5]) for name in sides(found)}
    assert read_together(tmp_path / "none.json") == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"together": 3}', '{"together": [3]}'])
def test_damaged_groups_are_refused(tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(DatasetError, match="split.json"):
        read_together(tmp_path / "split.json")


def test_a_group_rule_that_matches_nothing_is_a_problem(tmp_path):
    write_coco(tmp_path, 4)
    assert any("matches no image" in problem for problem in look(tmp_path, rule={"group": "frame"}).problems)


def test_a_split_is_stored_and_comes_back(tmp_path):
    write_coco(tmp_path / "source", 12)
    first = look(tmp_path / "source", rule={"seed": 3})
    (tmp_path / "split.json").write_text(first.split_json(), encoding="utf-8")
    stored = json.loads(first.split_json())
    assert sorted(stored["images"]["train"] + stored["images"]["validation"]) == sorted(sides(first))
    assert (stored["seed"], stored["group"]) == (3, None)
    data = coco(12)
    data["images"] = data["images"][1:]
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] != 1]
    save(tmp_path / "source", data)
    again = sides(look(tmp_path / "source", rule={"earlier": tmp_path / "split.json", "seed": 8}))
    assert again == {name: side for name, side in sides(first).items() if name != "photo00"}
