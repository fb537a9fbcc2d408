import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.metrics import ImageCounts, PartSegmentationMetric, PictureCounts

from ..footprint import packages_loaded

NUM_CLASSES, IGNORE = 5, 255
NAMES = [f"cat's part {i}" for i in range(NUM_CLASSES)]
MEANS = ("mIoU", "mIoU_seen", "mIoU_unseen", "hIoU")


def new_metric(seen_ids=(0, 1, 2)):
    return PartSegmentationMetric(NAMES, seen_ids, IGNORE)


def label_maps(ids):
    return hnp.arrays(np.int32, (4, 6), elements=st.sampled_from(ids))


PREDICTION = label_maps([0, 1, 2, 3, 4, -1, IGNORE])
REFERENCE = label_maps([0, 1, 2, 3, 4, IGNORE])
RECORDS = st.lists(
    st.tuples(PREDICTION, REFERENCE, st.none() | hnp.arrays(bool, (4, 6))),
    min_size=1,
    max_size=4,
)


def updated(records, metric=None):
    metric = metric or new_metric()
    for record in records:
        metric.update(*record)
    return metric


def flat(numbers):
    """The numbers of one flavour as a list, for comparisons in which NaN equals NaN."""
    return [numbers[key] for key in (*MEANS, "fwIoU")] + list(numbers["IoU"].values())


# ---- by hand -------------------------------------------------------------------------------------------------------


def test_a_case_counted_by_hand():
    metric = PartSegmentationMetric(["a's x", "a's y", "b's x", "b's y"], [0, 1], IGNORE)
    #                             hit  hit  miss  none  unlabelled  hit
    metric.update(prediction=[[0, 0, 1, -1, 3, 2]], reference=[[0, 0, 0, 0, IGNORE, 2]])
    numbers = metric.compute()
    nan = pytest.approx(float("nan"), nan_ok=True)
    assert numbers["IoU"] == {"a's x": pytest.approx(200 / 3), "a's y": nan, "b's x": 100, "b's y": nan}
    assert numbers["mIoU_seen"] == pytest.approx(100 / 3)  # y was predicted but never present: it divides
    assert numbers["mIoU_unseen"] == 100  # b's y only on unlabelled ground: free
    assert numbers["mIoU"] == pytest.approx(500 / 9)
    assert numbers["hIoU"] == pytest.approx(50)
    assert numbers["fwIoU"] == pytest.approx((2 / 3 * 3 + 1) / 4 * 100)
    strict = numbers["strict"]
    assert strict["IoU"]["a's x"] == pytest.approx(50)  # the unanswered pixel is a miss
    assert strict["mIoU_seen"] == pytest.approx(25)
    assert strict["hIoU"] == pytest.approx(40)
    assert strict["fwIoU"] == pytest.approx((0.5 * 4 + 1) / 5 * 100)


def test_a_class_that_never_got_an_answer_counts_only_in_strict():
    metric = new_metric()
    metric.update([[0, 1]], [[0, 1]], object_mask=[[1, 0]])
    numbers = metric.compute()
    assert numbers["mIoU"] == 100 and np.isnan(numbers["IoU"][NAMES[1]])
    assert numbers["strict"]["mIoU"] == 50 and numbers["strict"]["IoU"][NAMES[1]] == 0


def test_nothing_counted_is_undefined():
    numbers = new_metric().compute()
    for flavour in (numbers, numbers["strict"]):
        assert np.isnan([flavour[key] for key in MEANS]).all()
        assert np.isnan(list(flavour["IoU"].values())).all()
        assert flavour["fwIoU"] == 0


def test_maps_of_other_sizes_come_to_the_size_of_the_prediction():
    metric = new_metric()
    metric.update(
        prediction=np.array([[0, 0, 1], [0, 0, 1]]),
        reference=np.array([[0, 1]]),  # columns 0, 0, 1 by the rule floor(destination * 2 / 3)
        object_mask=np.array([[1, 1, 1, 0, 0, 0]]),  # columns 0, 2, 4
    )
    expected = np.zeros((6, 6), dtype=int)
    expected[0, 0], expected[5, 1] = 4, 2
    np.testing.assert_array_equal(metric.confusion_matrix, expected)


# ---- properties ----------------------------------------------------------------------------------------------------


@given(RECORDS, RECORDS)
def test_merging_equals_updating_one_metric(first, second):
    merged = updated(first)
    merged.merge(updated(second))
    by_matrix = updated(first)
    by_matrix.merge(updated(second).confusion_matrix)
    joint = updated(first + second)
    np.testing.assert_array_equal(merged.confusion_matrix, joint.confusion_matrix)
    np.testing.assert_array_equal(by_matrix.confusion_matrix, joint.confusion_matrix)


