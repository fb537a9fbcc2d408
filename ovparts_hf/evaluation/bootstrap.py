"""How sure a number is, and whether one model is better than another on the same images.

Images are drawn with replacement (the bootstrap, percentile intervals) and every number is computed anew from the
drawn ones, all records of an image together. What is drawn depends on the seed and the image names only, so two
models are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigurationError
from ..metrics.flavours import FlavourName, Scoring, get_flavour
from ..metrics.image_counts import ImageCounts
from ..metrics.scores import MEANS, ClassCounts, means
from .results import BenchmarkResult, markdown_table

RESULT_FILE, COUNTS_FILE = "result.json", "image_counts.npz"
"""The two files of a result folder."""


@dataclass(frozen=True)
class Difference:
    """One number of two models, in percent.

    Attributes:
        first: The first model's.
        second: The second model's.
        low: Lower end of the confidence interval of second - first.
        high: Its upper end.
        p_value: Two-sided, of "there is no difference".
    """

    first: float
    second: float
    low: float
    high: float
    p_value: float


def bootstrap(
    images: ImageCounts,
    seen_ids: Iterable[int],
    metrics: FlavourName = "ov_parts",
    pred_all: bool = False,
    *,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Confidence intervals over images.

    Args:
        images: What was counted.
        seen_ids: Ids of the seen classes.
        metrics: Whose definitions to use.
        pred_all: Whether nothing was given at test time.
        samples: How often to draw.
        confidence: Of the intervals, between 0 and 1.
        seed: Of the draws.

    Returns:
        (low, high) in percent for `mIoU`, `fwIoU`, `mIoU_seen`, `mIoU_unseen`, `hIoU`; NaN where undefined.

    Raises:
        ConfigurationError: There is no image, or `samples` or `confidence` is out of range.
    """
    scoring = get_flavour(metrics).scoring(pred_all)
    seen = _seen(seen_ids, images.num_classes)
    drawn = _draw(_by_image(images, scoring), scoring, seen, samples, seed)
    return {key: _interval(values, confidence) for key, values in drawn.items()}


