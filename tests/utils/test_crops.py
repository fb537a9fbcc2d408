"""Windows of images around objects."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from ovparts_hf.utils.crops import Box

SIDES = st.integers(1, 60)
MARGINS = st.floats(0, 3)


@st.composite
def masks(draw):
    """(height, width) bool of an image with one rectangle, or of one that is true everywhere."""
    height, width = draw(SIDES), draw(SIDES)
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    bottom, right = draw(st.integers(top + 1, height)), draw(st.integers(left + 1, width))
    mask = np.zeros((height, width), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


@given(masks(), MARGINS)
def test_a_box_holds_the_object_and_stays_inside_the_image(mask, margin):
    box = Box.around(mask, margin)
    assert 0 <= box.left < box.right <= mask.shape[1] and 0 <= box.top < box.bottom <= mask.shape[0]
    assert box.cut(mask).sum() == mask.sum()


@given(masks(), MARGINS)
def test_a_box_is_a_square_unless_the_image_ends(mask, margin):
    frame = 400
    longer = max(np.ptp(np.nonzero(mask), axis=1) + 1)
    side = longer * (1 + 2 * margin)
    assume(margin == 0 or abs(side - round(side)) > 1e-9)  # else floating point decides which way it is rounded
    box = Box.around(np.pad(mask, frame), margin)
    height, width = box.size
    assert abs(height - width) <= 1  # both are rounded outwards
    assert side <= min(height, width) + 1e-6 and max(height, width) < side + 2
    top, left = max(0, box.top - frame), max(0, box.left - frame)
    bottom, right = (min(limit, end - frame) for limit, end in zip(mask.shape, (box.bottom, box.right)))
    assert Box.around(mask, margin) == (left, top, right, bottom)  # what is left of it in the image


def test_the_margin_is_a_share_of_the_longer_side_on_each_side():
    mask = np.zeros((100, 100), dtype=bool)
    mask[40:60, 45:55] = True
    assert Box.around(mask, 0) == (40, 40, 60, 60)
    assert Box.around(mask, 0.1) == (38, 38, 62, 62)
    assert Box.around(mask, 0.11) == (37, 37, 63, 63)
    assert Box.around(mask, 1e308) == (0, 0, 100, 100)


def test_without_an_object_it_is_the_whole_image():
    assert Box.around(np.zeros((4, 7), dtype=bool), 0.1) == (0, 0, 7, 4)


@given(masks(), MARGINS)
def test_what_is_cut_can_be_pasted(mask, margin):
    box = Box.around(mask, margin)
    numbers = np.arange(mask.size).reshape(mask.shape)
    pasted = box.paste(box.cut(numbers), mask.shape, -1)
    inside = box.paste(np.ones(box.size, dtype=bool), mask.shape, False)
    np.testing.assert_array_equal(pasted, np.where(inside, numbers, -1))
    assert inside.sum() == box.size[0] * box.size[1] and pasted.dtype == numbers.dtype
    image = Image.fromarray(numbers.astype(np.uint8))
    np.testing.assert_array_equal(np.asarray(image.crop(box)), box.cut(numbers.astype(np.uint8)))


@pytest.mark.parametrize(
    ("new_size", "expected"), [((100, 200), (10, 20, 30, 40)), ((50, 50), (2, 10, 8, 20)), ((1, 1), (0, 0, 1, 1))]
)
def test_a_box_is_scaled_outwards(new_size, expected):
    assert Box(10, 20, 30, 40).scaled((100, 200), new_size) == expected
