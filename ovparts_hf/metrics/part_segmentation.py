"""The benchmark's metric as an object that is fed maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ConfigurationError
from ..resize import resize_nearest
from .confusion import as_map, confusion_matrix, with_none
from .scores import official_counts, strict_counts, summarize


class PartSegmentationMetric:
    """Seen, unseen and harmonic IoU of part segmentation (OV-PARTS, NeurIPS 2023).

    Keeps one confusion matrix, never pictures: the order and the grouping of updates do not matter, and the matrices of
    several processes add up to that of one.

    Args:
        class_names: The K part classes, in id order.
        seen_ids: Ids of the classes whose labels were available in training; the rest counts as unseen.
        ignore_index: Id of unlabelled pixels in references; not a class id.

    Raises:
        ConfigurationError: No or duplicate class names, a seen id that is no class, or an ignore index that is one.

    Example:
        >>> metric = PartSegmentationMetric(["dog's head", "dog's ear"], seen_ids=[0], ignore_index=255)
        >>> metric.update(prediction=[[0, 1, 1]], reference=[[0, 0, 1]])
        >>> metric.compute()["hIoU"]
        50.0
    """

    def __init__(self, class_names: Sequence[str], seen_ids: Iterable[int], ignore_index: int) -> None:
        self.class_names = (class_names,) if isinstance(class_names, str) else tuple(class_names)
        self.seen_ids = tuple(sorted({int(i) for i in seen_ids}))
        self.ignore_index = int(ignore_index)
        self._check_vocabulary()
        self.reset()

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)

    @property
    def confusion_matrix(self) -> np.ndarray:
        """int64 (K + 1, K + 1): pixels by prediction (row) and truth (column); index K is none. A copy."""
        return self._matrix.copy()

    def reset(self) -> None:
        """Forgets all updates."""
        self._matrix = np.zeros((self.num_classes + 1, self.num_classes + 1), dtype=np.int64)

    def update(self, prediction: Any, reference: Any, object_mask: Any = None) -> None:
        """Counts one record: a picture, or one object of it.

        Reference and object mask are resized to the prediction by nearest neighbour, as the benchmark does; predict at
        the size of the original picture to be comparable. Nothing is counted if an argument is refused.

        Args:
            prediction: (h, w) class ids; -1 or `ignore_index` where there is no answer. An array, or a torch tensor on
                any device.
            reference: (H, W) class ids, `ignore_index` where unlabelled.
            object_mask: (H', W') bool or integer, nonzero inside the object that the record is about: answers outside
                of it are dropped. None: all answers count.

        Raises:
            ConfigurationError: A map is not two-dimensional, holds fractions or ids that are no class.
        """
        prediction = with_none("prediction", as_map("prediction", prediction), self.num_classes, self._no_answer)
        reference = with_none("reference", as_map("reference", reference), self.num_classes, (self.ignore_index,))
        if object_mask is not None:
            inside = as_map("object mask", object_mask, integer=False) != 0
            prediction[~resize_nearest(inside, prediction.shape, np.float32)] = self.num_classes
        reference = resize_nearest(reference, prediction.shape)
        self._matrix += confusion_matrix(prediction, reference, self.num_classes)

    def merge(self, other: PartSegmentationMetric | np.ndarray) -> None:
        """Adds what another metric counted.

        Args:
            other: A metric over the same vocabulary, or the `confusion_matrix` that one in another process sent.

        Raises:
            ConfigurationError: The vocabularies or the shapes differ, or the matrix does not hold counts.
        """
        if isinstance(other, PartSegmentationMetric):
            self._check_same_vocabulary(other)
            other = other._matrix
        other = np.asarray(other)
        if other.shape != self._matrix.shape or other.dtype.kind not in "iu" or (other < 0).any():
            raise ConfigurationError(
                f"A matrix of shape {other.shape} and dtype {other.dtype} cannot be merged; for {self.num_classes} "
                f"classes it must hold counts (non-negative integers) in the shape {self._matrix.shape}."
            )
        self._matrix += other.astype(np.int64)

    def compute(self) -> dict[str, Any]:
        """The numbers of everything that was counted, in percent.

        Returns:
            `mIoU`, `fwIoU`, `mIoU_seen`, `mIoU_unseen`, `hIoU`: floats, NaN where undefined. `IoU`: a dict by class
            name, NaN for a class that no reference has. These are the benchmark's official numbers, which leave out the
            labelled pixels that got no answer. `strict`: a dict with the same keys, in which such a pixel is a miss of
            its class and nothing else changes. So no strict IoU or mean exceeds the official one; only `fwIoU`, whose
            weights change as well, may.
        """
        seen = np.zeros(self.num_classes, dtype=bool)
        seen[list(self.seen_ids)] = True
        official = summarize(official_counts(self._matrix), self.class_names, seen)
        return {**official, "strict": summarize(strict_counts(self._matrix), self.class_names, seen)}

    @property
    def _no_answer(self) -> tuple[int, ...]:
        return (-1,) if self.ignore_index == -1 else (-1, self.ignore_index)

    def _check_vocabulary(self) -> None:
        if not self.class_names:
            raise ConfigurationError("No class names were given; the metric needs at least one.")
        twice = sorted({name for name in self.class_names if self.class_names.count(name) > 1})
        if twice:
            raise ConfigurationError(f"The class names {twice} occur more than once; each must be unique.")
        wrong = [i for i in self.seen_ids if not 0 <= i < self.num_classes]
        if wrong:
            raise ConfigurationError(f"The seen ids {wrong} are no classes; ids run from 0 to {self.num_classes - 1}.")
        if 0 <= self.ignore_index < self.num_classes:
            raise ConfigurationError(
                f"ignore_index {self.ignore_index} is the id of {self.class_names[self.ignore_index]!r}; use a number "
                f"outside 0 to {self.num_classes - 1}, such as 255 or 65535."
            )

    def _check_same_vocabulary(self, other: PartSegmentationMetric) -> None:
        for attribute in ("class_names", "seen_ids"):
            mine, theirs = getattr(self, attribute), getattr(other, attribute)
            if mine != theirs:
                raise ConfigurationError(
                    f"Metrics with different {attribute} cannot be merged: {_difference(mine, theirs)}. "
                    "Build both over the same vocabulary."
                )


def _difference(mine: tuple[Any, ...], theirs: tuple[Any, ...]) -> str:
    if len(mine) != len(theirs):
        return f"{len(mine)} here, {len(theirs)} there"
    return next(f"{a!r} here, {b!r} there, at position {i}" for i, (a, b) in enumerate(zip(mine, theirs)) if a != b)
