"""COCO's JSON in the forms that it comes in, and what is wrong with it."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.coco import CocoReader
from ovparts_hf.errors import DatasetError

from ..labelled import PARTS, SIZE, add, coco, part_map, polygon, save, write_coco, write_images


def read(folder, **options):
    return CocoReader().read(Source(str(folder), **options))


def masks_of(image):
    return [(annotation.class_name, annotation.shape.mask(*SIZE, annotation.name)) for annotation in image.annotations]


@pytest.fixture
def folder(tmp_path):
    """Three labelled images in `images/`; the JSON has to be saved."""
    write_images(tmp_path / "images", 3)
    return tmp_path


@pytest.mark.parametrize(
    "spell",
    [
        lambda name: name,
        lambda name: name.replace("'s ", ":"),
        lambda name: name.replace("'s ", "/"),
        lambda name: name.replace("'s ", "\u2019s  "),
        lambda name: name.replace("'s ", " : "),
    ],
)
def test_categories_name_object_and_part(spell, folder):
    save(folder, coco(3, spell))
    labels = read(folder)
    assert labels.problems == []
    assert labels.classes == [tuple(name.split("'s ")) for name in PARTS]
    for number, image in enumerate(labels.images):
        painted = np.full(SIZE, 255)
        for (object_name, part_name), mask in masks_of(image):
            painted[mask] = PARTS.index(f"{object_name}'s {part_name}")
        np.testing.assert_array_equal(painted, part_map(number))
        assert image.stated_size == SIZE


def test_supercategories_are_objects_if_no_name_has_both(folder):
    data = coco(3)
    data["categories"] = [
        {"id": 3, "name": "head", "supercategory": "dog"},
        {"id": 13, "name": "tail", "supercategory": "dog"},
        {"id": 23, "name": "wheel", "supercategory": "bus"},
        {"id": 33, "name": "bus", "supercategory": "vehicle"},  # itself the supercategory of another
        {"id": 43, "name": "dog", "supercategory": "dog"},
    ]
    save(folder, data)
    assert read(folder).classes == [("dog", "head"), ("dog", "tail"), ("bus", "wheel"), ("bus", None), ("dog", None)]


def test_one_part_name_may_belong_to_two_supercategories(folder):
    data = coco(3)
    data["categories"] = [
        {"id": 3, "name": "head", "supercategory": "dog"},
        {"id": 13, "name": "head", "supercategory": "cat"},
        {"id": 23, "name": "wheel", "supercategory": "bus"},
        {"id": 33, "name": "door", "supercategory": "bus"},
    ]
    save(folder, data)
    labels = read(folder)
    assert labels.problems == []
    assert labels.classes[:2] == [("dog", "head"), ("cat", "head")]


def test_a_supercategory_that_says_nothing_does_not_count(folder):
    data = coco(3)
    for category in data["categories"]:
        category["supercategory"] = "none"
    save(folder, data)
    assert read(folder).classes[0] == ("dog", "head")


def test_objects_of_paco_are_the_annotations_that_parts_name(folder):
    """Names with "_", "(" and ":", ids with gaps; the object's annotation has its own id as `obj_ann_id`."""
    data = coco(3)
    data["annotations"].clear()
    data["categories"] = [
        {"id": 207, "name": "car_(automobile)", "supercategory": "OBJECT"},
        {"id": 1066, "name": "car_(automobile):antenna", "supercategory": "PART"},
    ]
    whole = add(data, 1, 207, polygon(2, 2, 30, 30))
    data["annotations"][-1]["obj_ann_id"] = whole
    add(data, 1, 1066, polygon(4, 4, 8, 8), obj_ann_id=whole)
    second = add(data, 1, 207, polygon(32, 2, 60, 30))
    add(data, 1, 1066, polygon(40, 4, 44, 8), obj_ann_id=second)
    save(folder, data)
    labels = read(folder)
    assert labels.problems == []
    assert labels.classes == [("car_(automobile)", None), ("car_(automobile)", "antenna")]
    first, part, other, other_part = labels.images[0].annotations
    assert first.instance == part.instance != other.instance == other_part.instance