@given(RECORDS, st.randoms())
def test_order_and_chunking_do_not_matter(records, random):
    shuffled = random.sample(records, len(records))
    rows = [tuple(part if part is None else part[i : i + 1] for part in r) for r in records for i in range(4)]
    matrix = updated(records).confusion_matrix
    np.testing.assert_array_equal(updated(shuffled).confusion_matrix, matrix)
    np.testing.assert_array_equal(updated(rows).confusion_matrix, matrix)


@given(RECORDS, st.permutations(range(NUM_CLASSES)))
def test_renumbering_the_classes_renames_the_numbers(records, order):
    table = np.full(IGNORE + 2, IGNORE)
    table[:NUM_CLASSES] = order
    metric = PartSegmentationMetric([NAMES[order.index(i)] for i in range(NUM_CLASSES)], order[:3], IGNORE)
    renumbered = updated([(table[p], table[r], m) for p, r, m in records], metric).compute()
    plain = updated(records).compute()
    for expected, found in ((plain, renumbered), (plain["strict"], renumbered["strict"])):
        found["IoU"] = {name: found["IoU"][name] for name in NAMES}
        np.testing.assert_allclose(flat(found), flat(expected), atol=1e-9)


@given(REFERENCE)
def test_a_perfect_prediction_scores_100(reference):
    metric = new_metric()
    metric.update(reference, reference)
    numbers = metric.compute()
    for flavour in (numbers, numbers["strict"]):
        defined = np.array(flat(flavour))
        if (reference != IGNORE).any():
            assert set(defined[~np.isnan(defined)]) <= {100.0}
            assert flavour["mIoU"] == 100


@given(RECORDS)
def test_strict_never_exceeds_official(records):
    numbers = updated(records).compute()
    strict = numbers["strict"]
    pairs = [(strict[key], numbers[key]) for key in MEANS]
    pairs += [(strict["IoU"][name], numbers["IoU"][name]) for name in NAMES]
    for lower, upper in pairs:
        assert np.isnan(upper) or np.isnan(lower) or lower <= upper + 1e-9
        assert np.isnan(upper) or not np.isnan(lower) or upper == 0  # hIoU of two zeros is the only one to vanish


@given(RECORDS)
def test_without_unanswered_pixels_strict_is_official(records):
    records = [(np.where((p < 0) | (p == IGNORE), 0, p), r, None) for p, r, _ in records]
    numbers = updated(records).compute()
    np.testing.assert_array_equal(flat(numbers), flat(numbers["strict"]))


def slow_numbers(records, strict):
    """The definition, with sets of pixels instead of a matrix."""
    truth, answer = [set() for _ in NAMES], [set() for _ in NAMES]
    for index, (prediction, reference, mask) in enumerate(records):
        for position in np.ndindex(reference.shape):
            given = prediction[position] if mask is None or mask[position] else -1
            label, answered = reference[position], given in range(NUM_CLASSES)
            if label == IGNORE or not (answered or strict):
                continue
            truth[label].add((index, position))
            if answered:
                answer[given].add((index, position))
    iou = {n: 100 * len(t & a) / len(t | a) if t else float("nan") for n, t, a in zip(NAMES, truth, answer)}

    def mean(ids):
        occurring = [i for i in ids if truth[i] or answer[i]]
        return sum(iou[NAMES[i]] for i in ids if truth[i]) / len(occurring) if occurring else float("nan")

    total = sum(map(len, truth))
    seen, unseen = mean([0, 1, 2]), mean([3, 4])
    return {
        "mIoU": mean(range(NUM_CLASSES)),
        "fwIoU": sum(iou[n] * len(t) for n, t in zip(NAMES, truth) if t) / total if total else 0.0,
        "mIoU_seen": seen,
        "mIoU_unseen": unseen,
        "hIoU": 2 * seen * unseen / (seen + unseen) if seen + unseen else float("nan"),
        "IoU": iou,
    }


@given(RECORDS)
def test_equals_a_slow_independent_implementation(records):
    numbers = updated(records).compute()
    np.testing.assert_allclose(flat(numbers), flat(slow_numbers(records, strict=False)), atol=1e-9)
    np.testing.assert_allclose(flat(numbers["strict"]), flat(slow_numbers(records, strict=True)), atol=1e-9)


