import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ovparts_hf.metrics import PartSegmentationMetric
from ovparts_hf.metrics.boundary import band_width, boundary_counts

NUM_CLASSES = 3


def slow_band(mask, distance):
    """Pixels of the mask from which a pixel outside the mask, or outside the image, is no further than `distance`."""
    height, width = mask.shape
    padded = np.pad(mask, distance)  # outside the image there is no mask
    shifts = itertools.product(range(2 * distance + 1), repeat=2)
    return mask & np.any([~padded[y : y + height, x : x + width] for y, x in shifts], axis=0)


def slow_counts(prediction, reference):
    rows = []
    for class_id in range(NUM_CLASSES):
        distance = max(1, round(0.02 * (reference.shape[0] ** 2 + reference.shape[1] ** 2) ** 0.5))
        truth = slow_band(reference == class_id, distance)
        answer = slow_band((prediction == class_id) & (reference != NUM_CLASSES), distance)
        rows.append([(truth & answer).sum(), truth.sum(), answer.sum()])
    return np.array(rows).T


@st.composite
def blocky_maps(draw, size):
    blocks = hnp.arrays(np.uint16, (5, 6), elements=st.integers(0, NUM_CLASSES))
    return draw(blocks).repeat(-(-size[0] // 5), axis=0).repeat(-(-size[1] // 6), axis=1)[: size[0], : size[1]]


@settings(max_examples=30)
@given(st.data(), st.sampled_from([(1, 1), (3, 2), (20, 24), (70, 90), (18, 180)]))
def test_counts_equal_a_slow_independent_implementation(data, size):
    prediction, reference = data.draw(blocky_maps(size)), data.draw(blocky_maps(size))
    np.testing.assert_array_equal(
        boundary_counts(prediction, reference, NUM_CLASSES), slow_counts(prediction, reference)
    )


@pytest.mark.parametrize(
    ("size", "width"), [((1, 1), 1), ((75, 100), 2), ((72, 54), 2), ((500, 500), 14), ((375, 500), 12)]
)
def test_band_width(size, width):
    assert band_width(*size) == width


def test_a_case_counted_by_hand():
    reference = np.full((30, 40), 255)  # diagonal 50: the band is 1 pixel wide
    reference[10:20, 10:20] = 0
    prediction = np.zeros((30, 40), dtype=int)
    prediction[10:20, 18:] = -1  # the last two columns of the part are missed
    metric = PartSegmentationMetric(["a's x", "a's y"], [0], 255, boundary=True)
    metric.update(prediction, reference)
    # truth: the 36 pixels around the square; answer: the 32 around 10 x 8; in both: 10 left, 7 above, 7 below
    assert metric.counts["boundary"].tolist() == [[24, 0], [36, 0], [32, 0]]
    boundary = metric.compute()["boundary"]
    assert boundary["IoU"]["a's x"] == boundary["mIoU_seen"] == pytest.approx(100 * 24 / 44)
    assert np.isnan(boundary["IoU"]["a's y"]) and np.isnan(boundary["hIoU"])


def test_borders_are_stricter_than_areas():
    reference = np.zeros((100, 100), dtype=int)
    reference[:, 50:] = 1
    prediction = np.zeros((100, 100), dtype=int)
    prediction[:, 55:] = 1
    metric = PartSegmentationMetric(["a's x", "b's y"], [0], 255, boundary=True)
    metric.update(prediction, reference)
    numbers = metric.compute()
    assert numbers["boundary"]["hIoU"] < numbers["hIoU"] - 15