def test_parts_of_another_object_or_image_are_problems(folder):
    data = coco(3)
    data["categories"] += [{"id": 1, "name": "dog"}, {"id": 2, "name": "bus"}]
    bus, elsewhere = add(data, 1, 2, polygon(0, 0, 9, 9)), add(data, 2, 1, polygon(0, 0, 9, 9))
    wrong = add(data, 1, 3, polygon(1, 1, 5, 5), obj_ann_id=bus)
    far = add(data, 1, 3, polygon(1, 1, 5, 5), obj_ann_id=elsewhere)
    save(folder, data)
    first, second = read(folder).problems
    assert f"Annotation {wrong} of labels.json" in first
    assert '"dog\'s head"' in first
    assert "'bus'" in first
    assert f"Annotation {far}" in second
    assert "another image" in second


def as_rle(mask, compressed):
    flat = np.asfortranarray(mask).ravel(order="F").astype(np.uint8)
    if compressed:
        return {"size": list(SIZE), "counts": coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()}
    bounds = np.flatnonzero(np.diff(flat, prepend=0)).tolist()
    return {"size": list(SIZE), "counts": np.diff([0, *bounds, flat.size]).tolist()}


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("crowd", [0, 1])
def test_run_lengths_and_crowds_count_like_polygons(compressed, crowd, folder):
    mask = np.random.default_rng(0).random(SIZE) < 0.3
    data = coco(3)
    data["annotations"].clear()
    add(data, 2, 3, as_rle(mask, compressed), iscrowd=crowd)
    save(folder, data)
    labels = read(folder)
    ((class_name, found),) = masks_of(labels.images[1])
    assert class_name == ("dog", "head")
    np.testing.assert_array_equal(found, mask)
    assert any("iscrowd" in note for note in labels.notes) == bool(crowd)


def test_a_byte_order_mark_and_capital_suffixes_do_no_harm(tmp_path):
    write_images(tmp_path / "pictures" / "deep", 3, ".PNG")
    text = json.dumps(coco(3, suffix=".PNG"))
    (tmp_path / "Labels.JSON").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert CocoReader().recognises(Source(str(tmp_path)))
    labels = read(tmp_path)
    assert labels.problems == []
    assert [image.image_id for image in labels.images] == ["photo00", "photo01", "photo02"]


def test_the_file_alone_and_images_elsewhere(tmp_path):
    write_coco(tmp_path / "a", 3)
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "labels.json").rename(tmp_path / "b" / "labels.json")
    assert len(read(tmp_path / "b" / "labels.json").problems) == 3
    labels = read(tmp_path / "b" / "labels.json", images=tmp_path / "a" / "images")
    assert labels.problems == []
    assert len(labels.images) == 3


def test_files_of_several_splits_with_equal_names_of_images(tmp_path):
    for split in ("train", "valid"):
        write_images(tmp_path / split, 2)
        save(tmp_path / split, coco(2), "_annotations.coco.json")
    labels = read(tmp_path)
    assert labels.problems == []
    assert [(image.image_id, image.split) for image in labels.images] == [
        ("train-photo00", "train"),
        ("train-photo01", "train"),
        ("valid-photo00", "validation"),
        ("valid-photo01", "validation"),
    ]


def test_images_are_looked_for_in_the_folder_of_their_split(tmp_path):
    for split in ("train", "val"):
        write_images(tmp_path / f"{split}2017", 2)
        (tmp_path / "annotations").mkdir(exist_ok=True)
        save(tmp_path / "annotations", coco(2), f"instances_{split}2017.json")
    labels = read(tmp_path)
    assert labels.problems == []
    assert [image.image.name for image in labels.images if image.split == "validation"] == [
        "val2017/photo00.png",
        "val2017/photo01.png",
    ]


