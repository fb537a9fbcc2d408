"""Outlines against slow computations of their own."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.data.formats.outlines import Ellipse, number, points, rectangle
from ovparts_hf.errors import DatasetError

SIDE = st.floats(0.5, 30)


@given(SIDE, SIDE, SIDE, SIDE, st.floats(-400, 400))
def test_an_ellipse_covers_the_pixels_whose_centres_it_holds(x, y, radius_x, radius_y, degrees):
    mask = Ellipse(x, y, radius_x, radius_y, degrees).mask(20, 25, "it")
    angle = math.radians(degrees)
    for row in range(0, 20, 3):
        for column in range(0, 25, 4):
            point = complex(column + 0.5 - x, row + 0.5 - y) * complex(math.cos(angle), -math.sin(angle))
            distance = (point.real / radius_x) ** 2 + (point.imag / radius_y) ** 2
            if abs(distance - 1) > 1e-6:
                assert mask[row, column] == (distance < 1)


def test_an_ellipse_without_a_radius_is_empty():
    assert not Ellipse(5, 5, 0, 3).mask(10, 10, "it").any() and not Ellipse(5, 5, 3, -1).mask(10, 10, "it").any()


def test_rectangles_turn_clockwise_around_their_centre_or_a_corner():
    assert rectangle(0, 0, 4, 2) == [0, 0, 4, 0, 4, 2, 0, 2]
    np.testing.assert_allclose(rectangle(0, 0, 4, 2, 90), [3, -1, 3, 3, 1, 3, 1, -1], atol=1e-12)
    np.testing.assert_allclose(rectangle(0, 0, 4, 2, 90, (0, 0)), [0, 0, 0, 4, -2, 4, -2, 0], atol=1e-12)


@pytest.mark.parametrize("value", [None, True, "x", [], float("inf"), float("nan"), 1e30, 10**400, "1e999"])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(DatasetError, match="'x' of it is .*; it must be a finite number"):
        number(value, "'x'", "it")


def test_numbers_may_be_texts_as_in_xml():
    assert (number("1.5", "x", "it"), number(" 2 ", "x", "it"), number(3, "x", "it")) == (1.5, 2.0, 3.0)


@pytest.mark.parametrize("values", [None, 1, [1, 2], [[1]], [[1, 2, 3]], [{"x": 1, "y": 2}], "1,2"])
def test_what_are_no_points_is_refused(values):
    with pytest.raises(DatasetError, match="The points of it"):
        points(values, "it")
