"""Parts one by one."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from ovparts_hf import PartSegmenter
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.instances import GROUPINGS
from ovparts_hf.inference.objects import ObjectMask
from ovparts_hf.inference.result import PartSegmentation

from .test_polygons import fill

CLASSES = ("dog's head", "dog's body", "cat's head", "red door")


def segmentation(label_map, objects=None, classes=CLASSES):
    label_map = np.asarray(label_map, dtype=np.int16)
    scores = np.linspace(0.9, 0.6, len(classes), dtype=np.float32)
    image = Image.new("RGB", label_map.shape[::-1])
    return PartSegmentation(image, label_map, classes, scores, objects=objects)


TWO_DOGS = [
    [0, 0, -1, -1, -1, -1, -1, -1],
    [-1, 1, 1, -1, -1, 0, 0, -1],
    [-1, 1, 1, -1, -1, 1, 1, 1],
]


def test_two_dogs_are_two_dogs():
    found = segmentation(TWO_DOGS).instances()
    assert [(each.label, each.object_name, each.object_id, each.box, each.area) for each in found] == [
        ("dog's head", "dog", 0, (0, 0, 2, 1), 2),
        ("dog's head", "dog", 1, (5, 1, 7, 2), 2),
        ("dog's body", "dog", 0, (1, 1, 3, 3), 4),
        ("dog's body", "dog", 1, (5, 2, 8, 3), 3),
    ]
    assert [each.score for each in found] == pytest.approx([0.9, 0.9, 0.8, 0.8])


def test_each_instance_has_a_score_of_its_own_where_pixels_have():
    score_map = np.zeros((3, 8), dtype=np.float16)
    score_map[0, :2], score_map[1, 5:7] = (0.5, 1.0), 0.25
    result = replace(segmentation(TWO_DOGS), score_map=score_map)
    assert [each.score for each in result.instances() if each.label == "dog's head"] == [0.75, 0.25]
    assert [each["score"] for each in result.to_coco(by="class")] == pytest.approx([0.9, 0.8])
    assert result.shrunk(4).score_map.shape == result.shrunk(4).label_map.shape


def test_masks_tell_dogs_apart_that_touch():
    left = np.zeros((3, 4), dtype=bool)
    left[:, :2] = True
    dogs = (ObjectMask("dog", left), ObjectMask("dog", ~left))
    label_map = [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 2]]
    for by, heads in {"component": [(0, 2), (0, 1), (1, 2)], "object": [(0, 3), (1, 2)], "class": [(None, 5)]}.items():
        found = segmentation(label_map, dogs).instances(by)
        assert [(each.object_id, each.area) for each in found if each.label == "dog's head"] == heads
        [cat] = [each for each in found if each.label == "cat's head"]
        assert cat.object_name == "cat" and cat.object_id is None  # no cat was given


def test_overlapping_objects_share_nothing():
    everything = np.ones((2, 2), dtype=bool)
    dogs = (ObjectMask("cat", everything), ObjectMask("dog", everything), ObjectMask("dog", everything))
    found = segmentation([[0, 0], [2, 2]], dogs).instances("object")
    assert [(each.label, each.object_id, each.area) for each in found] == [("dog's head", 1, 2), ("cat's head", 0, 2)]


def test_free_text_belongs_to_no_object():
    found = segmentation([[3, -1, 3]]).instances()
    assert [(each.object_name, each.object_id, each.area) for each in found] == [(None, None, 1), (None, None, 1)]
    assert [each.area for each in segmentation([[3, -1, 3]]).instances("object")] == [2]


def test_specks_can_be_left_out():
    result = segmentation([[0, -1, 0, 0], [-1, -1, -1, -1]])
    assert [each.area for each in result.instances(min_area=2)] == [2]
    assert len(result.to_coco(min_area=2)) == 1 and len(result.to_geojson(min_area=2)["features"]) == 1


@given(
    arrays(np.int16, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(-1, 3)),
    st.sampled_from(GROUPINGS),
)
def test_instances_cover_each_part_once(label_map, by):
    found = segmentation(label_map).instances(by)
    for class_id in range(4):
        masks = [each.mask for each in found if each.class_id == class_id]
        np.testing.assert_array_equal(np.sum([np.zeros(label_map.shape, int), *masks], axis=0), label_map == class_id)
    for each in found:
        rows, columns = np.nonzero(each.mask)
        assert each.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert each.area == each.mask.sum()
        np.testing.assert_array_equal(fill(each.polygon["coordinates"], label_map.shape), each.mask)


def test_geojson_is_json():
    result = segmentation(TWO_DOGS)
    data = json.loads(json.dumps(result.to_geojson()))
    assert data["type"] == "FeatureCollection" and len(data["features"]) == 4
    feature = data["features"][1]
    np.testing.assert_array_equal(
        fill(feature["geometry"]["coordinates"], result.label_map.shape), result.instances()[1].mask
    )
    assert feature["properties"]["label"] == "dog's head" and feature["properties"]["object_id"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"by": "pixel"}, r"by is 'pixel'; parts are grouped by one of \['component', "), ({"min_area": 0}, "min_area")],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        segmentation(TWO_DOGS).instances(**options)


def test_results_remember_the_objects_that_were_given_or_told_apart():
    image, left = Image.new("RGB", (8, 6), "white"), np.zeros((6, 8), dtype=bool)
    left[:, :4] = True
    segmenter = PartSegmenter.from_pretrained()
    assert segmenter(image, {"bench": ["seat"]}).objects is None
    given = segmenter(image, {"bench": ["seat"]}, object_masks={"bench": np.stack([left, ~left])})
    assert [name for name, _ in given.objects] == ["bench", "bench"]
    assert [(each.object_id, each.area) for each in given.instances()] == [(0, 24), (1, 24)]
    assert [each.mask.shape for each in given.shrunk(4).objects] == [(3, 4), (3, 4)]
    for masks, told_apart in (([left, ~left], True), ([left], False)):
        segmenter.object_segmenter = lambda image, words, masks=masks: [("bench", mask) for mask in masks]
        assert (segmenter(image, {"bench": ["seat"]}).objects is not None) == told_apart
