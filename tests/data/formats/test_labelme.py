"""LabelMe's files, beyond what every format has in common."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.registry import READERS
from ovparts_hf.errors import DatasetError

from ..labelled import SIZE, picture, write_images
from .reading import boxes, masks, problems, read
from .writers import base64_png, corners, png, save_labelme, write_labelme


def shape(kind, points, label="dog:ear", **more):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}} | more


def one(tmp_path, *shapes, **options):
    write_images(tmp_path, 1)
    save_labelme(tmp_path / "photo00.json", list(shapes), "photo00.png", **options)
    return tmp_path


def test_a_circle_is_its_centre_and_a_point_on_it(tmp_path):
    found = masks(read(one(tmp_path, shape("circle", [[20, 20], [20, 30]]))).images[0])["dog's ear"]
    rows, columns = np.nonzero(found)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 29, 10, 29)
    assert found.sum() == pytest.approx(math.pi * 100, rel=0.02)


def test_a_polygon_covers_the_pixels_of_pycocotools(tmp_path):
    found = read(
        one(tmp_path, shape("polygon", corners((10, 10, 20, 20))), shape("rectangle", [[30, 10], [40, 20]], "dog:leg"))
    )
    assert boxes(found.images[0]) == {"dog's ear": (10, 10, 20, 20), "dog's leg": (30, 10, 40, 20)}


def test_shapes_of_old_files_are_polygons_and_later_ones_come_last(tmp_path):
    source = one(
        tmp_path, shape(None, corners((4, 4, 9, 9))), shape("oriented_rectangle", corners((5, 5, 30, 30)), "dog")
    )
    found = read(source).images[0]
    assert [annotation.class_name for annotation in found.annotations] == [("dog", "ear"), ("dog", None)]


def test_a_group_is_an_object_of_its_class(tmp_path):
    shapes = [
        shape("rectangle", [[1, 1], [5, 5]], "dog", group_id=1),
        shape("rectangle", [[1, 1], [3, 3]], "dog:ear", group_id=1),
        shape("rectangle", [[10, 1], [13, 3]], "dog:ear", group_id=2),
        shape("rectangle", [[20, 1], [23, 3]], "bus:wheel", group_id=1),
        shape("rectangle", [[30, 1], [33, 3]], "bus:wheel"),
    ]
    whole, ear, other, wheel, alone = read(one(tmp_path, *shapes)).images[0].annotations
    assert whole.instance == ear.instance is not None
    assert len({ear.instance, other.instance, wheel.instance, alone.instance}) == 4 and alone.instance is None


def test_what_has_no_area_is_left_out_and_counted(tmp_path):
    shapes = [shape("point", [[1, 1]]), shape("line", [[1, 1], [2, 2]]), shape("line", [[1, 1], [2, 2]])]
    found = read(one(tmp_path, shape("polygon", corners((4, 4, 9, 9))), *shapes))
    assert len(found.images[0].annotations) == 1
    assert "Left out: 1 shape of type 'point', without an area." in found.notes
    assert "Left out: 2 shapes of type 'line', without an area." in found.notes


def test_the_image_may_be_in_the_file(tmp_path):
    data = base64_png(np.asarray(picture(3)))
    save_labelme(tmp_path / "a.json", [shape("polygon", corners((4, 4, 9, 9)))], "C:\\photos\\a.png", image_data=data)
    image = read(tmp_path).images[0]
    assert image.image.read() == png(np.asarray(picture(3))) and image.image_id == "a" and image.stated_size == SIZE


def test_the_file_on_disk_is_better_than_the_copy_in_the_label_file(tmp_path):
    one(tmp_path, shape("polygon", corners((4, 4, 9, 9))), image_data=base64_png(np.zeros((4, 4), np.uint8)))
    assert read(tmp_path).images[0].image.read() == (tmp_path / "photo00.png").read_bytes()


@pytest.mark.parametrize("path", ["../images/train/a.png", "..\\images\\train\\a.png", "/home/me/images/train/a.png"])
def test_paths_lead_from_the_label_file(path, tmp_path):
    for split in ("train", "val"):
        (tmp_path / "images" / split).mkdir(parents=True)
        picture(len(split)).save(tmp_path / "images" / split / "a.png")
    (tmp_path / "labels" / "x").mkdir(parents=True)
    save_labelme(tmp_path / "labels" / "a.json", [shape("polygon", corners((4, 4, 9, 9)))], path)
    if path.startswith("/"):
        (tmp_path / "images" / "val" / "a.png").unlink()
    assert read(tmp_path).images[0].image.name == "images/train/a.png"


def test_nothing_outside_the_folder_is_read(tmp_path):
    picture(1).save(tmp_path / "secret.png")
    folder = tmp_path / "labels"
    folder.mkdir()
    save_labelme(folder / "a.json", [shape("polygon", corners((4, 4, 9, 9)))], "../secret.png")
    assert "names the image 'secret.png'" in problems(folder, "labelme")


def test_images_of_folders_called_after_splits(tmp_path):
    for split in ("train", "val"):
        write_labelme(tmp_path / split, 2)
    found = read(tmp_path)
    assert [image.split for image in found.images] == ["train", "train", "validation", "validation"]
    assert [image.image_id for image in found.images] == [
        "train-photo00",
        "train-photo01",
        "val-photo00",
        "val-photo01",
    ]


def test_other_json_files_and_images_without_labels_are_counted(tmp_path):
    write_labelme(tmp_path, 2)
    write_images(tmp_path / "more", 3)
    (tmp_path / "settings.json").write_text("{}")
    notes = read(tmp_path).notes
    assert "Left out: 1 JSON file without 'shapes', so not of LabelMe." in notes
    assert "Left out: 3 images without a file of LabelMe." in notes


def test_one_file_alone(tmp_path):
    write_labelme(tmp_path, 2)
    assert [image.image_id for image in read(tmp_path / "photo01.json").images] == ["photo01"]


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = one(tmp_path, shape("polygon", corners((4, 4, 9, 9)))) / "photo00.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert len(read(tmp_path).images) == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (shape("circle", [[1, 1]]), "There are 1 points in shape 0 of photo00.json; a circle has two."),
        (shape("cuboid", [[1, 1]]), "The shape_type of shape 0 of photo00.json is 'cuboid'; allowed are polygon"),
        (
            shape("polygon", [[1, 1], [2, "x"], [3, 3]]),
            "A point of shape 0 of photo00.json is 'x'; it must be a finite number",
        ),
        (shape("polygon", [[1, 1], [2, float("nan")], [3, 3]]), "is nan; it must be a finite number"),
        (shape("polygon", [[1, 1], [2, True], [3, 3]]), "is True; it must be a finite number"),
        (shape("polygon", [1, 2, 3]), "must be a list of [x, y]"),
        (shape("polygon", corners((1, 1, 9, 9)), label=None), "The 'label' of shape 0 of photo00.json must be a text"),
        (shape("polygon", corners((1, 1, 9, 9)), label="dog:"), "has the label 'dog:'"),
        (shape("polygon", corners((1, 1, 9, 9)), group_id=[1]), "The group_id of shape 0 of photo00.json is [1]"),
        (shape("mask", [[1, 1], [4, 4]], mask=None), "The 'mask' of shape 0 of photo00.json must be a PNG in base64"),
        ("a text", "The 'label' of shape 0 of photo00.json must be a text"),
    ],
)
def test_what_is_wrong_is_named(entry, message, tmp_path):
    good = shape("polygon", corners((1, 1, 9, 9)))
    assert message in problems(one(tmp_path, entry, good), "labelme")


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (base64_png(np.ones((3, 3), bool)), "is 3 x 3 pixels, but its two points span 4 x 4, both included"),
        ("%%%", "Not base64: the mask of shape 0"),
        ("aGVsbG8=", "is not a whole mask"),
    ],
)
def test_a_mask_that_does_not_fit_is_named_when_it_is_decoded(mask, message, tmp_path):
    image = read(one(tmp_path, shape("mask", [[1, 1], [4, 4]], mask=mask))).images[0]
    with pytest.raises(DatasetError, match=message):
        masks(image)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ('{"shapes": 1, "imagePath": "photo00.png"}', "'shapes' of photo00.json must be a list"),
        ('{"shapes": [], "imagePath": 3}', "'imagePath' of photo00.json is 3"),
        ('{"shapes": [], "imagePath": "none.png"}', "names the image 'none.png'"),
        ('{"shapes": [], "imagePath": "none.png", "imageData": "%"}', "Not base64: 'imageData' of photo00.json"),
        ("[" * 100_000, "is not valid JSON"),
    ],
)
def test_a_broken_file_is_named(text, message, tmp_path):
    one(tmp_path, shape("polygon", corners((1, 1, 9, 9))))
    (tmp_path / "photo00.json").write_text(text)
    write_labelme(tmp_path / "other", 1)
    assert message in problems(tmp_path, "labelme")


def test_two_files_for_an_image_are_refused(tmp_path):
    one(tmp_path, shape("polygon", corners((1, 1, 9, 9))))
    (tmp_path / "copy.json").write_text((tmp_path / "photo00.json").read_text())
    assert "copy.json and photo00.json are both labels of the image photo00.png" in problems(tmp_path, "labelme")


def test_a_folder_without_such_files_is_refused(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([1, 2]))
    with pytest.raises(DatasetError, match="holds no JSON file of LabelMe"):
        READERS["labelme"].read(Source(str(tmp_path)))


def test_labels_of_a_turned_photograph_are_for_the_upright_one(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg", exif=exif)
    save_labelme(tmp_path / "a.json", [shape("polygon", corners((1, 1, 9, 9)))], "a.jpg", size=(64, 48))
    assert read(tmp_path).images[0].stated_size == (64, 48)
