"""Where a score comes from: objects, part names, sizes, and which parts are mistaken for which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .flavours import FlavourName, get_flavour
from .image_counts import ImageCounts
from .scores import ClassCounts

SIZES = {"small": (1, 32**2), "medium": (32**2, 96**2), "large": (96**2, np.inf)}
"""Pixels of a part in one record, from the first number to below the second (the limits of COCO's object sizes)."""


def mean_by(key: str, iou: Mapping[str, float], classes: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Averages the IoU of classes that have something in common.

    Args:
        key: What: "object" ("dog") or "part" ("ear", of any object).
        iou: By class name; NaN is left out.
        classes: Rows of `describe_classes`.

    Returns:
        Mean IoU by object or part name, in order of first appearance; NaN where no class has one.
    """
    groups: dict[str, list[float]] = {}
    for row in classes:
        groups.setdefault(row[key], []).append(iou[row["name"]])
    known = {name: [value for value in values if value == value] for name, values in groups.items()}
    return {name: sum(values) / len(values) if values else float("nan") for name, values in known.items()}


def confusions(matrix: np.ndarray, class_names: Sequence[str], count: int = 20) -> list[dict[str, Any]]:
    """The parts that are mistaken for another most.

    Args:
        matrix: int64 (K + 1, K + 1), row = prediction, column = truth.
        class_names: K names.
        count: How many pairs.

    Returns:
        Dicts with `truth` and `prediction` (class names), `pixels`, and `share`: of the labelled pixels of the true
        class, in percent. By falling number of pixels.
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
    """Mean IoU of small, medium and large parts.

    A part of a record is small, medium or large by its own number of labelled pixels, see `SIZES`. Only answers in
    records that have the part count, since others have no size; so false alarms elsewhere are not in these numbers.

    Args:
        images: What was counted.
        metrics: Whose definition of a class's pixels to use.

    Returns:
        By size: mean IoU, in percent, of the classes that occur in it; NaN if none does.
    """
    count = get_flavour(metrics).given_objects.counts
    totals = {size: np.zeros((3, images.num_classes)) for size in SIZES}
    for matrix in images.matrices():
        counts = count(matrix)
        for size, (lowest, limit) in SIZES.items():
            chosen = (counts.labelled >= lowest) & (counts.labelled < limit)
            totals[size] += np.stack([counts.hit, counts.labelled, counts.predicted]) * chosen
    ious = {size: ClassCounts(*total).iou for size, total in totals.items()}
    return {size: 100 * float(np.nanmean(iou)) if (iou == iou).any() else float("nan") for size, iou in ious.items()}