def test_an_image_in_two_splits_is_a_problem(folder):
    save(folder, coco(3), "instances_train.json")
    save(folder, coco(1), "instances_val.json")
    (problem,) = read(folder).problems
    assert "photo00.png" in problem
    assert "both" in problem


def broken(change):
    data = coco(3)
    change(data)
    return data


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d["annotations"][1].update(image_id=99), "Annotation 2 of labels.json has the image_id 99"),
        (lambda d: d["annotations"][1].update(category_id=4), "Annotation 2 of labels.json has the category_id 4"),
        (lambda d: d["annotations"][1].update(id=1), "uses the id 1 more than once in 'annotations'"),
        (lambda d: d["images"][1].update(id=1), "uses the id 1 more than once in 'images'"),
        (
            lambda d: d["images"][1].update(file_name="photo00.png"),
            "lists the image 'images/photo00.png' more than once",
        ),
        (lambda d: d["images"][1].update(file_name="gone.png"), "gone.png"),
        (lambda d: d["images"][1].update(file_name="../../secret.png"), "leads out of"),
        (lambda d: d["images"][1].update(file_name="other/photo01.png"), "'other/photo01.png'"),
        (lambda d: d["images"][1].update(file_name="a\0b.png"), "images[id 2]"),
        (lambda d: d["images"][1].update(width="64 px"), "images[1] of labels.json has the width '64 px'"),
        (lambda d: d["annotations"][1].pop("category_id"), "annotations[1] of labels.json needs a 'category_id'"),
        (lambda d: d["annotations"].append([]), "of labels.json needs an 'id'"),
        (lambda d: d["categories"][1].update(name="dog:"), "'dog:'"),
        (lambda d: d["categories"][1].update(name="dog:head"), '2 categories that are "dog\'s head"'),
        (lambda d: d.update(images={}), "lists 'images', 'annotations', 'categories'"),
        (lambda d: d["annotations"][1].update(image_id=10**400), "Annotation 2"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_entry(change, expected, folder):
    save(folder, broken(change))
    problems = read(folder).problems
    assert any(expected in problem for problem in problems), problems
    assert all(len(problem) < 1000 for problem in problems)


def test_all_problems_are_collected(folder):
    def change(data):
        data["annotations"][0]["image_id"] = 99
        data["annotations"][1]["category_id"] = 99
        data["images"][2]["file_name"] = "gone.png"

    save(folder, broken(change))
    assert len(read(folder).problems) == 3


def test_all_faulty_entries_are_collected(folder):
    def change(data):
        del data["annotations"][0]["image_id"], data["annotations"][1]["category_id"], data["images"][2]["file_name"]

    save(folder, broken(change))
    assert len(read(folder).problems) == 3


@pytest.mark.parametrize(
    ("segmentation", "expected"),
    [
        ([[1, 2, 3, 4, 5]], "5 numbers"),
        ([[1, 2, 3, 4]], "4 numbers"),
        ([[1, 2, 3, 4, 5, float("nan")]], "finite"),
        ([[1, 2, 3, 4, 5, 1e999]], "finite"),
        ([[1, 2, 3, 4, 5, "6"]], "not a number"),
        ("polygon", "neither a list"),
        ({"size": [48, 64], "counts": [5, 5]}, "do not add up"),
        ({"size": [64, 48], "counts": [3072]}, "size"),
        ({"size": [48, 64], "counts": "@@@"}, "add up"),
        ({"size": [48, 64]}, "cannot be decoded"),
    ],
)
def test_a_faulty_segmentation_names_its_annotation(segmentation, expected, folder):
    data = coco(3)
    data["annotations"][1]["segmentation"] = segmentation
    save(folder, data)
    annotation = read(folder).images[0].annotations[1]
    with pytest.raises(DatasetError, match=expected) as error:
        annotation.shape.mask(*SIZE, annotation.name)
    assert "annotation 2 of labels.json" in str(error.value)


def test_annotations_without_a_segmentation_are_counted(folder):
    data = coco(3)
    data["annotations"][0]["segmentation"] = []
    del data["annotations"][1]["segmentation"]
    save(folder, data)
    labels = read(folder)
    assert labels.images[0].annotations == ()
    assert any("annotations without a segmentation (2)" in note for note in labels.notes)


def test_a_deeply_nested_file_is_refused(folder):
    (folder / "labels.json").write_text(
        '{"images":' + "[" * 100_000 + ', "annotations", "categories"', encoding="utf-8"
    )
    labels = read(folder)
    assert len(labels.problems) == 1
    assert "labels.json is not valid JSON" in labels.problems[0]


def test_a_link_out_of_the_folder_is_not_followed(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    write_images(outside, 1)
    (folder / "images" / "photo01.png").unlink()
    (folder / "images" / "photo01.png").symlink_to(outside / "photo00.png")
    save(folder, coco(3))
    (problem,) = read(folder).problems
    assert "photo01.png" in problem


def test_images_that_no_file_lists_are_counted(folder):
    save(folder, coco(2))
    assert any(note == "Left out: images that no label file lists (1)." for note in read(folder).notes)


def test_lvis_names_images_by_address(tmp_path):
    write_images(tmp_path / "val2017", 3)
    data = coco(3)
    for image in data["images"]:
        image["coco_url"] = f"http://images.example.org/val2017/{image.pop('file_name')}"
    save(tmp_path, data)
    assert read(tmp_path).problems == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shapes": []}', "\x00"])
def test_other_files_are_not_recognised(text, tmp_path):
    (tmp_path / "labels.json").write_text(text, encoding="utf-8")
    assert not CocoReader().recognises(Source(str(tmp_path)))
    with pytest.raises(DatasetError, match="no JSON file of COCO"):
        read(tmp_path)


def test_numbers_as_converters_write_them(folder):
    """Ids that are whole but floats, or digits in quotes here and not there; a flat polygon; sizes as texts."""
    data = coco(3)
    for image in data["images"]:
        image |= {"id": float(image["id"]), "height": float(SIZE[0]), "width": str(SIZE[1])}
    for annotation in data["annotations"]:
        annotation["image_id"] = str(annotation["image_id"])
        annotation["segmentation"] = annotation["segmentation"][0]
    save(folder, data)
    labels = read(folder)
    assert labels.problems == []
    assert [len(image.annotations) for image in labels.images] == [2, 4, 2]
    for number, image in enumerate(labels.images):
        painted = np.full(SIZE, 255)
        for (object_name, part_name), mask in masks_of(image):
            painted[mask] = PARTS.index(f"{object_name}'s {part_name}")
        np.testing.assert_array_equal(painted, part_map(number))
        assert image.stated_size == SIZE


def test_ids_that_only_look_like_numbers_stay_apart(folder):
    data = coco(2)
    data["images"][0]["id"], data["images"][1]["id"] = "1", "01"
    for annotation in data["annotations"]:
        annotation["image_id"] = {1: 1, 2: "01"}[annotation["image_id"]]
    save(folder, data)
    assert [len(image.annotations) for image in read(folder).images] == [2, 4]


@pytest.mark.parametrize("size", [{}, {"height": None, "width": None}, {"height": 0, "width": 0}])
def test_the_size_of_an_image_may_be_missing(size, folder):
    data = coco(3)
    for image in data["images"]:
        del image["height"], image["width"]
        image |= size
    save(folder, data)
    labels = read(folder)
    assert labels.problems == [] and [image.stated_size for image in labels.images] == [None] * 3


@pytest.mark.parametrize("height", [-4, 1.5, "tall", True, [48]])
def test_a_size_that_is_none_is_named(height, folder):
    data = coco(3)
    data["images"][1]["height"] = height
    save(folder, data)
    assert "images[1] of labels.json has the height" in read(folder).problems[0]
