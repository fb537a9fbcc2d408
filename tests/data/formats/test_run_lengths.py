"""Run lengths of Label Studio's brush and of CVAT, against encoders of the tests' own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ovparts_hf.data.formats.run_lengths import BrushStrokes, runs_in_box
from ovparts_hf.errors import DatasetError

from .writers import brush

MASKS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda size: arrays(bool, size))


@given(MASKS, st.integers(0, 99), st.tuples(*[st.integers(1, 16)] * 4))
def test_brush_strokes_of_any_blocks_are_decoded(mask, seed, sizes):
    strokes = BrushStrokes.of(brush(mask, seed, sizes), *mask.shape, "it")
    np.testing.assert_array_equal(strokes.mask(*mask.shape, "it"), mask)


def test_the_mask_of_a_brush_is_its_transparency():
    bits = f"{4 * 2:032b}{7:05b}" + "".join(f"{15:04b}" for _ in range(4))
    for value in (255, 0, 0, 0, 0, 0, 0, 9):  # red and clear; black and a little opaque
        bits += f"100{0:016b}{value:08b}"
    bits += "0" * (-len(bits) % 8)
    strokes = BrushStrokes.of([int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)], 1, 2, "it")
    assert strokes.mask(1, 2, "it").tolist() == [[False, True]]


GOOD = brush(np.eye(4, 5, dtype=bool))


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (GOOD[:-3], "The brush of it ends before its image does"),
        (GOOD[:3], "ends before its image does"),
        ([], "ends before its image does"),
        (brush(np.ones((4, 4), bool)), "is for 64 values of 8 bits, its image has 80 of 8"),
        ([*GOOD[:4], GOOD[4] & 0b111, *GOOD[5:]], "is for 80 values of 1 bits"),
    ],
)
def test_broken_brush_strokes_are_named(stream, message):
    with pytest.raises(DatasetError, match=message):
        BrushStrokes.of(stream, 4, 5, "it").mask(4, 5, "it")


def test_a_run_that_is_too_long_is_named():
    bits = f"{80:032b}{7:05b}" + "".join(f"{15:04b}" for _ in range(4)) + f"100{80:016b}{255:08b}"
    bits += "0" * (-len(bits) % 8)
    stream = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    with pytest.raises(DatasetError, match="longer than its image"):
        BrushStrokes.of(stream, 4, 5, "it").mask(4, 5, "it")


@pytest.mark.parametrize("numbers", [None, "abc", [256], [-1], [1.5], [None], {"a": 1}])
def test_what_is_no_list_of_bytes_is_named(numbers):
    with pytest.raises(DatasetError, match="'rle' of it must be a list of numbers from 0 to 255"):
        BrushStrokes.of(numbers, 4, 5, "it")


def test_a_brush_for_another_size_is_refused():
    with pytest.raises(DatasetError, match="is for an image of 5 x 4; its image has 4 x 5 pixels"):
        BrushStrokes.of(GOOD, 4, 5, "it").mask(5, 4, "it")


@given(MASKS, st.integers(-3, 20), st.integers(-3, 20))
def test_runs_in_a_box_lie_where_the_box_does(mask, left, top):
    flat, runs, inside = mask.reshape(-1).tolist(), [0], False
    for value in flat:
        if value != inside:
            runs.append(0)
            inside = value
        runs[-1] += 1
    found = runs_in_box(", ".join(map(str, runs)), left, top, *mask.shape, "it").mask(12, 14, "it")
    for row in range(12):
        for column in range(14):
            y, x = row - top, column - left
            inside_box = 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]
            assert found[row, column] == (inside_box and mask[y, x])


@pytest.mark.parametrize(
    ("text", "height", "message"),
    [
        ("1, 2", 2, "do not add up to the 2 x 2 pixels of its box"),
        ("5, -1", 2, "do not add up"),
        ("1, x", 2, "must be whole numbers"),
        ("", 2, "must be whole numbers"),
        ("0", 0, "The box of it is 2 x 0"),
        ("1", 10**9, "The box of it is 2 x 1000000000"),
    ],
)
def test_runs_that_do_not_fit_are_named(text, height, message):
    with pytest.raises(DatasetError, match=message):
        runs_in_box(text, 0, 0, height, 2, "it")
