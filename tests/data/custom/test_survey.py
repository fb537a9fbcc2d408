"""What is found in labelled data before anything is written."""

import json

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.data.custom.split import SplitRule, read_together
from ovparts_hf.data.custom.summary import summary
from ovparts_hf.data.custom.survey import survey
from ovparts_hf.data.formats.base import Source
from ovparts_hf.errors import ConfigurationError, DatasetError
from ovparts_hf.taxonomy import PartTaxonomy

from ..labelled import PARTS, SIZE, add, coco, part_map, picture, polygon, save, write_coco, write_images, write_masks


def look(folder, taxonomy=None, rule=None, **options):
    source = Source(str(folder), taxonomy=taxonomy)
    return survey(source, "mine", rule=SplitRule(**(rule or {})), progress=False, **options)


def test_counts_sizes_and_split(tmp_path):
    write_coco(tmp_path, 10)
    found = look(tmp_path)
    assert found.problems == []
    assert found.format_name == "coco"
    assert (found.validates.count(True), found.validates.count(False)) == (2, 8)
    assert sum(bool(examined.objects[1]) for examined in found.examined) == 5
    text = summary(found)
    assert "10 labelled images" in text
    assert "dog (10 objects)" in text
    assert "bus (5 objects)" in text
    assert "64 x 48 (10)" in text
    assert "train 8, validation 2" in text
    assert text.endswith("No problem.")


def test_every_problem_is_collected(tmp_path):
    data = write_coco(tmp_path, 6)
    (tmp_path / "images" / "photo01.png").write_bytes(b"no image")
    picture(2).resize((32, 32)).save(tmp_path / "images" / "photo02.png")
    picture(3).rotate(90, expand=True).save(tmp_path / "images" / "photo03.png")
    data["annotations"][0]["segmentation"] = [[1, 2, 3]]
    data["annotations"][-1]["segmentation"] = {"size": list(SIZE), "counts": [3]}
    save(tmp_path, data)
    found = look(tmp_path)
    assert len(found.problems) == 5
    text = "\n".join(found.problems)
    for expected in (
        "annotation 1 of labels.json",
        f"annotation {len(data['annotations'])} of labels.json",
        "photo01.png is not a whole image",
        "photo02.png are for 64 x 48 pixels, but it is 32 x 32",
        "photo03.png are for 64 x 48 pixels, but it is 48 x 64",
    ):
        assert expected in text
    with pytest.raises(DatasetError, match="5 problems"):
        found.refuse_problems()
    assert summary(found).count("\n- ") == 5


def test_an_error_shows_the_first_problems_and_counts_the_others(tmp_path):
    data = write_coco(tmp_path, 12)
    for annotation in data["annotations"]:
        annotation["segmentation"] = [[1]]
    save(tmp_path, data)
    with pytest.raises(DatasetError) as error:
        look(tmp_path).refuse_problems()
    assert str(error.value).count("\n- ") == 20
    assert f"{len(data['annotations']) - 20} more" in str(error.value)


def test_labels_are_upright(tmp_path):
    """A photograph that EXIF turns: labels are made on what people see."""
    write_images(tmp_path / "images", 2, ".jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(2):
        picture(number).rotate(90, expand=True).save(tmp_path / "images" / f"photo{number:02d}.jpg", exif=exif)
    save(tmp_path, coco(2, suffix=".jpg"))
    found = look(tmp_path)
    assert found.problems == []
    assert found.examined[0].size == SIZE
    data = coco(2, suffix=".jpg")
    for image in data["images"]:
        image["height"], image["width"] = image["width"], image["height"]
    save(tmp_path, data)
    assert all("before it is turned upright" in problem for problem in look(tmp_path).problems)


def test_what_is_left_out_or_decided_is_noted(tmp_path):
    data = write_coco(tmp_path, 10)
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] != 10]
    data["categories"].append({"id": 999, "name": "cow:horn"})
    for number, annotation in enumerate(data["annotations"], start=1):
        annotation["id"] = number
    add(data, 1, 3, polygon(22, 10, 26, 14))  # over the tail
    add(data, 1, 3, polygon(5, 5, 5, 9))
    add(data, 2, 3, polygon(50, 5, 90, 9))
    save(tmp_path, data)
    found = look(tmp_path)
    assert found.problems == []
    assert "cow's horn" not in found.taxonomy.part_classes
    text = "\n".join(found.notes)
    for expected in (
        "1 image without a label",
        'left out of the taxonomy: "cow\'s horn"',
        "1 annotation without a pixel",
        "1 polygon reach outside",
        "Parts overlap in 16 pixels in 1 image; the later one counts: dog's head over dog's tail (16)",
    ):
        assert expected in text


