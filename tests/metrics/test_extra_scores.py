"""Against the definitions, computed mask by mask from random maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ovparts_hf.metrics import PartSegmentationMetric
from ovparts_hf.metrics.extra_scores import fold_objects, mask_scores, over_segmentation, under_segmentation

PARTS, OBJECTS = 5, 4
OWNERS = np.array([0, 0, 2, 1, 2])  # object 3 has no parts
SEEN = np.array([True, True, False, True, False])
NONE = 255
MAPS = st.lists(
    arrays(np.int64, st.tuples(st.just(2), st.integers(1, 5), st.integers(1, 5)), elements=st.integers(-1, PARTS - 1)),
    min_size=1,
    max_size=4,
)
"""Of each record a prediction and a reference, -1 for none."""


def counted(records):
    metric = PartSegmentationMetric([f"part {i}" for i in range(PARTS)], [0], NONE, "strict", pred_all=True)
    return [metric.update(prediction, np.where(truth < 0, NONE, truth)) for prediction, truth in records]


def percent(values):
    values = [value for value in values if value == value]
    return 100 * np.mean(values) if values else np.nan


@given(MAPS)
def test_masks_are_scored_one_by_one(records):
    pairs = [(found == i, truth == i) for found, truth in records for i in range(PARTS) if (truth == i).any()]
    ious = [(a & b).sum() / (a | b).sum() for a, b in pairs]
    scores = mask_scores(counted(records))
    assert scores["gIoU"] == pytest.approx(percent(ious), nan_ok=True)
    assert scores["P@50"] == pytest.approx(percent([iou >= 0.5 for iou in ious]), nan_ok=True)
    total = sum((a & b).sum() for a, b in pairs) / sum((a | b).sum() for a, b in pairs) if pairs else np.nan
    assert scores["cIoU"] == pytest.approx(100 * total, nan_ok=True)


@given(MAPS)
def test_missed_pixels(records):
    found, truth = (np.concatenate([record[i].ravel() for record in records]) for i in (0, 1))
    missed = [np.mean(found[truth == i] != i) if (truth == i).any() else np.nan for i in range(-1, PARTS)]
    hit = [((truth == i) & (found == i)).any() for i in range(PARTS)]
    scores = under_segmentation(sum(counted(records)), SEEN)
    assert scores["mUSI"] == pytest.approx(percent(missed), nan_ok=True)
    for name, members in (("mUSI_seen", SEEN), ("mUSI_unseen", ~SEEN)):
        expected = [missed[i + 1] for i in range(PARTS) if members[i] and hit[i]]
        assert scores[name] == pytest.approx(percent(expected), nan_ok=True)


@given(MAPS)
def test_pixels_outside_of_objects(records):
    seen = np.array([True, True, False, False])
    owner = np.append(OWNERS, -1)
    found, truth = (owner[np.concatenate([record[i].ravel() for record in records])] for i in (0, 1))
    outside = [
        np.mean(truth[found == i] != i) if (found == i).any() and (truth == i).any() else np.nan for i in range(OBJECTS)
    ]
    scores = over_segmentation(fold_objects(sum(counted(records)), OWNERS, OBJECTS), seen)
    assert scores["mOSI"] == pytest.approx(percent(outside), nan_ok=True)
    assert scores["mOSI_seen"] == pytest.approx(percent(outside[:2]), nan_ok=True)
    assert scores["mOSI_unseen"] == pytest.approx(percent(outside[2:]), nan_ok=True)


@given(MAPS)
def test_no_pixel_is_lost_when_parts_become_objects(records):
    matrix = sum(counted(records))
    folded = fold_objects(matrix, OWNERS, OBJECTS)
    assert folded.dtype == np.int64 and folded.sum() == matrix.sum()


def test_an_answer_where_nothing_is_labelled_is_a_mistake():
    [matrix] = counted([([[0, 0, 0, -1]], np.array([[0, -1, -1, -1]]))])
    assert mask_scores([matrix]) == {"gIoU": pytest.approx(100 / 3), "cIoU": pytest.approx(100 / 3), "P@50": 0}
    seen = np.array([True, False, False, False])
    objects = fold_objects(matrix, OWNERS, OBJECTS)
    assert over_segmentation(objects, seen)["mOSI"] == pytest.approx(200 / 3)
    assert under_segmentation(matrix, SEEN)["mUSI"] == pytest.approx(100 * (0 + 2 / 3) / 2)  # the part, the background


def test_half_is_enough_for_p50():
    [matrix] = counted([([[0, 0]], np.array([[0, -1]]))])
    assert mask_scores([matrix])["P@50"] == 100


def test_nothing_labelled_has_no_score():
    assert all(np.isnan(value) for value in mask_scores([]).values())
    matrices = counted([([[0]], np.array([[-1]]))])
    assert all(np.isnan(value) for value in mask_scores(matrices).values())
    assert all(np.isnan(value) for value in over_segmentation(fold_objects(matrices[0], OWNERS, 4), SEEN[:4]).values())
