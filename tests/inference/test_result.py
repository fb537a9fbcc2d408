"""What can be done with the parts of an image."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.result import PartSegmentation, coco_dataset
from ovparts_hf.inference.visualization import class_colors

CLASSES = ("dog's head", "dog's ear", "dog's tail")


def segmentation(label_map=None, classes=CLASSES, scores=None):
    if label_map is None:
        label_map = np.full((6, 8), -1)
        label_map[1:3, 2:5] = 0
        label_map[4, 7] = 2
    label_map = np.asarray(label_map, dtype=np.int16)
    scores = np.linspace(0.9, 0.1, len(classes), dtype=np.float32) if scores is None else scores
    image = Image.new("RGB", label_map.shape[::-1], (10, 20, 30))
    return PartSegmentation(image, label_map, tuple(classes), scores)


def test_masks_and_areas_say_what_the_label_map_says():
    result = segmentation()
    assert result.found == ("dog's head", "dog's tail")
    assert result.areas() == {"dog's head": 6, "dog's ear": 0, "dog's tail": 1}
    assert list(result.masks()) == ["dog's head", "dog's tail"]
    assert np.argwhere(result.mask("dog's tail")).tolist() == [[4, 7]]
    assert not result.mask("dog's ear").any()


def test_an_unknown_class_is_refused():
    with pytest.raises(ConfigurationError, match="'cat' is no class of this result; its classes are"):
        segmentation().mask("cat")
    with pytest.raises(ConfigurationError, match=r"\['cat'\] are no classes of this result"):
        segmentation().overlay(only=["cat"])


@given(arrays(np.int16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-1, 2)))
def test_run_lengths_are_those_of_pycocotools(label_map):
    result = segmentation(label_map)
    annotations = result.to_coco(image_id=7, first_id=30, by="class")
    assert [each["id"] for each in annotations] == list(range(30, 30 + len(annotations)))
    assert [each["category"] for each in annotations] == list(result.found)
    for each in annotations:
        mask = label_map == each["category_id"] - 1
        expected = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        assert each["segmentation"]["counts"].encode() == expected["counts"]
        assert each["bbox"] == coco_mask.toBbox(expected).tolist()
        assert each["area"] == mask.sum()
        assert each["image_id"] == 7


def read_coco(data):
    reader = COCO()
    reader.dataset = json.loads(json.dumps(data))
    reader.createIndex()
    return reader


def test_several_results_make_one_file_of_coco():
    results = [segmentation(), segmentation(np.full((4, 5), 1)), segmentation(np.full((2, 2), -1))]
    reader = read_coco(coco_dataset(results, ["a.jpg", "b.jpg", "c.jpg"]))
    assert sorted(reader.anns) == [1, 2, 3] and sorted(reader.imgs) == [1, 2, 3]
    assert reader.cats == {i: {"id": i, "name": name} for i, name in enumerate(CLASSES, start=1)}
    assert reader.imgs[2] == {"id": 2, "file_name": "b.jpg", "width": 5, "height": 4}
    for number, result in enumerate(results, start=1):
        found = {reader.cats[each["category_id"]]["name"]: each for each in reader.imgToAnns[number]}
        assert set(found) == set(result.found)
        for name, annotation in found.items():
            np.testing.assert_array_equal(reader.annToMask(annotation), result.mask(name))


def test_ids_of_annotations_stay_apart_when_classes_are_in_pieces():
    pieces = segmentation([[0, -1, 0], [-1, -1, -1], [1, -1, 2]])
    dataset = coco_dataset([pieces, pieces], ["a.jpg", "b.jpg"])
    assert [each["id"] for each in dataset["annotations"]] == list(range(1, 9))
    assert [each["image_id"] for each in dataset["annotations"]] == [1] * 4 + [2] * 4
    by_class = coco_dataset([pieces, pieces], ["a.jpg", "b.jpg"], by="class")
    assert [each["category"] for each in by_class["annotations"]] == [*CLASSES, *CLASSES]


def test_the_json_of_a_result_is_a_file_of_coco():
    result = segmentation()
    reader = read_coco(result.to_json())
    assert len(reader.imgs) == 1 and len(reader.cats) == 3
    assert [reader.cats[each["category_id"]]["name"] for each in reader.anns.values()] == list(result.found)
    np.testing.assert_array_equal(reader.annToMask(reader.anns[1]), result.mask("dog's head"))


def test_files_of_coco_name_the_images_of_their_results():
    named = replace(segmentation(), file_name="a.jpg")
    assert [image["file_name"] for image in coco_dataset([named, segmentation()])["images"]] == ["a.jpg", ""]
    assert named.to_json()["images"][0]["file_name"] == "a.jpg"


@pytest.mark.parametrize(
    ("results", "names"), [([segmentation(), segmentation(classes=CLASSES[::-1])], None), ([segmentation()], [])]
)
def test_what_makes_no_file_of_coco_is_refused(results, names):
    with pytest.raises(ConfigurationError, match="has no file name|has other classes"):
        coco_dataset(results, names)


def test_json_lists_every_class_and_survives_a_round_trip():
    result = segmentation()
    data = json.loads(json.dumps(result.to_json()))
    assert (data["height"], data["width"]) == (6, 8)
    assert [(each["id"], each["name"], each["area"]) for each in data["classes"]] == [
        (0, "dog's head", 6),
        (1, "dog's ear", 0),
        (2, "dog's tail", 1),
    ]
    assert data["classes"][0]["score"] == pytest.approx(0.9)
    red, green, blue = class_colors(CLASSES)[0].tolist()
    assert data["classes"][0]["color"] == f"#{red:02x}{green:02x}{blue:02x}"
    assert len(data["annotations"]) == 2


def test_label_images_keep_every_id():
    assert np.asarray(segmentation().label_image())[[0, 1, 4], [0, 2, 7]].tolist() == [255, 0, 2]
    many = [f"thing's part {i}" for i in range(256)]
    wide = segmentation([[255, -1, 0]], many).label_image()
    assert wide.mode == "I;16"
    assert np.asarray(wide).tolist() == [[255, 65535, 0]]


def test_only_chosen_classes_are_painted():
    result = segmentation()
    size = 8 * 40, 6 * 40
    everything = np.asarray(result.overlay(legend=False).resize(size))
    one = np.asarray(result.overlay(legend=False, only=["dog's tail"]).resize(size))
    plain = np.asarray(result.overlay(legend=False, only=[]).resize(size))
    inside = np.s_[1 * 40 + 10 : 3 * 40 - 10, 2 * 40 + 10 : 5 * 40 - 10]
    assert (one[inside] == plain[inside]).all()
    assert (everything[inside] != plain[inside]).any()
    assert (one != plain).any()


def test_overlays_of_large_images_are_shrunk():
    label_map = np.full((600, 900), -1)
    label_map[:300] = 0
    result = segmentation(label_map)
    small = result.overlay(legend=False, longest_edge=450)
    assert small.size == (450, 300)
    painted = np.asarray(small) != (10, 20, 30)
    assert painted[:150].any(-1).all() and not painted[152:].any()
    assert result.overlay(legend=False, longest_edge=None).size == (900, 600)


def test_classes_that_shrinking_removes_stay_in_the_legend():
    label_map = np.zeros((600, 900), dtype=int)
    label_map[1, 1] = 2
    result = segmentation(label_map)
    assert result.shrunk(90).found == ("dog's head",)
    heights = [result.overlay(longest_edge=90, only=only).height for only in (None, ["dog's head"], [])]
    assert heights[0] >= heights[1] > heights[2]
    listed = np.asarray(result.overlay(longest_edge=90))[240:].reshape(-1, 3).tolist()
    assert class_colors(CLASSES)[2].tolist() in listed


def test_shrinking_keeps_labels_and_small_images():
    label_map = np.full((10, 4096), 0)
    label_map[:, 2048:] = -1
    result = segmentation(label_map)
    assert result.shrunk(4096) is result
    small = result.shrunk(2048)
    assert small.image.size == (2048, 5)
    assert small.areas() == {"dog's head": 1024 * 5, "dog's ear": 0, "dog's tail": 0}
    assert small.label_map.dtype == np.int16


def test_saving_leaves_other_files_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    result = segmentation()
    assert result.save(tmp_path) == tmp_path
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "label_map.png", "overlay.png", "parts.json"}
    assert json.loads((tmp_path / "parts.json").read_text()) == result.to_json()
    assert (np.asarray(Image.open(tmp_path / "label_map.png")) == np.asarray(result.label_image())).all()
    result.save(tmp_path / "new", overlay=False, details=False)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["label_map.png"]


def test_files_of_two_results_never_lie_together(tmp_path, monkeypatch):
    segmentation().save(tmp_path)
    segmentation([[0]]).save(tmp_path, overlay=False)
    assert {path.name for path in tmp_path.iterdir()} == {"label_map.png", "parts.json"}
    assert json.loads((tmp_path / "parts.json").read_text())["classes"][0]["area"] == 1
    monkeypatch.setattr(PartSegmentation, "overlay", lambda self, **options: 1 / 0)  # an interruption
    with pytest.raises(ZeroDivisionError):
        segmentation().save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"label_map.png"}


def test_a_result_says_in_a_line_what_was_found():
    assert repr(segmentation()) == ("PartSegmentation(8 x 6, 2 of 3 parts found: dog's head 12.5 %, dog's tail 2.1 %)")
    assert repr(segmentation(np.full((2, 2), -1))) == "PartSegmentation(2 x 2, 0 of 3 parts found)"
    many = segmentation([range(7)], [f"thing's part {i}" for i in range(7)])
    assert repr(many).endswith(", ...)") and len(repr(many)) < 200


def test_notebooks_show_the_overlay():
    shown = Image.open(io.BytesIO(segmentation()._repr_png_()))
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(segmentation().overlay()))


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1)])
def test_overlays_of_very_thin_images(shape):
    small = segmentation(np.zeros(shape, dtype=int)).overlay(legend=False, longest_edge=100)
    assert sorted(small.size)[0] >= 1 and max(small.size) >= 100