# ---- kinds of input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_torch_maps_count_like_numpy_maps(dtype):
    prediction, reference = np.array([[0, 1, 255]]), np.array([[0, 2, 3]])
    found, expected = new_metric(), new_metric()
    found.update(torch.from_numpy(prediction).to(dtype), torch.from_numpy(reference).to(dtype), torch.ones(1, 3).bool())
    expected.update(prediction, reference)
    np.testing.assert_array_equal(found.confusion_matrix, expected.confusion_matrix)


def test_entries_may_stand_for_several_pixels():
    weighted, plain = new_metric(), new_metric()
    weighted.update([[0, 1, -1]], [[0, 2, 3]], [[1, 1, 0]], pixels=np.array([[3, 1, 2]]))
    plain.update([[0, 0, 0, 1, -1, -1]], [[0, 0, 0, 2, 3, 3]], [[1, 1, 1, 1, 0, 0]])
    np.testing.assert_array_equal(weighted.confusion_matrix, plain.confusion_matrix)
    assert weighted.confusion_matrix.dtype == np.int64
    with pytest.raises(ConfigurationError, match=r"pixels of shape \(1, 2\).*prediction of shape \(1, 1\)"):
        new_metric().update([[0]], [[0]], pixels=np.ones((1, 2), dtype=int))
    with pytest.raises(ConfigurationError, match="boundary must be False"):
        PartSegmentationMetric(NAMES, [0], IGNORE, boundary=True).update(
            [[0]], [[0]], pixels=np.ones((1, 1), dtype=int)
        )


def test_inputs_and_returned_matrix_are_not_shared():
    prediction, reference = np.array([[0, -1]]), np.array([[0, 255]])
    metric = new_metric()
    metric.update(prediction, reference, np.array([[0, 1]]))
    assert prediction.tolist() == [[0, -1]] and reference.tolist() == [[0, 255]]
    metric.confusion_matrix[:] = 7
    assert metric.confusion_matrix.sum() == 2


def test_reset_forgets():
    metric = PartSegmentationMetric(NAMES, [0], IGNORE, "partclipseg", boundary=True)
    metric.update([[0]], [[0]])
    assert {name: array.any() for name, array in metric.counts.items()} == {
        **dict.fromkeys(("confusion", "boundary", "label_difference"), True)
    }
    metric.reset()
    assert len(metric.counts) == 3 and not any(array.any() for array in metric.counts.values())


def test_update_returns_the_records_own_matrix():
    metric = new_metric()
    metric.update([[0]], [[0]])
    record = metric.update([[1]], [[2]])
    assert record.sum() == record[1, 2] == 1


@pytest.mark.parametrize("ignore_index", [-100, -1, NUM_CLASSES, 70000])
def test_any_ignore_index_outside_the_classes(ignore_index):
    metric = PartSegmentationMetric(NAMES, [0], ignore_index)
    metric.update(np.array([[4, ignore_index, -1, 0]]), np.array([[4, 0, 0, ignore_index]]))
    assert metric.confusion_matrix[4, 4] == metric.confusion_matrix[5, 0] - 1 == metric.confusion_matrix[0, 5] == 1


def test_more_than_256_classes_in_8_bit_maps():
    metric = PartSegmentationMetric([f"a's {i}" for i in range(300)], [], 65535)
    metric.update(np.array([[-1, 0]], dtype=np.int8), np.array([[255, 0]], dtype=np.uint8))
    assert metric.confusion_matrix[300, 255] == 1 and metric.confusion_matrix[0, 0] == 1


def test_counts_have_their_former_name_too():
    assert PictureCounts is ImageCounts


def test_numpy_is_enough():
    program = """
from ovparts_hf.metrics import ImageCounts, PartSegmentationMetric
metric, images = PartSegmentationMetric(["cat's ear"], [0], 255, boundary=True), ImageCounts(1)
images.add("a", metric.update([[0]], [[0]], [[True]]))
assert metric.compute()["mIoU"] == 100
"""
    assert packages_loaded(program) == {"numpy", "ovparts_hf"}


def test_large_counts_are_exact_or_refused():
    metric, large = new_metric(), 2**62
    counts = metric.counts
    counts["confusion"][0, 0] = large
    metric.merge(counts)
    with pytest.raises(ConfigurationError, match="more than can be counted"):
        metric.merge(counts)
    wrapping = counts["confusion"].astype(np.uint64)
    wrapping[1, 1] = 2**64 - 1
    with pytest.raises(ConfigurationError, match="more than can be counted"):
        metric.merge(wrapping)
    assert metric.confusion_matrix[0, 0] == metric.confusion_matrix.sum() == large

    metric = new_metric()
    weights = np.array([[2**53, 1, 1]])
    assert metric.update([[0, 0, 0]], [[0, 0, 0]], pixels=weights)[0, 0] == 2**53 + 2  # float64 would say 2^53
    with pytest.raises(ConfigurationError, match="more than can be counted"):
        metric.update([[0, 0]], [[0, 0]], pixels=np.array([[large, large]]))
    for wrong in ([[0.5]], [[-1]], [[True]]):
        with pytest.raises(ConfigurationError, match="no counts"):
            metric.update([[0]], [[0]], pixels=np.array(wrong))
    assert metric.confusion_matrix.sum() == 2**53 + 2


