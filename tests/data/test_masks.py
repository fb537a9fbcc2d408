"""Label maps are lossless, and every COCO coding gives the same mask."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from pycocotools import mask as coco

from ovparts_hf.data.masks import (
    LabelMap,
    box_of,
    check_labels,
    decode_label_map,
    decode_rle,
    encode_segmentation,
    is_box,
    present_labels,
)
from ovparts_hf.errors import DatasetError

from .run_lengths import encode_mask

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=40)
MASKS = arrays(bool, SHAPES)
SQUARE = [2.0, 2.0, 6.0, 2.0, 6.0, 6.0, 2.0, 6.0]


@given(st.sampled_from([np.uint8, np.uint16]).flatmap(lambda dtype: arrays(dtype, SHAPES)))
def test_label_maps_survive_a_png(values):
    stored = LabelMap.from_array(values)
    np.testing.assert_array_equal(decode_label_map(stored.png), values)
    again = LabelMap.from_png(stored.png, values.dtype.itemsize * 8, "map")
    assert again.png is stored.png
    assert again.values.dtype == values.dtype


def test_sixteen_bits_are_kept():
    with Image.open(io.BytesIO(LabelMap.from_array(np.array([[65535, 233]], np.uint16)).png)) as image:
        assert image.mode == "I;16"


def test_depth_must_fit():
    narrow = LabelMap.from_array(np.zeros((2, 2), np.uint8)).png
    with pytest.raises(DatasetError, match="a.png has image mode L; a mask of this dataset has one channel of 16 bits"):
        LabelMap.from_png(narrow, 16, "a.png")


def test_present_labels():
    assert present_labels(np.array([[7, 3], [255, 3]], np.uint8), 255) == [3, 7]
    assert present_labels(np.full((2, 2), 255, np.uint8), 255) == []
    assert present_labels(np.array([65535, 65534, 0], np.uint16), 65535) == [0, 65534]


def test_check_labels():
    check_labels(np.array([0, 4, 255], np.uint8), 5, 255, "a.png")
    with pytest.raises(DatasetError, match=r"a.png holds the labels \[5, 9\]; allowed are 0 to 4 and 255"):
        check_labels(np.array([0, 5, 9, 255], np.uint8), 5, 255, "a.png")


@given(MASKS)
def test_all_run_lengths_mean_the_same(mask):
    height, width = mask.shape
    compressed = encode_mask(mask)
    changes = np.flatnonzero(np.diff(np.concatenate([[False], mask.ravel(order="F")]).astype(int)))
    counts = np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()
    from_counts = encode_segmentation({"size": [height, width], "counts": counts}, height, width, "x")
    np.testing.assert_array_equal(decode_rle(from_counts), mask)
    assert encode_segmentation(compressed, height, width, "x") == compressed
    assert sum(box_of(compressed)) >= 0


@given(MASKS, st.integers(1, 9))
def test_run_lengths_that_end_early_are_refused(mask, missing):
    """pycocotools would fill the rest with whatever is in memory."""
    height, width = mask.shape
    with pytest.raises(DatasetError, match="do not add up"):
        encode_segmentation(encode_mask(mask) | {"size": [height + missing, width]}, height + missing, width, "x")


@pytest.mark.parametrize("counts", [[-1, 101], [], [5.5, 94.5], ["a"], "", "\u00e9", 7, None, [[100]]])
def test_strange_run_lengths_are_refused(counts):
    with pytest.raises(DatasetError, match="run lengths of x"):
        encode_segmentation({"size": [10, 10], "counts": counts}, 10, 10, "x")


def test_polygons_are_joined():
    other = [5.0, 5.0, 9.0, 5.0, 9.0, 9.0, 5.0, 9.0]
    joined = decode_rle(encode_segmentation([SQUARE, other], 10, 12, "x"))
    alone = [coco.decode(coco.frPyObjects([polygon], 10, 12))[:, :, 0] for polygon in (SQUARE, other)]
    np.testing.assert_array_equal(joined, (alone[0] | alone[1]).astype(bool))
    assert joined.shape == (10, 12)


@pytest.mark.parametrize("dropped", [[1.0, 1.0, 4.0, 4.0], [1.0, 1.0, 4.0, 4.0, 2.0], [], SQUARE + [3.0]])
def test_unusable_polygons_are_dropped(dropped):
    assert encode_segmentation([dropped, SQUARE], 10, 10, "x") == encode_segmentation([SQUARE], 10, 10, "x")
    assert encode_segmentation([dropped], 10, 10, "x") is None


@pytest.mark.parametrize("polygon", [[float("nan")] * 6, [1.0, 1.0, 4.0, None, 4.0, 9.0], [1.0, float("inf")] * 4])
def test_polygons_must_be_numbers(polygon):
    with pytest.raises(DatasetError, match="not a finite number"):
        encode_segmentation([polygon], 10, 10, "x")


def test_polygons_may_leave_the_image():
    mask = decode_rle(encode_segmentation([[-5.0, -5.0, 5.0, -5.0, 5.0, 5.0, -5.0, 5.0]], 10, 10, "x"))
    assert mask[:4, :4].all()
    assert not mask[6:, 6:].any()


@pytest.mark.parametrize("far", [3e4, 1e9, 1e18, 1e38, 10**30])
def test_polygons_far_outside_keep_their_inside(far):
    """pycocotools takes memory for every pixel of an outline, and crashes when one does not fit an integer."""
    left_half = [-far, -far, 6, -far, 6, far, -far, far]
    mask = decode_rle(encode_segmentation([left_half], 10, 12, "x"))
    assert mask[:, :5].all()
    assert not mask[:, 7:].any()
    assert not decode_rle(encode_segmentation([[far, far, far, 2 * far, 2 * far, far]], 10, 12, "x")).any()


def test_polygons_near_the_image_are_not_touched():
    polygon = np.random.default_rng(0).uniform(-5000, 5000, 40).tolist()
    expected = coco.decode(coco.frPyObjects([polygon], 90, 120))[:, :, 0].astype(bool)
    np.testing.assert_array_equal(decode_rle(encode_segmentation([polygon], 90, 120, "x")), expected)


def test_outlines_that_would_fill_the_memory_are_refused():
    with pytest.raises(DatasetError, match="polygons of x have an outline of more than 2,000,000 pixels"):
        encode_segmentation([[-9000, 1, 9000, 2] * 10_000], 90, 120, "x")


@pytest.mark.parametrize("number", [10**400, -(10**400), True, "1"])
def test_numbers_that_are_none(number):
    with pytest.raises(DatasetError, match="not a finite number"):
        encode_segmentation([[number] * 6], 10, 10, "x")
    assert not is_box([0, 0, 1, number])


def test_endless_run_lengths_are_refused_at_once():
    with pytest.raises(DatasetError, match="do not add up"):
        encode_segmentation({"size": [10, 10], "counts": "o" * 1_000_000}, 10, 10, "x")
