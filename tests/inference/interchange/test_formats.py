"""Masks written in the formats of other tools, and read again by their rules."""

import json
import sys
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco_mask

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.interchange.cvat import CvatFile
from ovparts_hf.inference.interchange.formats import FORMATS
from ovparts_hf.inference.interchange.label_studio import LabelStudioFile, brush_bytes
from ovparts_hf.inference.result import PartSegmentation
from ovparts_hf.inference.visualization import hex_colors

CLASSES = ("dog's head", "dog's ear", "a <red> & \x01door")
LABEL_MAPS = arrays(np.int16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-1, 2))


def segmentation(label_map):
    label_map = np.asarray(label_map, dtype=np.int16)
    image = Image.new("RGB", label_map.shape[::-1])
    return PartSegmentation(image, label_map, CLASSES, np.array([0.9, 0.5, 0.25], np.float32))


PIECES = segmentation([[0, 0, -1, 0], [1, -1, -1, 0], [2, 2, -1, -1]])


def decode_cvat(mask, size):
    """Runs go row by row through the box, outside first."""
    left, top, width, height = (int(mask.get(name)) for name in ("left", "top", "width", "height"))
    lengths = [int(length) for length in mask.get("rle").split(",")]
    assert sum(lengths) == width * height
    values = np.repeat(np.arange(len(lengths)) % 2, lengths)
    decoded = np.zeros(size, dtype=bool)
    decoded[top : top + height, left : left + width] = values.reshape(height, width)
    return decoded


def decode_brush(data, size):
    """The alpha channel of a stream of runs."""
    bits = "".join(f"{byte:08b}" for byte in data)
    position = 0

    def read(count):
        nonlocal position
        position += count
        return int(bits[position - count : position], 2)

    total, value_bits = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values = []
    while len(values) < total:
        is_run, length = read(1), read(sizes[read(2)]) + 1
        values += [read(value_bits)] * length if is_run else [read(value_bits) for _ in range(length)]
    assert len(values) == total and set(bits[position:]) <= {"0"} and len(bits) - position < 8
    return np.array(values).reshape(*size, 4)[..., 3] == 255


@given(LABEL_MAPS)
def test_coco_decodes_to_the_mask(label_map):
    result = segmentation(label_map)
    annotations = result.to_coco()
    assert len(annotations) == len(result.instances())
    for annotation, instance in zip(annotations, result.instances()):
        expected = coco_mask.encode(np.asfortranarray(instance.mask, dtype=np.uint8))
        assert annotation["segmentation"]["counts"].encode() == expected["counts"]
        assert annotation["bbox"] == coco_mask.toBbox(expected).tolist()
        np.testing.assert_array_equal(coco_mask.decode(annotation["segmentation"]), instance.mask)


@given(LABEL_MAPS)
def test_cvat_decodes_to_the_mask(label_map):
    result = segmentation(label_map)
    file = CvatFile()
    file.add(result, "a.jpg", result.instances())
    masks = ElementTree.fromstring(file.files()["cvat.xml"].encode()).findall("image/mask")
    assert len(masks) == len(result.instances())
    for mask, instance in zip(masks, result.instances()):
        np.testing.assert_array_equal(decode_cvat(mask, label_map.shape), instance.mask)


@given(LABEL_MAPS)
def test_label_studio_decodes_to_the_mask(label_map):
    for instance in segmentation(label_map).instances():
        np.testing.assert_array_equal(decode_brush(brush_bytes(instance), label_map.shape), instance.mask)


def test_long_runs_are_cut_as_the_brush_demands():
    label_map = np.full((300, 700), -1)
    label_map[20:280, 5:] = 0
    [instance] = segmentation(label_map).instances()
    np.testing.assert_array_equal(decode_brush(brush_bytes(instance), label_map.shape), instance.mask)


def test_cvat_gets_names_scores_groups_and_labels():
    file = CvatFile()
    for name in ("a.jpg", "dir/b.jpg"):
        file.add(PIECES, name, PIECES.instances())
    document = ElementTree.fromstring(file.files()["cvat.xml"].encode())
    assert document.find("version").text == "1.1"
    assert [(image.get("id"), image.get("name")) for image in document.iter("image")] == [
        ("0", "a.jpg"),
        ("1", "dir/b.jpg"),
    ]
    masks = [[(m.get("label"), m.get("group_id")) for m in image.iter("mask")] for image in document.iter("image")]
    door = "a <red> & \N{REPLACEMENT CHARACTER}door"
    assert masks[0] == [("dog's head", "1"), ("dog's head", "2"), ("dog's ear", "1"), (door, None)]
    assert [group for _, group in masks[1]] == ["3", "4", "3", None]
    assert document.find("image/mask/attribute[@name='score']").text == "0.900000"
    labels = json.loads(file.files()["cvat_labels.json"])
    assert [label["color"] for label in labels] == hex_colors(CLASSES)
    assert {label["name"] for label in labels} == {label for label, _ in masks[0]}


def test_label_studio_gets_tasks_and_an_interface():
    file = LabelStudioFile()
    for name in ("a b%.jpg", "c.jpg"):
        file.add(PIECES, name, PIECES.instances())
    tasks = json.loads(file.files()["labelstudio.json"])
    assert [unquote(task["data"]["image"].split("?d=")[1]) for task in tasks] == ["a b%.jpg", "c.jpg"]
    [prediction] = tasks[0]["predictions"]
    regions = prediction["result"]
    labels = [label for region in regions for label in region["value"]["brushlabels"]]
    assert labels[:3] == ["dog's head", "dog's head", "dog's ear"] and len(labels) == 4
    assert len({region["id"] for region in regions}) == 4
    assert all((each["original_width"], each["original_height"]) == (4, 3) for each in regions)
    assert {each["type"] for each in regions} == {"brushlabels"}
    view = ElementTree.fromstring(file.files()["labelstudio_interface.xml"].encode())
    assert {view.find("Image").get("name")} == {each["to_name"] for each in regions}
    assert {view.find("BrushLabels").get("name")} == {each["from_name"] for each in regions}
    assert {label.get("value") for label in view.iter("Label")} == set(labels)


@pytest.mark.parametrize("name", FORMATS)
def test_names_of_files_need_not_be_text(name):
    file = FORMATS[name]()
    file.add(PIECES, "\udcff 犬.png", PIECES.instances())
    assert all(text.encode("utf-8") for text in file.files().values()) and file.files()


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_that_found_nothing_is_a_whole_file_too(name):
    nothing = segmentation([[-1, -1]])
    file = FORMATS[name]()
    file.add(nothing, "a.jpg", nothing.instances())
    assert all(file.files().values()) and file.files()


def test_supervision_gets_one_detection_for_each_instance():
    supervision = pytest.importorskip("supervision")
    detections = PIECES.to_supervision()
    instances = PIECES.instances()
    assert isinstance(detections, supervision.Detections) and len(detections) == len(instances) == 4
    for number, instance in enumerate(instances):
        np.testing.assert_array_equal(detections.mask[number], instance.mask)
        assert tuple(detections.xyxy[number]) == instance.box
        assert detections.data["class_name"][number] == instance.label
    assert detections.data["object_id"].tolist() == [0, 1, 0, -1]
    assert len(segmentation([[-1]]).to_supervision()) == 0


def test_without_supervision_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ConfigurationError, match=r'pip install "ovparts_hf\[supervision\]"'):
        PIECES.to_supervision()
