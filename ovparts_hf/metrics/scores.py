"""Pixel counts of each class to numbers.

Per class, over labelled pixels only: intersection over union and recall. Then means over sets of classes and the
harmonic mean of seen and unseen. Everything is computed once from the counts of a whole test set, never averaged over
images. In which classes a mean is taken is where evaluators differ: see `flavours`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MEANS = ("mIoU", "fwIoU", "mIoU_seen", "mIoU_unseen", "hIoU")
"""The five numbers that tables show."""


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
        """float64 (K,), 0 to 1; NaN for a class that neither ground truth nor prediction has."""
        return _ratio(self.hit, self.labelled + self.predicted - self.hit)

    @property
    def recall(self) -> np.ndarray:
        """float64 (K,), 0 to 1: share of the class's pixels that were found; NaN for a class no ground truth has."""
        return _ratio(self.hit, self.labelled)


Rule = Callable[[ClassCounts], np.ndarray]
"""Chooses classes: counts of K classes -> bool (K,)."""


def labelled(counts: ClassCounts) -> np.ndarray:
    """Classes that some ground truth has."""
    return counts.labelled > 0


def occurring(counts: ClassCounts) -> np.ndarray:
    """Classes that some ground truth or some prediction has."""
    return counts.labelled + counts.predicted > 0


def found(counts: ClassCounts) -> np.ndarray:
    """Classes of which at least one pixel was found."""
    return counts.hit > 0


@dataclass(frozen=True)
class Formulas:
    """What a set of formulas is free to choose.

    Attributes:
        defined: Classes whose own IoU is reported; that of the others is NaN.
        averaged: Classes that mIoU averages; one without any ground truth counts as 0.
        averaged_in_set: Likewise for the means over seen or unseen classes.
    """

    defined: Rule
    averaged: Rule
    averaged_in_set: Rule


def means(counts: ClassCounts, formulas: Formulas, seen: np.ndarray) -> dict[str, float]:
    """The numbers of one evaluation that are not about a single class, in percent.

    Args:
        counts: Of K classes, or of K + 1 with the background last, which is neither seen nor unseen.
        formulas: How to average.
        seen: bool (K,).

    Returns:
        Floats, NaN where undefined (`fwIoU` is 0 if nothing is labelled): `mIoU`, `fwIoU`, `mRecall` and
        `pixel_accuracy`; `mIoU`, `mRecall` and `pixel_accuracy` followed by `_seen` and `_unseen`; the harmonic means
        `hIoU` and `hRecall`.
    """
    size, background = len(counts.hit), len(counts.hit) - len(seen)
    sets = {"_seen": np.pad(seen, (0, background)), "_unseen": np.pad(~seen, (0, background))}
    iou, recall = 100 * counts.iou, 100 * counts.recall
    with_truth, in_mean, in_set = (rule(counts) for rule in (labelled, formulas.averaged, formulas.averaged_in_set))

    numbers = {
        "mIoU": _mean(iou, in_mean),
        "fwIoU": float(np.nansum(iou * counts.labelled) / max(counts.labelled.sum(), 1)),
        "mRecall": _mean(recall, with_truth),
        "pixel_accuracy": _pixel_accuracy(counts, np.ones(size, dtype=bool)),
    }
    for name, members in sets.items():
        numbers["mIoU" + name] = _mean(iou, in_set & members)
        numbers["mRecall" + name] = _mean(recall, in_set & with_truth & members)
        numbers["pixel_accuracy" + name] = _pixel_accuracy(counts, members)
    numbers["hIoU"] = harmonic_mean(numbers["mIoU_seen"], numbers["mIoU_unseen"])
    numbers["hRecall"] = harmonic_mean(numbers["mRecall_seen"], numbers["mRecall_unseen"])
    return numbers


def summarize(counts: ClassCounts, formulas: Formulas, class_names: Sequence[str], seen: np.ndarray) -> dict[str, Any]:
    """All the numbers of one evaluation, in percent.

    Args:
        counts: As for `means`.
        formulas: How to average.
        class_names: K names.
        seen: bool (K,).

    Returns:
        The numbers of `means`, and `IoU` and `recall`: dicts by class name, NaN where undefined.
    """
    iou = np.where(formulas.defined(counts), 100 * counts.iou, np.nan)
    return {
        **means(counts, formulas, seen),
        "IoU": dict(zip(class_names, iou.tolist())),
        "recall": dict(zip(class_names, (100 * counts.recall).tolist())),
    }


def harmonic_mean(first: float, second: float) -> float:
    """Harmonic mean of two numbers, NaN if either is NaN or both are 0."""
    return 2 * first * second / (first + second) if first + second else float("nan")


def _mean(values: np.ndarray, members: np.ndarray) -> float:
    return float(values[members].mean()) if members.any() else float("nan")


def _pixel_accuracy(counts: ClassCounts, members: np.ndarray) -> float:
    return 100 * float(_ratio(counts.hit[members].sum(), counts.labelled[members].sum()))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
