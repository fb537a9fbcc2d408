"""Against the definition of COCO's average precision, computed here from masks."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ovparts_hf.data.records import Record
from ovparts_hf.evaluation.average_precision import AP_NAMES, PartMasks, average_precision

PARTS = 3
SEEN = np.array([True, False, True])
THRESHOLDS = np.linspace(0.5, 0.95, 10)
MAPS = arrays(np.int64, (2, 3, 4), elements=st.integers(-1, PARTS - 1))


@st.composite
def instances(draw):
    """Up to two instances in each of up to three images; no two scores are equal."""
    records = [Record("validation", row, 0, i) for row in range(draw(st.integers(1, 3))) for i in range(2)]
    scores = iter(draw(st.permutations(range(PARTS * len(records)))))
    return [
        (record, *draw(MAPS), {part: (next(scores) + 1) / 100 for part in range(PARTS)})
        for record in draw(st.permutations(records))
    ]


def part_masks(drawn):
    return [PartMasks.from_maps(record, truth, found, scores) for record, truth, found, scores in drawn]


def precision_of(drawn, part, threshold):
    """Precision at recalls 0, 0.01, ..., 1; None if no truth has the part."""
    truths = defaultdict(list)
    for record, truth, *_ in sorted(drawn, key=lambda instance: (instance[0].row, instance[0].instance)):
        if (truth == part).any():
            truths[record.row].append(truth == part)
    count = sum(map(len, truths.values()))
    if not count:
        return None
    found = [(s[part], r.row, f == part) for r, _, f, s in drawn if (f == part).any()]
    right = []
    for _, row, mask in sorted(found, key=lambda entry: -entry[0]):
        ious = [(mask & truth).sum() / (mask | truth).sum() for truth in truths[row]]
        best = max(range(len(ious)), key=lambda i: (ious[i], i), default=None)
        right.append(best is not None and ious[best] >= threshold - 1e-10)
        if right[-1]:
            truths[row].pop(best)
    hits = np.cumsum(right)
    precisions, recalls = hits / np.arange(1, len(right) + 1), hits / count
    return [max(precisions[recalls >= recall - 1e-12], default=0) for recall in np.linspace(0, 1, 101)]


@settings(max_examples=60)
@given(instances())
def test_average_precision_is_cocos(drawn):
    table = {(p, t): precision_of(drawn, p, t) for p in range(PARTS) for t in THRESHOLDS}

    def mean(parts=range(PARTS), thresholds=THRESHOLDS):
        values = [table[part, t] for part in parts for t in thresholds if table[part, t] is not None]
        return 100 * np.mean(values) if values else np.nan

    expected = (mean(), mean(thresholds=[0.5]), mean(thresholds=THRESHOLDS[5:6]), mean([0, 2]), mean([1]))
    scores = average_precision(part_masks(drawn), SEEN)
    assert tuple(scores) == AP_NAMES
    assert list(scores.values()) == pytest.approx(expected, nan_ok=True)


def test_a_part_of_another_instance_of_the_image_counts_too():
    """The instance is given, but not which masks belong together: a detection may match any truth of its image."""
    half = np.array([[0, 0, -1, -1]])
    maps = [(half, np.full_like(half, -1)), (np.full_like(half, -1), half)]
    first, second = (
        PartMasks.from_maps(Record("validation", 0, 0, i), truth, found, {0: 0.5})
        for i, (truth, found) in enumerate(maps)
    )
    assert average_precision([first, second], SEEN)["AP"] == pytest.approx(100)


def test_nothing_found_and_nothing_labelled(capsys):
    none, some = np.full((2, 2), -1), np.zeros((2, 2), dtype=int)
    record = Record("validation", 0, 0, 0)
    assert average_precision([PartMasks.from_maps(record, some, none, {})], SEEN)["AP"] == 0
    assert np.isnan(average_precision([PartMasks.from_maps(record, none, some, {0: 1.0})], SEEN)["AP"])
    assert np.isnan(average_precision([], SEEN)["AP"])
    assert capsys.readouterr().out == ""
