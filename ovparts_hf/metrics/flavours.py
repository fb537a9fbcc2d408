"""The definitions of the numbers: those of OV-PARTS, PartCLIPSeg and PartCATSeg, each reproduced exactly, and ours.

docs/protocol.md states the differences in words; never compare across flavours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import ConfigurationError
from .scores import ClassCounts, Formulas, found, labelled, occurring

FlavourName = Literal["ov_parts", "partclipseg", "partcatseg", "strict"]


# How a confusion matrix (K + 1, K + 1), row = prediction, column = truth, index K = none, is counted.


def answered_counts(matrix: np.ndarray) -> ClassCounts:
    """K classes; a labelled pixel without an answer is left out, as if it were unlabelled."""
    return every_count(matrix[:-1, :-1])


def strict_counts(matrix: np.ndarray) -> ClassCounts:
    """K classes; a labelled pixel without an answer is a miss of its class."""
    answered = answered_counts(matrix)
    return ClassCounts(answered.hit, matrix[:, :-1].sum(axis=0).astype(np.float64), answered.predicted)


def background_counts(matrix: np.ndarray) -> ClassCounts:
    """K classes and the background, which no ground truth has: answering it on a labelled pixel is a miss."""
    scored = matrix.copy()
    scored[:, -1] = 0
    return every_count(scored)


def every_count(matrix: np.ndarray) -> ClassCounts:
    """As many classes as the matrix has rows; all of it counts."""
    matrix = matrix.astype(np.float64)
    return ClassCounts(matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1))


@dataclass(frozen=True)
class Scoring:
    """From a confusion matrix to numbers: which entries count, and how the counts are averaged."""

    counts: Callable[[np.ndarray], ClassCounts]
    formulas: Formulas


@dataclass(frozen=True)
class Flavour:
    """The definitions of one evaluator."""

    name: str
    given_objects: Scoring  # when the object of each record is given or segmented first
    pred_all: Scoring | None = None  # when nothing is given and the background is an answer; None: undefined
    uses_object_mask: bool = True  # drops answers outside the record's object; else those on unlabelled pixels
    label_difference_boundary: bool = False  # reports a boundary score, see `boundary`

    def scoring(self, pred_all: bool) -> Scoring:
        """The scoring of one setting; refused if the flavour does not define it."""
        if not pred_all:
            return self.given_objects
        if self.pred_all is None:
            defined = [name for name, flavour in FLAVOURS.items() if flavour.pred_all]
            raise ConfigurationError(
                f"metrics={self.name!r} does not define scores for pred_all; choose one of {defined}."
            )
        return self.pred_all


_OV_PARTS = Formulas(defined=labelled, averaged=occurring, averaged_in_set=occurring)
STRICT = Scoring(strict_counts, _OV_PARTS)
LABEL_DIFFERENCE = Formulas(defined=occurring, averaged=occurring, averaged_in_set=occurring)

FLAVOURS = {
    flavour.name: flavour
    for flavour in (
        Flavour("ov_parts", Scoring(answered_counts, _OV_PARTS)),
        Flavour(
            "partclipseg",
            Scoring(answered_counts, Formulas(defined=labelled, averaged=labelled, averaged_in_set=labelled)),
            Scoring(background_counts, Formulas(defined=occurring, averaged=occurring, averaged_in_set=labelled)),
            uses_object_mask=False,
            label_difference_boundary=True,
        ),
        Flavour(
            "partcatseg",
            Scoring(answered_counts, Formulas(defined=occurring, averaged=occurring, averaged_in_set=found)),
            Scoring(every_count, Formulas(defined=occurring, averaged=occurring, averaged_in_set=found)),
            uses_object_mask=False,
        ),
        Flavour("strict", STRICT, STRICT),
    )
}


def get_flavour(name: str) -> Flavour:
    """Looks a flavour up by name."""
    if not isinstance(name, str) or name not in FLAVOURS:
        raise ConfigurationError(f"Unknown metrics {name!r}; choose one of {list(FLAVOURS)}.")
    return FLAVOURS[name]
