"""YOLO's labels, beyond what every format has in common."""

import pytest
import yaml

from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.registry import READERS, find_reader
from ovparts_hf.errors import DatasetError
from ovparts_hf.taxonomy import PartTaxonomy

from ..labelled import PARTS, boxes_of, write_images
from .reading import boxes, problems, read
from .writers import colon, write_yolo, yolo_line

NAMES = [colon(name) for name in PARTS]


def labels(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        lines = [yolo_line(PARTS.index(name), box) for name, box in boxes_of(number).items()]
        (folder / f"photo{number:02d}.txt").write_text("\n".join(lines))


def save_yaml(folder, **content):
    (folder / "data.yaml").write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("images", "texts"),
    [("images/{}", "labels/{}"), ("{}/images", "{}/labels"), ("{}", "{}"), ("data/images/{}", "data/labels/{}")],
)
def test_labels_lie_where_tools_put_them(images, texts, tmp_path):
    for split in ("train", "valid"):
        write_images(tmp_path / images.format(split), 3)
        labels(tmp_path / texts.format(split), 3)
    save_yaml(tmp_path, train="../train/images", names=NAMES)
    found = read(tmp_path)
    assert [image.split for image in found.images] == ["train"] * 3 + ["validation"] * 3
    for number, image in enumerate(found.images):
        assert boxes(image) == boxes_of(number % 3)


def test_the_yaml_file_says_which_folder_or_list_is_which_split(tmp_path):
    write_images(tmp_path / "images" / "one", 2)
    write_images(tmp_path / "images" / "two", 2)
    labels(tmp_path / "labels" / "one", 2)
    labels(tmp_path / "labels" / "two", 2)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "check.txt").write_text("./images/two/photo00.png\n/home/me/data/images/two/photo01.png\n")
    save_yaml(tmp_path, path=".", train=["images/one"], val="lists/check.txt", names=NAMES)
    assert [image.split for image in read(tmp_path).images] == ["train", "train", "validation", "validation"]


def test_images_in_both_splits_are_in_none(tmp_path):
    write_yolo(tmp_path, 2)
    save_yaml(tmp_path, train="images", val="images", names=NAMES)
    found = read(tmp_path)
    assert [image.split for image in found.images] == [None, None]
    assert "The YAML file has 2 images in several splits, which does not count." in found.notes


def test_a_list_that_is_missing_is_named(tmp_path):
    write_yolo(tmp_path, 2)
    save_yaml(tmp_path, train="train.txt", names=NAMES)
    assert "'train' of the YAML file is 'train.txt', which is not in" in problems(tmp_path, "yolo")


@pytest.mark.parametrize("names", [dict(enumerate(NAMES)), NAMES, {1: "x", 0: NAMES[0], 2: NAMES[2], 3: NAMES[3]}])
def test_names_are_a_list_or_numbered(names, tmp_path):
    write_yolo(tmp_path, 1)
    save_yaml(tmp_path, names=names)
    assert boxes(read(tmp_path).images[0])["dog's head"] == boxes_of(0)["dog's head"]


def test_classes_txt_names_the_classes_where_there_is_no_yaml_file(tmp_path):
    write_yolo(tmp_path, 2)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("\n".join(NAMES) + "\n")
    assert find_reader(Source(str(tmp_path))).name == "yolo"
    assert boxes(read(tmp_path).images[1]) == boxes_of(1)


def test_labels_beside_images_are_recognised(tmp_path):
    write_images(tmp_path, 2)
    labels(tmp_path, 2)
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    assert find_reader(Source(str(tmp_path))).name == "yolo"
    assert [boxes(image) for image in read(tmp_path).images] == [boxes_of(0), boxes_of(1)]


def test_names_from_a_file_or_a_taxonomy(tmp_path):
    write_yolo(tmp_path / "data", 2)
    (tmp_path / "data" / "data.yaml").unlink()
    (tmp_path / "names.json").write_text('["dog:a", "dog:b", "bus:c", "bus:d"]')
    found = read(tmp_path / "data", "yolo", names=tmp_path / "names.json").images[1]
    assert {annotation.class_name for annotation in found.annotations} == {
        ("dog", "a"),
        ("dog", "b"),
        ("bus", "c"),
        ("bus", "d"),
    }
    taxonomy = PartTaxonomy.from_part_classes(PARTS)
    assert boxes(read(tmp_path / "data", "yolo", taxonomy=taxonomy).images[1]) == boxes_of(1)
    with pytest.raises(DatasetError, match="Nothing names the classes in"):
        READERS["yolo"].read(Source(str(tmp_path / "data")))


