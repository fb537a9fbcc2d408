"""What holds for the metrics of all public evaluators."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.metrics import PartSegmentationMetric
from ovparts_hf.metrics.flavours import FLAVOURS

MODES = [(name, False) for name in FLAVOURS] + [(name, True) for name, flavour in FLAVOURS.items() if flavour.pred_all]
NUM_CLASSES, IGNORE = 5, 255
NAMES = [f"cat's part {i}" for i in range(NUM_CLASSES)]

REFERENCE = hnp.arrays(np.int32, (4, 6), elements=st.sampled_from([*range(NUM_CLASSES), IGNORE]))
PREDICTION = hnp.arrays(np.int32, (4, 6), elements=st.sampled_from([*range(NUM_CLASSES), -1]))
RECORDS = st.lists(st.tuples(PREDICTION, REFERENCE, hnp.arrays(bool, (4, 6))), min_size=1, max_size=4)
every_mode = pytest.mark.parametrize(("name", "pred_all"), MODES)


def new_metric(name, pred_all, names=NAMES, seen_ids=(0, 1, 2), boundary=False):
    return PartSegmentationMetric(names, seen_ids, IGNORE, name, pred_all, boundary)


def updated(metric, records):
    for record in records:
        metric.update(*record)
    return metric


def flat(numbers, names=NAMES):
    """All numbers in a fixed order, by class name."""
    values = []
    for key in sorted(numbers):
        value = numbers[key]
        if isinstance(value, float):
            values.append(value)
        else:
            values.extend([value[name] for name in names] if key in ("IoU", "recall") else flat(value, names))
    return values


@every_mode
@settings(max_examples=25)
@given(RECORDS, st.randoms())
def test_order_and_processes_do_not_matter(name, pred_all, records, random):
    one = updated(new_metric(name, pred_all, boundary=True), records).compute()
    shuffled = random.sample(records, len(records))
    cut = random.randint(0, len(records))
    first, second = (updated(new_metric(name, pred_all, boundary=True), r) for r in (shuffled[:cut], shuffled[cut:]))
    first.merge(second.counts)
    np.testing.assert_array_equal(flat(first.compute()), flat(one))


@every_mode
@settings(max_examples=25)
@given(RECORDS, st.permutations(range(NUM_CLASSES)))
def test_renumbering_the_classes_renames_the_numbers(name, pred_all, records, order):
    table = np.full(IGNORE + 1, -1)
    table[:NUM_CLASSES], table[IGNORE] = order, IGNORE
    table[-1] = IGNORE  # -1 reads it too: no answer
    names = [NAMES[order.index(i)] for i in range(NUM_CLASSES)]
    renumbered = [(table[p], table[r], m) for p, r, m in records]
    plain = updated(new_metric(name, pred_all, boundary=True), records).compute()
    renamed = updated(new_metric(name, pred_all, names, order[:3], boundary=True), renumbered).compute()
    for numbers in (plain, renamed):
        numbers.pop("label_difference_boundary", None)  # depends on the numbering: why it is no boundary IoU
    np.testing.assert_allclose(flat(plain), flat(renamed), atol=1e-9)


@every_mode
@given(REFERENCE)
def test_a_perfect_prediction_scores_100_everywhere(name, pred_all, reference):
    metric = new_metric(name, pred_all, boundary=True)
    metric.update(np.where(reference == IGNORE, 0, reference), reference)
    scores = metric.compute()
    numbers = np.array(flat({key: value for key, value in scores.items() if "difference" not in key}))
    if (reference != IGNORE).any():
        np.testing.assert_allclose(numbers[~np.isnan(numbers)], 100)
        assert scores["mIoU"] == scores.get("strict", scores)["mIoU"] == 100


@every_mode
@given(REFERENCE)
def test_an_empty_prediction_scores_0_in_strict(name, pred_all, reference):
    metric = new_metric(name, pred_all, boundary=True)
    metric.update(np.full_like(reference, NUM_CLASSES if pred_all else -1), reference)
    numbers = metric.compute()
    for strict in (numbers.get("strict", numbers), numbers["boundary"]):
        if (reference != IGNORE).any():
            assert strict["mIoU"] == 0
            assert not np.nansum(list(strict["IoU"].values()))


# ---- options -------------------------------------------------------------------------------------------------------


def test_strict_is_the_twin_of_the_others():
    records = [([[0, 1, -1, 2]], [[0, 0, 1, 2]])]
    twin = updated(new_metric("ov_parts", False), records).compute()["strict"]
    assert flat(updated(new_metric("strict", False), records).compute()) == pytest.approx(flat(twin), nan_ok=True)


def test_background_is_an_answer_only_in_pred_all():
    prediction, reference = [[NUM_CLASSES, 0]], [[0, 0]]
    metric = new_metric("partclipseg", True)
    metric.update(prediction, reference)
    assert metric.compute()["IoU"][NAMES[0]] == 50
    assert metric.compute()["mIoU"] == 25  # the background was answered: it is averaged as a 0
    with pytest.raises(ConfigurationError, match=r"prediction holds the ids \[5\]"):
        new_metric("partclipseg", False).update(prediction, reference)


@pytest.mark.parametrize(
    ("name", "pred_all", "message"),
    [
        ("coco", False, r"Unknown metrics 'coco'; choose one of \['ov_parts', 'partclipseg', 'partcatseg', 'strict'\]"),
        (
            "ov_parts",
            True,
            r"'ov_parts' does not define scores for pred_all; .*\['partclipseg', 'partcatseg', 'strict'\]",
        ),
    ],
)
def test_undefined_flavours_are_refused(name, pred_all, message):
    with pytest.raises(ConfigurationError, match=message):
        new_metric(name, pred_all)
