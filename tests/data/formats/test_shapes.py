"""Shapes, compared with sets of pixels made otherwise."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ovparts_hf.data.formats.images import ImageBytes
from ovparts_hf.data.formats.shapes import Bitmap, MaskValues, RelativePolygons, Segmentation, reaches_outside
from ovparts_hf.errors import DatasetError


def square(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def test_polygons_follow_the_rule_of_pycocotools():
    mask = Segmentation.of(square(5, 5, 15, 15)).mask(20, 30, "x")
    assert mask.shape == (20, 30)
    assert mask.sum() == 100
    assert mask[5:15, 5:15].all()
    relative = RelativePolygons.of(square(5 / 30, 5 / 20, 15 / 30, 15 / 20)).mask(20, 30, "x")
    np.testing.assert_array_equal(relative, mask)


@pytest.mark.parametrize("polygons", [[[0.1, 0.1]], [[0, 0, 1]], ["a"], [[0, 0, 1, 1, "x", 1]]])
def test_relative_polygons_that_are_none(polygons):
    with pytest.raises(DatasetError, match="polygon 3"):
        RelativePolygons.of(polygons).mask(20, 30, "polygon 3")


def test_what_reaches_outside():
    assert not reaches_outside(Segmentation.of(square(0, 0, 30, 20)), 20, 30)
    assert not reaches_outside(Segmentation.of(square(-1, 0, 31, 20)), 20, 30)
    assert reaches_outside(Segmentation.of(square(0, 0, 32, 20)), 20, 30)
    assert reaches_outside(Segmentation.of(square(0, -2, 30, 20)), 20, 30)
    assert reaches_outside(RelativePolygons.of(square(0, 0, 1.5, 1)), 20, 30)
    assert not reaches_outside(Segmentation.of({"size": [20, 30], "counts": [600]}), 20, 30)
    assert not reaches_outside(Bitmap.of(np.ones((2, 2), bool), 50, 50), 20, 30)


@given(st.integers(-5, 12), st.integers(-5, 12), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_bitmaps_lie_where_they_belong(left, top, height, width, seed):
    crop = np.random.default_rng(seed).random((height, width)) < 0.5
    shape = pickle.loads(pickle.dumps(Bitmap.of(crop, left, top)))
    expected = np.zeros((8, 9), bool)
    for y, x in zip(*np.nonzero(crop)):
        if 0 <= top + y < 8 and 0 <= left + x < 9:
            expected[top + y, left + x] = True
    np.testing.assert_array_equal(shape.mask(8, 9, "x"), expected)


def test_a_bitmap_for_another_image():
    with pytest.raises(DatasetError, match="Stroke 1 is for an image of 9 x 8"):
        Bitmap.of(np.ones((8, 9), bool), image_size=(8, 9)).mask(9, 9, "stroke 1")


def mask_file(values):
    buffer = io.BytesIO()
    Image.fromarray(np.array(values, np.uint8)).save(buffer, "PNG")
    return ImageBytes(buffer.getvalue(), "a.png")


def test_values_of_a_mask():
    file = mask_file([[0, 1, 2], [3, 2, 1]])
    np.testing.assert_array_equal(MaskValues(file, (2,)).mask(2, 3, "x"), [[0, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(MaskValues(file, (1, 3)).mask(2, 3, "x"), [[0, 1, 0], [1, 0, 1]])
    with pytest.raises(DatasetError, match="a.png is 3 x 2, but its image is 2 x 3"):
        MaskValues(file, (1,)).mask(3, 2, "x")


@pytest.mark.parametrize("inside", [1, 100, 255])
def test_without_values_what_is_bright_is_inside(inside):
    np.testing.assert_array_equal(MaskValues(mask_file([[0, inside, inside // 3]])).mask(1, 3, "x"), [[0, 1, 0]])
    assert not MaskValues(mask_file([[0, 0]])).mask(1, 2, "x").any()
