"""Outlines of masks, filled again by counting crossings."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from ovparts_hf.inference.polygons import trace_polygons

MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def fill(polygons, shape):
    """(H, W) bool: a pixel is inside if the way to it from the left crosses an odd number of edges."""
    crossed = np.zeros((shape[0], shape[1] + 1), dtype=bool)
    for ring in (ring for polygon in polygons for ring in polygon):
        assert ring[0] == ring[-1]
        for (x, y), (next_x, next_y) in zip(ring, ring[1:]):
            assert (x == next_x) != (y == next_y)
            if x == next_x:
                crossed[min(y, next_y) : max(y, next_y), x] ^= True
    return np.logical_xor.accumulate(crossed, axis=1)[:, :-1]


def signed_area(ring):
    x, y = np.array(ring).T
    return (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2


@given(MASKS)
def test_each_polygon_is_one_region_of_the_mask(mask):
    regions, count = ndimage.label(mask)
    polygons = trace_polygons(mask)
    assert len(polygons) == count
    for number, polygon in enumerate(polygons, start=1):
        np.testing.assert_array_equal(fill([polygon], mask.shape), regions == number)


@given(MASKS)
def test_outlines_come_first_and_only_bends_are_listed(mask):
    for polygon in trace_polygons(mask):
        areas = [signed_area(ring) for ring in polygon]
        assert areas[0] > 0 and all(area < 0 for area in areas[1:])
        for ring in polygon:
            horizontal = [a[1] == b[1] for a, b in zip(ring, [*ring[1:], ring[1]])]
            assert all(here != following for here, following in zip(horizontal, horizontal[1:]))


def test_places_are_counted_from_the_corner_of_the_image():
    [[ring]] = trace_polygons(np.ones((2, 3), dtype=bool), left=10, top=20)
    assert ring[:-1] in ([[10, 20], [13, 20], [13, 22], [10, 22]], [[13, 20], [13, 22], [10, 22], [10, 20]])
    assert trace_polygons(np.zeros((2, 3), dtype=bool)) == []
