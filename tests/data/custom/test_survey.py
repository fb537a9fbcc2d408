"""What is found in labelled data before anything is written."""

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.data.custom.summary import summary
from ovparts_hf.errors import ConfigurationError, DatasetError
from ovparts_hf.taxonomy import PartTaxonomy

from ..labelled import PARTS, SIZE, add, coco, picture, polygon, save, write_coco, write_images, write_masks
from .looking import look


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
