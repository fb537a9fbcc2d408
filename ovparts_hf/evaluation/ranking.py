"""How well single records were predicted, to show the best, the worst and the most confused ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..data.records import Record
from ..metrics.flavours import STRICT
from ..taxonomy import PartTaxonomy

Order = Literal["best", "worst", "confused"]


@dataclass(frozen=True)
class RecordScore:
    """How well one record was predicted, in three numbers."""

    record: Record  # for `pred_all` an image
    iou: float  # strict mean over the parts that occur in it, in percent
    confused: float  # share of its labelled pixels that were taken for another part, 0 to 1
    mistaken: tuple[int, int] | None  # ids of the part and the prediction that were confused most, if any were


def score_record(record: Record, matrix: np.ndarray) -> RecordScore:
    """Scores a record by its int64 (K + 1, K + 1) counts: row = prediction, column = truth, index K = none."""
    iou = STRICT.counts(matrix).iou
    mean = float("nan") if np.isnan(iou).all() else float(100 * np.nanmean(iou))
    others = matrix[:-1, :-1].copy()
    np.fill_diagonal(others, 0)
    labelled, wrong = int(matrix[:, :-1].sum()), int(others.sum())
    predicted, part = (int(i) for i in np.unravel_index(others.argmax(), others.shape))
    return RecordScore(record, mean, wrong / max(labelled, 1), (part, predicted) if wrong else None)


def rank(scores: Iterable[RecordScore], order: Order, taxonomy: PartTaxonomy, count: int) -> list[RecordScore]:
    """Up to `count` records, "best" or "worst" by IoU or the most "confused", one of each object class (or image).

    An object with a single part cannot be predicted wrongly inside its mask: it is never among the best. "confused"
    leaves out records without any confused pixel.
    """
    keys = {"best": lambda s: -s.iou, "worst": lambda s: s.iou, "confused": lambda s: -s.confused}
    ranked = [score for score in scores if not np.isnan(score.iou) and _is_ranked(score, order, taxonomy)]
    chosen: dict[object, RecordScore] = {}
    for score in sorted(ranked, key=keys[order]):
        record = score.record
        chosen.setdefault((record.split, record.row) if record.object_id is None else record.object_id, score)
    return list(chosen.values())[:count]


def _is_ranked(score: RecordScore, order: Order, taxonomy: PartTaxonomy) -> bool:
    if order == "confused":
        return score.mistaken is not None
    object_id = score.record.object_id
    return order == "worst" or object_id is None or len(taxonomy.parts_of(object_id)) > 1
