"""The benchmark's metric: updated with label maps, computed once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ConfigurationError
from ..utils.arguments import whole_numbers
from ..utils.resize import resize_nearest
from .boundary import boundary_counts, label_difference_matrix
from .confusion import as_map, check_sum, confusion_matrix, with_none
from .flavours import LABEL_DIFFERENCE, STRICT, FlavourName, answered_counts, every_count, get_flavour
from .scores import ClassCounts, Formulas, summarize


class PartSegmentationMetric:
    """Seen, unseen and harmonic IoU of part segmentation (OV-PARTS, NeurIPS 2023, and its successors).

    Keeps counts, never images: the order and the grouping of updates do not matter, and the counts of several
    processes add up to those of one.

    Args:
        class_names: The K part classes, in id order.
        seen_ids: Ids of the classes whose labels were available in training; the rest counts as unseen.
        ignore_index: Id of unlabelled pixels in references; not a class id.
        metrics: Whose definitions to use, "ov_parts", "partclipseg", "partcatseg" or "strict": see docs/protocol.md.
        pred_all: Whether nothing was given at test time; the id K in predictions then stands for the background.
            Not defined by "ov_parts".
        boundary: Whether to score borders too, at several times the cost.

    Raises:
        ConfigurationError: No or duplicate class names, a seen id that is no class, an ignore index that is one, or
            metrics that are unknown or do not define pred_all.

    Example:
        >>> metric = PartSegmentationMetric(["dog's head", "dog's ear"], seen_ids=[0], ignore_index=255)
        >>> metric.update(prediction=[[0, 1, 1]], reference=[[0, 0, 1]])
        >>> metric.compute()["hIoU"]
        50.0
    """

    def __init__(
        self,
        class_names: Sequence[str],
        seen_ids: Iterable[int],
        ignore_index: int,
        metrics: FlavourName = "ov_parts",
        pred_all: bool = False,
        boundary: bool = False,
    ) -> None:
        self.class_names = (class_names,) if isinstance(class_names, str) else tuple(class_names)
        self.seen_ids = tuple(sorted(set(whole_numbers("seen_ids", seen_ids))))
        [self.ignore_index] = whole_numbers("ignore_index", [ignore_index])
        self.metrics = metrics
        self.pred_all = pred_all
        self.boundary = boundary
        self._flavour = get_flavour(metrics)
        self._scoring = self._flavour.scoring(pred_all)
        self._check_vocabulary()
        self.reset()

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)

    @property
    def confusion_matrix(self) -> np.ndarray:
        """int64 (K + 1, K + 1): pixels by prediction (row) and truth (column); index K is none. A copy."""
        return self._counts["confusion"].copy()

    @property
    def counts(self) -> dict[str, np.ndarray]:
        """Everything that was counted, as int64 arrays that add up over processes; for `merge`. A copy."""
        return {name: array.copy() for name, array in self._counts.items()}

    def reset(self) -> None:
        """Forgets all updates."""
        square = (self.num_classes + 1, self.num_classes + 1)
        shapes = {"confusion": square}
        if self.boundary:
            shapes["boundary"] = (3, self.num_classes)
            if self._flavour.label_difference_boundary:
                shapes["label_difference"] = square
        self._counts = {name: np.zeros(shape, dtype=np.int64) for name, shape in shapes.items()}

    def update(
        self, prediction: Any, reference: Any, object_mask: Any = None, pixels: np.ndarray | None = None
    ) -> np.ndarray:
        """Counts one record: an image, or one object of it.

        Reference and object mask are resized to the prediction by nearest neighbour, as the benchmark does; predict at
        the size of the original image to be comparable. Nothing is counted if an argument is refused.

        Args:
            prediction: (h, w) class ids; -1 or `ignore_index` where there is no answer, and with `pred_all` also K. An
                array, or a torch tensor on any device.
            reference: (H, W) class ids, `ignore_index` where unlabelled.
            object_mask: (H', W') bool or number, nonzero inside the object that the record is about (scores are
                refused): answers outside of it are dropped. None: all answers count. "partclipseg" and "partcatseg" do
                not use it.
            pixels: (h, w) integer, how many pixels each entry of maps of equal size stands for, for images that were
                counted before; None: one. Not with `boundary`, for which the place of a pixel matters.

        Returns:
            int64 (K + 1, K + 1): the record's own confusion matrix, for `ImageCounts.add`.

        Raises:
            ConfigurationError: A map is not two-dimensional, holds fractions or ids that are no class; the reference
                or the mask is transposed; or `pixels` has another shape or was given
                with `boundary`.
        """
        prediction = with_none("prediction", as_map("prediction", prediction), self.num_classes, self._no_answer)
        reference = with_none("reference", as_map("reference", reference), self.num_classes, (self.ignore_index,))
        inside = None if object_mask is None else as_map("object mask", object_mask, integer=False)
        for name, other in (("reference", reference), ("object mask", inside)):
            if other is not None and other.shape == prediction.shape[::-1] != prediction.shape:
                raise ConfigurationError(
                    f"The {name} of shape {other.shape} is transposed against the prediction of shape "
                    f"{prediction.shape}; both are (height, width)."
                )
        reference = resize_nearest(reference, prediction.shape)
        if not self._flavour.uses_object_mask:
            np.copyto(prediction, self.num_classes, where=reference == self.num_classes)
        elif inside is not None:
            outside = ~resize_nearest(inside, prediction.shape, np.float32)
            np.copyto(prediction, self.num_classes, where=outside)

        if pixels is not None and (self.boundary or pixels.shape != prediction.shape):
            raise ConfigurationError(
                f"pixels of shape {pixels.shape} were given for a prediction of shape {prediction.shape}, with "
                f"boundary={self.boundary}; they must have the same shape, and boundary must be False."
            )

        matrix = confusion_matrix(prediction, reference, self.num_classes, pixels)
        _check_counts(matrix, self._counts["confusion"], self.num_classes)
        self._counts["confusion"] += matrix
        for name, count in (("boundary", boundary_counts), ("label_difference", label_difference_matrix)):
            if name in self._counts:
                self._counts[name] += count(prediction, reference, self.num_classes)
        return matrix

    def merge(self, other: PartSegmentationMetric | np.ndarray | Mapping[str, np.ndarray]) -> None:
        """Adds what another metric counted.

        Args:
            other: A metric over the same vocabulary and with the same options, or what another process sent of one:
                its `counts`, or without `boundary` its `confusion_matrix`.

        Raises:
            ConfigurationError: The vocabularies, options or shapes differ, an array does not hold counts, or both
                together are more than 2^63 - 1 pixels.
        """
        if isinstance(other, PartSegmentationMetric):
            self._check_same_vocabulary(other)
            other = other._counts
        elif not isinstance(other, Mapping):
            other = {"confusion": np.asarray(other)}
        if other.keys() != self._counts.keys():
            raise ConfigurationError(
                f"Counts of {sorted(other)} cannot be merged into counts of {sorted(self._counts)}. Build both metrics "
                "with the same options and merge `metric.counts`."
            )
        for name, counts in self._counts.items():
            _check_counts(np.asarray(other[name]), counts, self.num_classes)
        for name, counts in self._counts.items():
            counts += np.asarray(other[name]).astype(np.int64)

    def compute(self) -> dict[str, Any]:
        """The numbers of everything that was counted, in percent.

        Returns:
            Floats, NaN where undefined: `mIoU`, `fwIoU`, `mIoU_seen`, `mIoU_unseen`, `hIoU`, the same of `mRecall`
            (harmonic mean: `hRecall`), and `pixel_accuracy`, `pixel_accuracy_seen`, `pixel_accuracy_unseen`. `IoU` and
            `recall`: dicts by class name. They follow the definitions of `metrics`; those of "ov_parts" leave out the
            labelled pixels that got no answer, and the IoU of a class that no reference has is NaN.

            `strict` (unless these are the strict numbers already): a dict with the same keys, in which such a pixel is
            a miss of its class. So no strict IoU or mean of "ov_parts" exceeds the official one; only `fwIoU`, whose
            weights change as well, may.

            `boundary` (if enabled): `mIoU`, `mIoU_seen`, `mIoU_unseen`, `hIoU` and `IoU` over the pixels near the
            borders (Cheng et al., CVPR 2021), averaged as the strict numbers are. `label_difference_boundary`
            (likewise, "partclipseg" only): the boundary numbers that that evaluator prints, for compatibility only.
        """
        matrix = self._counts["confusion"]
        numbers = self._summarize(self._scoring.counts(matrix), self._scoring.formulas)
        if self._scoring is not STRICT:
            numbers["strict"] = self._summarize(STRICT.counts(matrix), STRICT.formulas)
        if "boundary" in self._counts:
            counts = ClassCounts(*self._counts["boundary"].astype(np.float64))
            numbers["boundary"] = _ious(self._summarize(counts, STRICT.formulas))
        if "label_difference" in self._counts:
            numbers["label_difference_boundary"] = self._label_difference_numbers()
        return numbers

    def _summarize(self, counts: ClassCounts, formulas: Formulas) -> dict[str, Any]:
        return summarize(counts, formulas, self.class_names, self._seen)

    def _label_difference_numbers(self) -> dict[str, Any]:
        """As PartCLIPSeg computes them: in pred_all the background is one of the unseen classes."""
        count = every_count if self.pred_all else answered_counts
        counts = count(self._counts["label_difference"])
        seen = np.pad(self._seen, (0, len(counts.hit) - self.num_classes))
        return _ious(summarize(counts, LABEL_DIFFERENCE, self.class_names, seen))

    @property
    def _seen(self) -> np.ndarray:
        seen = np.zeros(self.num_classes, dtype=bool)
        seen[list(self.seen_ids)] = True
        return seen

    @property
    def _no_answer(self) -> tuple[int, ...]:
        background = (self.num_classes,) if self.pred_all else ()
        return tuple(dict.fromkeys((-1, self.ignore_index, *background)))

    def _check_vocabulary(self) -> None:
        if not self.class_names:
            raise ConfigurationError("No class names were given; the metric needs at least one.")
        duplicates = sorted({name for name in self.class_names if self.class_names.count(name) > 1})
        if duplicates:
            raise ConfigurationError(f"The class names {duplicates} occur more than once; each must be unique.")
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
            here, there = getattr(self, attribute), getattr(other, attribute)
            if here != there:
                raise ConfigurationError(
                    f"Metrics with different {attribute} cannot be merged: {_difference(here, there)}. "
                    "Build both over the same vocabulary."
                )
        here, there = ((metric.metrics, metric.pred_all, metric.boundary) for metric in (self, other))
        if here != there:
            raise ConfigurationError(
                f"Metrics with different options cannot be merged: metrics, pred_all, boundary are {here} here and "
                f"{there} there. Build both with the same options."
            )


def _check_counts(array: np.ndarray, counts: np.ndarray, num_classes: int) -> None:
    if array.shape != counts.shape or array.dtype.kind not in "iu" or (array < 0).any():
        raise ConfigurationError(
            f"A matrix of shape {array.shape} and dtype {array.dtype} cannot be merged; for {num_classes} classes it "
            f"must hold counts (non-negative integers) in the shape {counts.shape}."
        )
    check_sum(array, counts)


def _difference(here: tuple[Any, ...], there: tuple[Any, ...]) -> str:
    if len(here) != len(there):
        return f"{len(here)} here, {len(there)} there"
    return next(f"{a!r} here, {b!r} there, at position {i}" for i, (a, b) in enumerate(zip(here, there)) if a != b)


def _ious(numbers: dict[str, Any]) -> dict[str, Any]:
    return {key: numbers[key] for key in ("mIoU", "mIoU_seen", "mIoU_unseen", "hIoU", "IoU")}
