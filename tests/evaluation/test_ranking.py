import numpy as np
import pytest

from ovparts_hf.data.records import Record
from ovparts_hf.evaluation.ranking import RecordScore, rank, score_record
from ovparts_hf.taxonomy import PartTaxonomy

TAXONOMY = PartTaxonomy.from_dict({"cat": ["ear", "leg"], "bus": ["wheel"], "dog": ["ear", "leg"]})
RECORD = Record("validation", 0, 0)


def test_scores_of_a_record():
    matrix = np.zeros((4, 4), dtype=np.int64)
    matrix[0, 0], matrix[1, 0], matrix[3, 1] = 6, 2, 4  # right, as another part, and none
    found = score_record(RECORD, matrix)
    assert found.iou == pytest.approx(100 * (6 / 8 + 0 / 6) / 2)
    assert found.confused == pytest.approx(2 / 12)
    assert found.mistaken == (0, 1)


def test_predictions_on_unlabelled_pixels_do_not_count():
    matrix = np.zeros((4, 4), dtype=np.int64)
    matrix[0, 0], matrix[1, 3] = 5, 9
    assert score_record(RECORD, matrix) == RecordScore(RECORD, 100.0, 0.0, None)
    empty = score_record(RECORD, np.zeros((4, 4), dtype=np.int64))
    assert np.isnan(empty.iou) and empty.confused == 0


def scored(row, object_id, iou, confused=0.0):
    return RecordScore(Record("validation", row, object_id), iou, confused, (0, 1) if confused else None)


SCORES = [
    scored(0, 0, 90.0),
    scored(1, 0, 95.0, 0.05),
    scored(2, 1, 100.0),
    scored(3, 2, 20.0, 0.6),
    scored(4, 2, 10.0),
    scored(5, 1, float("nan"), 0.9),
]


@pytest.mark.parametrize(("order", "rows"), [("best", [1, 3]), ("worst", [4, 0, 2]), ("confused", [3, 1])])
def test_order(order, rows):
    assert [each.record.row for each in rank(SCORES, order, TAXONOMY, 6)] == rows
    assert [each.record.row for each in rank(SCORES, order, TAXONOMY, 1)] == rows[:1]


def test_several_images_without_an_object_are_ranked():
    images = [scored(row, None, 10.0 * row) for row in range(3)]
    assert [each.record.row for each in rank(images, "best", TAXONOMY, 2)] == [2, 1]