def test_several_polygons_and_images_without_labels(tmp_path):
    write_images(tmp_path / "images", 3)
    (tmp_path / "labels").mkdir()
    text = yolo_line(0, (1, 1, 5, 5)) + "\n\n" + yolo_line(0, (11, 1, 15, 5)) + "\n"
    (tmp_path / "labels" / "photo00.txt").write_text(text)
    (tmp_path / "labels" / "photo01.txt").write_text("")
    save_yaml(tmp_path, names=NAMES)
    assert [len(image.annotations) for image in read(tmp_path).images] == [2, 0, 0]


def test_upper_case_and_nested_folders(tmp_path):
    write_images(tmp_path / "Images" / "a" / "images", 1, ".PNG")
    labels(tmp_path / "Images" / "a" / "labels", 1)
    save_yaml(tmp_path, names=NAMES)
    assert boxes(read(tmp_path).images[0]) == boxes_of(0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("4 0 0 1 0 1 1", "The class in line 1 of labels/photo00.txt is '4'; the names are numbered from 0 to 3."),
        ("dog 0 0 1 0 1 1", "The class in line 1 of labels/photo00.txt is 'dog'"),
        ("0 0.5 0.5 0.1 0.1", "There is a box in line 1 of labels/photo00.txt, not a polygon"),
        ("0 0 0 1 0 1", "There are 5 numbers in line 1 of labels/photo00.txt"),
        ("0 0 0 1 0", "There is a box in line 1"),
        ("0 0 0 1 0 1 1 1", "There are 7 numbers in line 1"),
        ("0", "There are 0 numbers in line 1"),
        ("0 0 0 1 0 1 x", "A point of line 1 of labels/photo00.txt is 'x'; it must be a finite number"),
        ("0 0 0 1 nan 1 1", "is 'nan'; it must be a finite number"),
        ("0 10 20 30 20 30 40", "A point of line 1 of labels/photo00.txt is 40.0; points are shares of the image"),
    ],
)
def test_what_is_wrong_is_named(line, message, tmp_path):
    write_yolo(tmp_path, 2)
    (tmp_path / "labels" / "photo00.txt").write_text(line)
    assert message in problems(tmp_path, "yolo")


def test_labels_without_their_image_are_named(tmp_path):
    write_yolo(tmp_path, 2)
    (tmp_path / "images" / "photo01.png").unlink()
    assert problems(tmp_path, "yolo") == "labels/photo01.txt has no image of its name."


def test_labels_that_are_no_text_are_named(tmp_path):
    write_yolo(tmp_path, 2)
    (tmp_path / "labels" / "photo01.txt").write_bytes(b"\xff\xfe\x00")
    assert "labels/photo01.txt cannot be read" in problems(tmp_path, "yolo")


BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(24)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [a, [b]]", "'names' of data.yaml must be a list of names"),
        ("names: {dog: 1}", "'names' of data.yaml must be a list of names"),
        ("names: []", "'names' of data.yaml must be a list of names"),
        ("names: dog", "'names' of data.yaml must be a list of names"),
        ("names: [", "data.yaml is not valid YAML"),
        ("names: !!python/object/apply:os.system [echo]", "data.yaml is not valid YAML"),
        (BOMB + "names: *y", "'names' of data.yaml must be a list of names"),
        ("names: [a]\n" + "#" * 2**20, "data.yaml is larger than 1,048,576 bytes"),
    ],
)
def test_a_yaml_file_with_a_fault_is_refused(text, message, tmp_path):
    write_yolo(tmp_path, 1)
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DatasetError, match=message):
        READERS["yolo"].read(Source(str(tmp_path)))


def test_numbers_of_names_may_be_in_quotes(tmp_path):
    write_yolo(tmp_path, 2)
    (tmp_path / "data.yaml").write_text("names:\n" + "".join(f"  '{i}': {name}\n" for i, name in enumerate(NAMES)))
    assert [boxes(image) for image in read(tmp_path).images] == [boxes_of(0), boxes_of(1)]
