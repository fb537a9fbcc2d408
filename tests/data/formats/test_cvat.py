"""CVAT's XML, beyond what every format has in common."""

import numpy as np
import pytest

from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.registry import READERS
from ovparts_hf.errors import DatasetError

from ..labelled import SIZE, write_images
from .reading import boxes, masks, problems, read
from .writers import cvat_file, cvat_image, write_cvat


def one(tmp_path, *shapes, count=1):
    write_images(tmp_path, count)
    images = [cvat_image(number, shapes if number == 0 else []) for number in range(count)]
    (tmp_path / "annotations.xml").write_text(cvat_file(images), encoding="utf-8")
    return tmp_path


def box(label, left, top, right, bottom, **more):
    return "box", {"label": label, "xtl": left, "ytl": top, "xbr": right, "ybr": bottom} | more


def test_a_higher_level_is_painted_later_than_its_place_in_the_file(tmp_path):
    shapes = [
        box("dog:a", 0, 0, 9, 9, z_order=2),
        box("dog:b", 0, 0, 9, 9, z_order=-1),
        box("dog:c", 0, 0, 9, 9, z_order=2),
    ]
    found = read(one(tmp_path, *shapes, box("dog:d", 0, 0, 9, 9))).images[0]
    assert [annotation.part_name for annotation in found.annotations] == ["b", "d", "a", "c"]


def test_turned_boxes_and_ellipses(tmp_path):
    ellipse = {"label": "dog:leg", "cx": 32, "cy": 24, "rx": 20, "ry": 10, "rotation": 90}
    found = masks(read(one(tmp_path, box("dog:ear", 10, 20, 20, 24, rotation=90), ("ellipse", ellipse))).images[0])
    rows, columns = np.nonzero(found["dog's ear"])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (17, 26, 13, 16)
    rows, columns = np.nonzero(found["dog's leg"])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 43, 22, 41)


def test_groups_are_objects_and_0_is_none(tmp_path):
    shapes = [box("dog:ear", 0, 0, 4, 4, group_id=group) for group in (1, 1, 10, 0)]
    first, second, tenth, none = (
        read(one(tmp_path, *shapes, box("bus:wheel", 1, 1, 4, 4, group_id=1))).images[0].annotations[:4]
    )
    assert first.instance == second.instance != tenth.instance and none.instance is None


def test_classes_come_in_the_order_of_the_task(tmp_path):
    assert read(one(tmp_path, box("bus:door", 0, 0, 4, 4))).classes == [
        ("dog", "head"),
        ("dog", "tail"),
        ("bus", "wheel"),
        ("bus", "door"),
    ]


def test_splits_are_subsets_or_folders(tmp_path):
    write_images(tmp_path, 3)
    images = [cvat_image(number, [box("dog:ear", 0, 0, 4, 4)]) for number in range(3)]
    for (about, _), subset in zip(images, ("train", "Validation", "default")):
        about["subset"] = subset
    (tmp_path / "annotations.xml").write_text(cvat_file(images))
    assert [image.split for image in read(tmp_path).images] == ["train", "validation", None]


def test_images_without_shapes_are_kept_and_shapes_without_area_counted(tmp_path):
    line = "polyline", {"label": "dog:ear", "points": "1,1;2,2"}
    tag = "tag", {"label": "dog"}
    found = read(one(tmp_path, box("dog:ear", 0, 0, 4, 4), line, line, tag, count=2))
    assert [len(image.annotations) for image in found.images] == [1, 0]
    assert "Left out: 2 shapes of type 'polyline', without an area." in found.notes
    assert "Left out: 1 shape of type 'tag', without an area." in found.notes


