"""Where a score comes from: objects, part names, sizes, and which parts are mistaken for which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .confusion import ImageCounts
from .flavours import FlavourName, get_flavour
from .scores import ClassCounts

SIZES = {"small": (1, 32**2), "medium": (32**2, 96**2), "large": (96**2, np.inf)}
"""Pixels of a part in one record, from the first number to below the second (the limits of COCO's object sizes)."""


def mean_by(key: str, iou: Mapping[str, float], classes: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Mean IoU by "object" ("dog") or "part" ("ear", of any object), by first appearance; NaN where no class has one.

    `iou` is by class name, `classes` as `BenchmarkResult.classes`.
    """
    groups: dict[str, list[float]] = {}
    for row in classes:
        groups.setdefault(row[key], []).append(iou[row["name"]])
    defined = {name: [value for value in values if value == value] for name, values in groups.items()}
    return {name: sum(values) / len(values) if values else float("nan") for name, values in defined.items()}


def confusions(matrix: np.ndarray, class_names: Sequence[str], count: int = 20) -> list[dict[str, Any]]:
    """The pairs of parts that are confused most, with `share` in percent of the labelled pixels of the true class.

    `matrix` is int64 (K + 1, K + 1), row = prediction, column = truth.
    """
    wrong = matrix[:-1, :-1].copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    labelled = matrix[:, :-1].sum(axis=0)
    return [
        {
            "truth": class_names[truth],
            "prediction": class_names[prediction],
            "pixels": int(wrong[prediction, truth]),
            "share": 100 * float(wrong[prediction, truth] / labelled[truth]),
        }
        for prediction, truth in zip(*np.unravel_index(order, wrong.shape))
        if wrong[prediction, truth]
    ]


def mean_iou_by_size(images: ImageCounts, metrics: FlavourName = "strict") -> dict[str, float]:
    """Mean IoU, in percent, of the small, medium and large parts that occur; NaN if none does.

    A part of a record has the size of its own labelled pixels there, see `SIZES`. Only predictions in records that have
    the part count, since others have no size; so false alarms elsewhere are not in these numbers.
    """
    count = get_flavour(metrics).given_objects.counts
    totals = {size: np.zeros((3, images.num_classes)) for size in SIZES}
    for matrix in images.matrices():
        counts = count(matrix)
        for size, (lowest, limit) in SIZES.items():
            of_size = (counts.labelled >= lowest) & (counts.labelled < limit)
            totals[size] += np.stack([counts.hit, counts.labelled, counts.predicted]) * of_size
    ious = {size: ClassCounts(*total).iou for size, total in totals.items()}
    return {size: 100 * float(np.nanmean(iou)) if (iou == iou).any() else float("nan") for size, iou in ious.items()}
