"""Every number of every public evaluator."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from ovparts_hf.metrics import PartSegmentationMetric

from ..golden_folder import golden

FOLDER = golden("evaluator").folder


def read_expected(folder: Path) -> dict[str, dict[str, dict[str, float | None]]]:
    """Case -> evaluator -> number's name -> value; without the evaluators that fail."""
    packed = folder / "expected.json.gz"
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / "expected.json").read_bytes()
    cases = {case: facts.get("evaluators", facts) for case, facts in json.loads(content).items()}
    return {
        case: {name: numbers for name, numbers in evaluators.items() if "error" not in numbers}
        for case, evaluators in cases.items()
    }


EXPECTED = read_expected(FOLDER)
CASES = [(case, evaluator) for case, evaluators in EXPECTED.items() for evaluator in evaluators]
FAILED = [
    (case, evaluator)
    for case, evaluators in EXPECTED.items()
    for evaluator in ("partclipseg_oracle", "partcatseg_oracle")
    if evaluator not in evaluators
]

OURS = {
    "mIoU": ("mIoU",),
    "fwIoU": ("fwIoU",),
    "pACC": ("pixel_accuracy",),
    "mRecall": ("mRecall",),
    "mACC": ("mRecall",),  # they say precision; it is the recall again
    "h-IoU": ("hIoU",),
    "h-Recall": ("hRecall",),
    "h-bIoU": ("label_difference_boundary", "hIoU"),
}
for theirs, ours in (("base", "seen"), ("unbase", "unseen")):
    OURS[f"mIoU-{theirs}"] = (f"mIoU_{ours}",)
    OURS[f"mRecall-{theirs}"] = (f"mRecall_{ours}",)
    OURS[f"pACC-{theirs}"] = (f"mRecall_{ours}",)  # PartCATSeg's is a mean over classes
    OURS[f"pAcc-{theirs}"] = (f"pixel_accuracy_{ours}",)
    OURS[f"Boundary-mIoU-{theirs}"] = ("label_difference_boundary", f"mIoU_{ours}")
PER_CLASS = {
    "IoU": ("IoU",),
    "ACC": ("recall",),
    "Recall": ("recall",),
    "BoundaryIoU": ("label_difference_boundary", "IoU"),
}


def flavour_of(evaluator):
    name, _, mode = (evaluator, "", "") if evaluator == "ov_parts" else evaluator.partition("_")
    return name, mode == "pred_all"


def counted(case, evaluator):
    data = np.load(FOLDER / f"{case}.npz")
    name, pred_all = flavour_of(evaluator)
    metric = PartSegmentationMetric(
        data["class_names"].tolist(), data["base_ids"], data["ignore_index"], name, pred_all, name == "partclipseg"
    )
    for i in range(data["num_samples"]):
        metric.update(data[f"pred_all_{i}" if pred_all else f"pred_{i}"], data[f"gt_{i}"], data[f"obj_mask_{i}"])
    return metric, data


@pytest.mark.parametrize(("case", "evaluator"), CASES)
def test_every_number_equals_the_evaluators(case, evaluator):
    metric, _ = counted(case, evaluator)
    numbers = metric.compute()
    found = {}
    for theirs in EXPECTED[case][evaluator]:
        kind, _, name = theirs.partition("-")
        path = OURS.get(theirs) or (*PER_CLASS[kind], name)
        value = numbers
        for key in path:
            value = value[key]
        found[theirs] = value
    expected = {key: float("nan") if value is None else value for key, value in EXPECTED[case][evaluator].items()}
    assert found == pytest.approx(expected, abs=1e-9, rel=0, nan_ok=True)


@pytest.mark.parametrize(("case", "evaluator"), CASES)
def test_what_an_evaluator_leaves_out_is_undefined(case, evaluator):
    numbers = counted(case, evaluator)[0].compute()
    for theirs in ("mIoU-base", "mIoU-unbase", "h-IoU"):
        if theirs not in EXPECTED[case][evaluator]:
            assert np.isnan(numbers[OURS[theirs][0]])


@pytest.mark.parametrize(("case", "evaluator"), CASES)
def test_matrices_equal_the_evaluators(case, evaluator):
    metric, data = counted(case, evaluator)
    np.testing.assert_array_equal(metric.confusion_matrix, data[f"conf_{evaluator}"])
    if metric.boundary:
        np.testing.assert_array_equal(metric.counts["label_difference"], data[f"bconf_{evaluator}"])


@pytest.mark.parametrize(("case", "evaluator"), FAILED)
def test_a_record_without_labels_changes_nothing_where_the_evaluators_fail(case, evaluator):
    metric, data = counted(case, evaluator)
    labelled = any((data[f"gt_{i}"] != data["ignore_index"]).any() for i in range(data["num_samples"]))
    assert np.isnan(metric.compute()["mIoU"]) != labelled