# ---- bad input -----------------------------------------------------------------------------------------------------

GOOD = np.zeros((2, 2), dtype=int)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GOOD.astype(float), GOOD), r"prediction is of dtype float64.*argmax"),
        ((torch.zeros(2, 2, dtype=torch.bfloat16), GOOD), r"prediction is of dtype torch.bfloat16"),
        ((GOOD, GOOD.astype(bool)), r"reference is of dtype bool"),
        (([[1], [1, 2]], GOOD), "prediction is not an array"),
        ((GOOD, GOOD, [[1], [1, 2]]), "object mask is not an array"),
        ((GOOD, GOOD, -GOOD.astype(float) - 1), "object mask holds values from"),
        ((GOOD, GOOD, [[-0.1, 0.9], [0, 1]]), r"object mask holds values from -0.1 to 1.*Threshold"),
        ((GOOD, GOOD, [[np.nan, 1], [0, 1]]), r"object mask holds values"),
        ((GOOD, GOOD, [["a", "b"], ["c", "d"]]), r"object mask is of dtype"),
        ((np.zeros((2, 3), int), np.zeros((3, 2), int)), r"reference of shape \(3, 2\) is transposed"),
        (
            (np.zeros((2, 3), int), np.zeros((2, 3), int), np.ones((3, 2))),
            r"object mask of shape \(3, 2\) is transposed",
        ),
        ((GOOD[None], GOOD), r"prediction has shape \(1, 2, 2\).*Update once"),
        ((GOOD, GOOD[0]), r"reference has shape \(2,\)"),
        ((GOOD[:0], GOOD), r"prediction has shape \(0, 2\)"),
        ((GOOD + 5, GOOD), r"prediction holds the ids \[5\]; allowed are the classes 0 to 4 and -1 or 255"),
        ((GOOD - 2, GOOD), r"prediction holds the ids \[-2\]"),
        ((GOOD, GOOD - 1), r"reference holds the ids \[-1\]; allowed are the classes 0 to 4 and 255"),
        ((GOOD, GOOD + 65535), r"reference holds the ids \[65535\]"),
    ],
)
def test_bad_maps_are_refused_and_count_nothing(arguments, message):
    metric = new_metric()
    with pytest.raises(ConfigurationError, match=message):
        metric.update(*arguments)
    assert not metric.confusion_matrix.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], 255), "No class names"),
        ((["a's b", "a's b"], [0], 255), r"\[\"a's b\"\] occur more than once"),
        ((["a's b"], [1], 255), r"seen ids \[1\] are no classes; ids run from 0 to 0"),
        ((["a's b"], [-1], 255), r"seen ids \[-1\]"),
        ((["a's b"], [0], 0), r"ignore_index 0 is the id of \"a's b\""),
    ],
)
def test_bad_vocabularies_are_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        PartSegmentationMetric(*arguments)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (PartSegmentationMetric(NAMES[:4], [0, 1, 2], IGNORE), "class_names cannot be merged: 5 here, 4 there"),
        (PartSegmentationMetric([*NAMES[:4], "x's y"], [0, 1, 2], IGNORE), '"x\'s y" there, at position 4'),
        (PartSegmentationMetric(NAMES, [0, 1], IGNORE), "different seen_ids"),
        (np.zeros((5, 5), dtype=int), r"shape \(5, 5\).*\(6, 6\)"),
        (np.zeros((6, 6)), "dtype float64"),
        (np.full((6, 6), -1), "non-negative"),
        (PartSegmentationMetric(NAMES, [0, 1, 2], IGNORE, "strict"), "different options"),
        (PartSegmentationMetric(NAMES, [0, 1, 2], IGNORE, boundary=True), "different options"),
        (PartSegmentationMetric(NAMES, [0, 1, 2], IGNORE, boundary=True).counts, r"\['boundary', 'confusion'\]"),
    ],
)
def test_what_does_not_fit_is_not_merged(other, message):
    metric = new_metric()
    with pytest.raises(ConfigurationError, match=message):
        metric.merge(other)
    assert not metric.confusion_matrix.any()