def test_a_given_taxonomy_decides_on_names_and_order(tmp_path):
    write_coco(tmp_path, 4)
    taxonomy = PartTaxonomy.from_part_classes(["bus's Wheel", "bus's door", "dog's tail", "dog's head", "cat's ear"])
    found = look(tmp_path, taxonomy)
    assert found.problems == []
    assert found.taxonomy.part_classes == taxonomy.part_classes
    assert found.taxonomy.name == "mine"
    found = look(tmp_path, PartTaxonomy.from_part_classes(["bus's wheel", "bus's door", "dog's tails"]))
    assert [problem.split(".")[0] for problem in found.problems] == [
        'The taxonomy has no "dog\'s head"',
        'The taxonomy has no "dog\'s tail"',
    ]
    assert found.taxonomy is None
    assert "2 problems" in summary(found)


def test_seen_objects(tmp_path):
    write_coco(tmp_path, 4)
    assert look(tmp_path, unseen=["bus"]).taxonomy.seen_objects == ("dog",)
    assert "bus (2 objects, unseen)" in summary(look(tmp_path, seen=["dog"]))
    with pytest.raises(ConfigurationError, match="'cow'"):
        look(tmp_path, seen=["cow"])


@pytest.mark.parametrize("write", [write_coco, write_masks])
def test_an_empty_source(write, tmp_path):
    write(tmp_path, 2)
    for path in [*tmp_path.glob("masks/*")]:
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(path)
    if write is write_coco:
        save(tmp_path, {"images": [], "annotations": [], "categories": []})
    (problem,) = look(tmp_path).problems
    assert "no labelled image" in problem


def test_objects_without_parts_make_no_dataset(tmp_path):
    write_coco(tmp_path, 2, spell=lambda name: name.replace("'s ", " "))
    found = look(tmp_path)
    assert "No label names a part" in found.problems[0]
    assert "dog:ear" in found.problems[0]


def test_one_image_cannot_be_divided(tmp_path):
    write_coco(tmp_path, 1)
    (problem,) = look(tmp_path).problems
    assert "1 labelled image" in problem


def test_one_class_is_enough(tmp_path):
    write_images(tmp_path / "images", 2)
    data = coco(2, names=PARTS)
    data["annotations"], data["categories"] = [], [{"id": 3, "name": "dog:head"}]
    add(data, 1, 3, polygon(1, 1, 9, 9))
    add(data, 2, 3, polygon(1, 1, 9, 9))
    save(tmp_path, data)
    found = look(tmp_path)
    assert found.problems == []
    assert found.taxonomy.part_classes == ("dog's head",)


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
    assert any("2 images of the split test are left out" in note for note in found.notes)
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
    assert {name: name[5] for name in sides(found)} == {name: str(groups[name]) for name in groups}
    assert read_together(tmp_path / "none.json") == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"together": 3}', '{"together": [3]}'])
def test_a_damaged_split_is_refused(tmp_path, text):
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


def test_parts_missing_on_one_side_are_noted(tmp_path):
    data = write_coco(tmp_path, 10)
    data["categories"].append({"id": 999, "name": "cow:horn"})
    add(data, 1, 999, polygon(1, 40, 9, 46))
    save(tmp_path, data)
    assert any(note == 'No validation image has "cow\'s horn".' for note in look(tmp_path).notes)