def test_names_may_hold_folders(tmp_path):
    for folder in ("a", "b"):
        write_images(tmp_path / "images" / folder, 1)
    images = [cvat_image(number, [box("dog:ear", 0, 0, 4, 4 + number)]) for number in range(2)]
    images[0][0]["name"], images[1][0]["name"] = "b/photo00.png", "a/photo00.png"
    (tmp_path / "annotations.xml").write_text(cvat_file(images))
    found = read(tmp_path).images
    assert [image.image.name for image in found] == ["images/b/photo00.png", "images/a/photo00.png"]
    assert found[0].image_id != found[1].image_id and boxes(found[1]) == {"dog's ear": (0, 0, 4, 5)}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            ("polygon", {"label": "dog:ear", "points": "1,1;2"}),
            "'points' of polygon 0 of image 0 of annotations.xml is '1,1;2'",
        ),
        (("polygon", {"label": "dog:ear", "points": "1,1;2,x;3,3"}), "A point of polygon 0 of image 0"),
        (("mask", {"label": "dog:ear", "rle": "1", "left": 0, "top": 0, "width": 3, "height": 3}), "do not add up"),
        (
            ("mask", {"label": "dog:ear", "rle": "9", "left": 0.5, "top": 0, "width": 3, "height": 3}),
            "'left' of mask 0",
        ),
        (("mask", {"label": "dog:ear", "rle": "9", "top": 0, "width": 3, "height": 3}), "'left' of mask 0 of image 0"),
        (("box", {"label": "dog:ear", "xtl": 1, "ytl": 1, "xbr": "inf", "ybr": 3}), "'xbr' of box 0"),
        (("ellipse", {"label": "dog:ear", "cx": 1, "cy": 1, "rx": 1}), "'ry' of ellipse 0"),
        (box("dog:ear", 1, 1, 4, 4, z_order="x"), "'z_order' of box 0"),
        (box("", 1, 1, 4, 4), "has the label ''"),
    ],
)
def test_what_is_wrong_is_named(shape, message, tmp_path):
    assert message in problems(one(tmp_path, shape, box("dog:leg", 1, 1, 4, 4)), "cvat")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations><image", "is not valid XML"),
        ("", "is not valid XML"),
        ("<a/>", "is <a>, not <annotations>"),
        ("<annotations><track/><image/></annotations>", 'Export the task as "CVAT for images 1.1"'),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>', "has a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "has a document type"),
        (
            "<annotations><image id='3' name='no.png'/></annotations>",
            "image 3 of annotations.xml names the image 'no.png'",
        ),
        ("<annotations><image id='3'/></annotations>", "image 3 of annotations.xml names the image ''"),
        ("<annotations><image id='3' name='../a.png'/></annotations>", "leads out of"),
        ("<annotations>&nothing;</annotations>", "is not valid XML"),
        ('<?xml version="1.0" encoding="nonsense"?><annotations/>', "is not valid XML"),
    ],
)
def test_a_file_with_a_fault_is_named(text, message, tmp_path):
    write_images(tmp_path, 1)
    (tmp_path / "annotations.xml").write_text(text)
    assert message in problems(tmp_path, "cvat")


def test_entities_that_grow_are_never_expanded(tmp_path):
    entities = '<!ENTITY a0 "x">' + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    (tmp_path / "annotations.xml").write_text(
        f"<!DOCTYPE a [{entities}]><annotations><image name='&a11;'/></annotations>"
    )
    assert "has a document type" in problems(tmp_path, "cvat")


def test_a_file_of_another_encoding(tmp_path):
    write_cvat(tmp_path, 1)
    path = tmp_path / "annotations.xml"
    path.write_bytes(path.read_text().replace("utf-8", "utf-16").encode("utf-16"))
    assert len(READERS["cvat"].read(Source(str(tmp_path))).images) == 1


def test_a_folder_without_images_in_its_xml_is_refused(tmp_path):
    (tmp_path / "annotations.xml").write_text("<annotations/>")
    with pytest.raises(DatasetError, match="holds no XML of CVAT with images"):
        READERS["cvat"].read(Source(str(tmp_path)))


def test_the_size_that_is_stated(tmp_path):
    write_cvat(tmp_path, 2)
    assert {image.stated_size for image in read(tmp_path).images} == {SIZE}
