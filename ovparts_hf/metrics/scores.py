"""Pixel counts of each class to numbers.

Everything is computed once from the counts of a whole test set, never averaged over images. Counts may have leading
axes, for many test sets at once. Over which classes a mean is taken is where evaluators differ: see `flavours`.
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
    """Pixel counts of each class: float64 (..., K), the same shape for all three."""

    hit: np.ndarray  # pixels of the class that were predicted as it
    labelled: np.ndarray  # pixels of the class in the ground truth
    predicted: np.ndarray  # labelled pixels that were predicted as the class

    @property
    def iou(self) -> np.ndarray:
        """float64 (..., K), 0 to 1; NaN for a class that neither ground truth nor prediction has."""
        return _ratio(self.hit, self.labelled + self.predicted - self.hit)

    @property
    def recall(self) -> np.ndarray:
        """float64 (..., K), 0 to 1: share of a class's pixels that were found; NaN if no ground truth has it."""
        return _ratio(self.hit, self.labelled)


Rule = Callable[[ClassCounts], np.ndarray]
"""Chooses classes: counts -> bool (..., K)."""


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
    """What evaluators choose differently."""

    defined: Rule  # classes whose own IoU is reported; that of the others is NaN
    averaged: Rule  # classes that mIoU averages; one without any ground truth counts as 0
    averaged_in_set: Rule  # likewise for the means over seen or unseen classes


def means(counts: ClassCounts, formulas: Formulas, seen: np.ndarray) -> dict[str, np.ndarray]:
    """The numbers that are not about a single class: float64 (...) in percent by name, NaN where undefined.

    `counts` are (..., K), or (..., K + 1) with the background last, which is neither seen nor unseen; `seen` is bool
    (K,). fwIoU is 0 if nothing is labelled.
    """
    size, background = counts.hit.shape[-1], counts.hit.shape[-1] - len(seen)
    sets = {"_seen": np.pad(seen, (0, background)), "_unseen": np.pad(~seen, (0, background))}
    iou, recall = 100 * counts.iou, 100 * counts.recall
    with_truth, in_mean, in_set = (rule(counts) for rule in (labelled, formulas.averaged, formulas.averaged_in_set))

    numbers = {
        "mIoU": _mean(iou, in_mean),
        "fwIoU": np.nansum(iou * counts.labelled, axis=-1) / np.maximum(counts.labelled.sum(axis=-1), 1),
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
    """The `means` of one evaluation as floats, and `IoU` and `recall` by class name; percent, NaN where undefined."""
    iou = np.where(formulas.defined(counts), 100 * counts.iou, np.nan)
    return {
        **{name: float(value) for name, value in means(counts, formulas, seen).items()},
        "IoU": dict(zip(class_names, iou.tolist())),
        "recall": dict(zip(class_names, (100 * counts.recall).tolist())),
    }


def harmonic_mean(first: np.ndarray | float, second: np.ndarray | float) -> np.ndarray | float:
    """Harmonic mean of numbers that are not negative, NaN if either is NaN or both are 0."""
    return _ratio(2 * first * second, first + second)


def _mean(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Mean of the members among values (..., K): (...), NaN where there is none.

    Zeros in the place of the others would group the sum differently and change its last bit.
    """
    sizes = members.sum(axis=-1)
    result = np.full(sizes.shape, np.nan)
    for size in np.unique(sizes[sizes > 0]):
        rows = sizes == size
        result[rows] = values[rows][members[rows]].reshape(-1, size).mean(axis=-1)
    return result


def _pixel_accuracy(counts: ClassCounts, members: np.ndarray) -> np.ndarray | float:
    return 100 * _ratio(counts.hit[..., members].sum(axis=-1), counts.labelled[..., members].sum(axis=-1))


def _ratio(numerator: np.ndarray | float, denominator: np.ndarray | float) -> np.ndarray | float:
    """NaN where the denominator is 0 or NaN."""
    undefined = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=np.greater(denominator, 0))[()]
