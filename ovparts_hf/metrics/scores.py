"""Confusion matrices to numbers, as the OV-PARTS benchmark defines them (NeurIPS 2023, section 3).

Per class, over labelled pixels only: intersection over union. Then means over sets of classes and the harmonic mean of
seen and unseen. Everything is computed once from the matrix of a whole test set, never averaged over pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ClassCounts:
    """Pixel counts of each class.

    Attributes:
        hit: float64 (K,), pixels of the class that were predicted as it.
        labelled: float64 (K,), pixels of the class in the ground truth.
        predicted: float64 (K,), labelled pixels that were predicted as the class.
    """

    hit: np.ndarray
    labelled: np.ndarray
    predicted: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """float64 (K,), 0 to 1; NaN for a class that no ground truth has."""
        union = self.labelled + self.predicted - self.hit
        return np.divide(self.hit, union, out=np.full_like(self.hit, np.nan), where=self.labelled > 0)


def official_counts(matrix: np.ndarray) -> ClassCounts:
    """The benchmark's counts: a labelled pixel without an answer is left out, as if it were unlabelled.

    Args:
        matrix: int64 (K + 1, K + 1), row = prediction, column = truth, index K = none.
    """
    answered = matrix[:-1, :-1].astype(np.float64)
    return ClassCounts(answered.diagonal(), answered.sum(axis=0), answered.sum(axis=1))


def strict_counts(matrix: np.ndarray) -> ClassCounts:
    """As `official_counts`, but a labelled pixel without an answer is a miss of its class."""
    official = official_counts(matrix)
    return ClassCounts(official.hit, matrix[:, :-1].sum(axis=0).astype(np.float64), official.predicted)


def mean_iou(counts: ClassCounts, members: np.ndarray) -> float:
    """Mean IoU (0 to 1) of the classes that `members`, bool (K,), selects.

    The benchmark divides by the number of classes that occur in ground truth *or prediction*: a class that is predicted
    but never present lowers the mean as an IoU of 0 would, though its own IoU is NaN. NaN if there is nothing to divide
    by.
    """
    occurring = (counts.labelled + counts.predicted > 0) & members
    return float(np.nansum(counts.iou[members]) / occurring.sum()) if occurring.any() else float("nan")


def frequency_weighted_iou(counts: ClassCounts) -> float:
    """IoU (0 to 1) weighted by each class's share of the labelled pixels; 0 if none is labelled."""
    total = counts.labelled.sum()
    return float(np.nansum(counts.iou * counts.labelled) / total) if total else 0.0


def harmonic_mean(first: float, second: float) -> float:
    """Harmonic mean of two numbers, NaN if either is NaN or both are 0."""
    return 2 * first * second / (first + second) if first + second else float("nan")


def summarize(counts: ClassCounts, class_names: Sequence[str], seen: np.ndarray) -> dict[str, Any]:
    """All the numbers of one evaluation, in percent.

    Args:
        counts: Of K classes.
        class_names: K names.
        seen: bool (K,).

    Returns:
        `mIoU`, `fwIoU`, `mIoU_seen`, `mIoU_unseen`, `hIoU` as floats (NaN where undefined) and `IoU`, a dict by class
        name.
    """
    mean, on_seen, on_unseen = (100 * mean_iou(counts, members) for members in (np.ones_like(seen), seen, ~seen))
    return {
        "mIoU": mean,
        "fwIoU": 100 * frequency_weighted_iou(counts),
        "mIoU_seen": on_seen,
        "mIoU_unseen": on_unseen,
        "hIoU": harmonic_mean(on_seen, on_unseen),
        "IoU": dict(zip(class_names, (100 * counts.iou).tolist())),
    }
