"""Scores of other papers, from counts: over- and under-segmentation (HOPS), and gIoU, cIoU and P@50 (InstructPart).

docs/scores.md states each with its source. All are in percent, and NaN where undefined. A confusion matrix here is that
of `PartSegmentationMetric.update` with the metrics "strict": it also holds the answers where nothing is labelled, which
these scores count as mistakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .flavours import every_count
from .scores import found


def mask_scores(matrices: Iterable[np.ndarray]) -> dict[str, float]:
    """gIoU, cIoU and P@50 over the masks of all parts labelled in each record.

    Args:
        matrices: int64 (K + 1, K + 1) of each record, row = prediction, column = truth, index K = none.
    """
    pairs = [_labelled_masks(matrix) for matrix in matrices]
    hit, union = np.concatenate([np.empty((2, 0)), *pairs], axis=1)
    if not len(hit):
        return dict.fromkeys(("gIoU", "cIoU", "P@50"), float("nan"))
    return {
        "gIoU": 100 * float(np.mean(hit / union)),
        "cIoU": 100 * float(hit.sum() / union.sum()),
        "P@50": 100 * float(np.mean(2 * hit >= union)),
    }


def under_segmentation(matrix: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    """mUSI: the share of a part's pixels that were missed; with the background, as HOPS counts it, over all classes.

    Args:
        matrix: int64 (K + 1, K + 1) of all records, index K = background.
        seen: bool (K,).
    """
    counts = every_count(matrix)
    missed = _share(counts.labelled - counts.hit, counts.labelled)
    parts, of_parts = missed[:-1], found(counts)[:-1]
    return {
        "mUSI": _mean(missed),
        "mUSI_seen": _mean(parts[of_parts & seen]),
        "mUSI_unseen": _mean(parts[of_parts & ~seen]),
    }


def over_segmentation(matrix: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    """mOSI: the share of the pixels taken for an object, by any of its parts, that are outside of it.

    Args:
        matrix: int64 (O + 1, O + 1) of all records by object, see `fold_objects`; index O = none.
        seen: bool (O,), objects with at least one seen part.
    """
    counts = every_count(matrix)
    outside = np.where(counts.labelled > 0, _share(counts.predicted - counts.hit, counts.predicted), np.nan)[:-1]
    return {"mOSI": _mean(outside), "mOSI_seen": _mean(outside[seen]), "mOSI_unseen": _mean(outside[~seen])}


def fold_objects(matrix: np.ndarray, object_ids: Sequence[int], num_objects: int) -> np.ndarray:
    """Counts by part, (K + 1, K + 1), as counts by object, (O + 1, O + 1); `object_ids` has the object of each part."""
    rows = np.zeros((num_objects + 1, len(matrix)), dtype=matrix.dtype)
    folded = np.zeros((num_objects + 1, num_objects + 1), dtype=matrix.dtype)
    objects = np.array([*object_ids, num_objects])
    np.add.at(rows, objects, matrix)
    np.add.at(folded.T, objects, rows.T)
    return folded


def _labelled_masks(matrix: np.ndarray) -> np.ndarray:
    """float64 (2, masks): pixels of intersection and union of each part that is labelled in a record."""
    counts = every_count(matrix)
    present = counts.labelled > 0
    present[-1] = False
    return np.stack([counts.hit, counts.labelled + counts.predicted - counts.hit])[:, present]


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean(shares: np.ndarray) -> float:
    """In percent; NaN among the shares is left out."""
    defined = shares[~np.isnan(shares)]
    return 100 * float(defined.mean()) if len(defined) else float("nan")