def compare(
    first: ImageCounts,
    second: ImageCounts,
    seen_ids: Iterable[int],
    metrics: FlavourName = "ov_parts",
    pred_all: bool = False,
    *,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compares two models on the same images.

    Args:
        first: What was counted for one model.
        second: For the other.
        seen_ids: Ids of the seen classes.
        metrics: Whose definitions to use.
        pred_all: Whether nothing was given at test time.
        samples: How often to draw.
        confidence: Of the intervals, between 0 and 1.
        seed: Of the draws.

    Returns:
        A difference for each of `mIoU`, `fwIoU`, `mIoU_seen`, `mIoU_unseen`, `hIoU`.

    Raises:
        ConfigurationError: The images or the numbers of classes differ, or an argument is out of range.
    """
    scoring = get_flavour(metrics).scoring(pred_all)
    counted = [_by_image(images, scoring) for images in (first, second)]
    if first.num_classes != second.num_classes or counted[0].keys() != counted[1].keys():
        only = sorted(counted[0].keys() ^ counted[1].keys())
        raise ConfigurationError(
            f"Only models that were evaluated on the same images and classes can be compared: {first.num_classes} "
            f"and {second.num_classes} classes, {len(counted[0])} and {len(counted[1])} images, {len(only)} of them "
            f"in only one{f', such as {only[:3]}' if only else ''}."
        )
    seen = _seen(seen_ids, first.num_classes)
    whole = [means(ClassCounts(*sum(each.values())), scoring.formulas, seen) for each in counted]
    drawn = [_draw(each, scoring, seen, samples, seed) for each in counted]
    found = {}
    for key in MEANS:
        difference = drawn[1][key] - drawn[0][key]
        low, high = _interval(difference, confidence)
        found[key] = Difference(whole[0][key], whole[1][key], low, high, _p_value(difference))
    return found


def compare_results(
    first: str | Path, second: str | Path, *, samples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> dict[str, Difference]:
    """Compares two result folders, each with `result.json` and `image_counts.npz`.

    Raises:
        ConfigurationError: A file is missing, or the results are not of the same data, vocabulary, task, setting and
            metrics.
    """
    results = [BenchmarkResult.from_json(Path(folder) / RESULT_FILE) for folder in (first, second)]
    for what in ("task", "setting", "flavour", "classes"):
        mine, theirs = (getattr(result, what) for result in results)
        if mine != theirs:
            shown = "" if what == "classes" else f": {mine!r} and {theirs!r}"
            raise ConfigurationError(f"The results differ in their {what}{shown}. Only like results can be compared.")
    prints = [result.dataset["fingerprint"] for result in results]
    if prints[0] != prints[1]:
        raise ConfigurationError(f"The results are of different data: {prints[0]!r} and {prints[1]!r}.")
    images = [ImageCounts.load(Path(folder) / COUNTS_FILE) for folder in (first, second)]
    return compare(
        *images,
        [i for i, row in enumerate(results[0].classes) if row["seen"]],
        results[0].flavour,
        results[0].setting == "pred_all",
        samples=samples,
        confidence=confidence,
        seed=seed,
    )


def comparison_table(differences: dict[str, Difference], confidence: float = 0.95) -> str:
    """What `compare` found as a Markdown table that reads as plain text too."""
    lines = [["IoU in percent", "first", "second", "difference", f"{100 * confidence:g} % interval", "p"]]
    for key, each in differences.items():
        difference = f"{each.second - each.first:+.2f}"
        interval = f"{each.low:+.2f} to {each.high:+.2f}"
        lines.append([key, f"{each.first:.2f}", f"{each.second:.2f}", difference, interval, f"{each.p_value:.3f}"])
    return markdown_table([[cell.replace("+nan", "-").replace("nan", "-") for cell in line] for line in lines])


def _by_image(images: ImageCounts, scoring: Scoring) -> dict[str, np.ndarray]:
    """float64 (3, K): hits, labelled and predicted pixels of each image, by name in alphabetical order."""
    if not len(images):
        raise ConfigurationError("No image was counted, so there is nothing to draw from.")
    found: dict[str, np.ndarray] = {}
    for image_id, matrix in zip(images.image_ids, images.matrices()):
        counts = scoring.counts(matrix)
        found[image_id] = found.get(image_id, 0) + np.stack([counts.hit, counts.labelled, counts.predicted])
    return dict(sorted(found.items()))


def _draw(
    counted: dict[str, np.ndarray], scoring: Scoring, seen: np.ndarray, samples: int, seed: int
) -> dict[str, np.ndarray]:
    if samples < 1:
        raise ConfigurationError(f"samples is {samples}; draw at least once, better 1000 times.")
    drawn = _drawn_counts(counted, samples, seed)
    values = [means(ClassCounts(*counts), scoring.formulas, seen) for counts in drawn]
    return {key: np.array([each[key] for each in values]) for key in MEANS}


def _drawn_counts(counted: dict[str, np.ndarray], samples: int, seed: int) -> Iterator[np.ndarray]:
    stacked = np.stack(list(counted.values()))
    number = len(stacked)
    generator = np.random.default_rng(seed)
    for _ in range(samples):
        times = np.bincount(generator.integers(number, size=number), minlength=number)
        yield np.tensordot(times.astype(np.float64), stacked, axes=1)


def _seen(seen_ids: Iterable[int], num_classes: int) -> np.ndarray:
    seen = np.zeros(num_classes, dtype=bool)
    seen[list(seen_ids)] = True
    return seen


def _interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    if not 0 < confidence < 1:
        raise ConfigurationError(f"confidence is {confidence}; it must lie between 0 and 1, e.g. 0.95.")
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _p_value(differences: np.ndarray) -> float:
    differences = differences[~np.isnan(differences)]
    tails = [(1 + np.count_nonzero(tail)) / (1 + len(differences)) for tail in (differences <= 0, differences >= 0)]
    return min(1.0, 2 * min(tails)) if len(differences) else float("nan")
