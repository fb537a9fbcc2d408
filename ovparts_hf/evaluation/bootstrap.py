"""How sure a number is, and whether one model is better than another on the same images.

Images are drawn with all their records (percentile bootstrap). What is drawn depends on the seed and the image names
only, so two models are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigurationError
from ..metrics.confusion import ImageCounts
from ..metrics.flavours import FlavourName, Scoring, get_flavour
from ..metrics.scores import MEANS, ClassCounts, means
from ..utils.arguments import check_not_negative, check_positive, whole_numbers
from ..utils.files import user_path
from .results import BenchmarkResult, format_p_value, markdown_table

RESULT_FILE, COUNTS_FILE = "result.json", "image_counts.npz"
"""The two files of a result folder."""
_OLD_COUNTS_FILE = "pictures.npz"
_MAX_ENTRIES = 1 << 20
"""Largest size of an array over draws."""


@dataclass(frozen=True)
class Difference:
    """One number of two models, in percent; the interval is that of second - first."""

    first: float
    second: float
    low: float
    high: float
    p_value: float  # two-sided, of "there is no difference"


def bootstrap(
    images: ImageCounts | Sequence[ImageCounts],
    seen_ids: Iterable[int],
    metrics: FlavourName = "ov_parts",
    pred_all: bool = False,
    *,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Confidence intervals over images: (low, high) in percent for each of `MEANS`, NaN where undefined.

    Of several counts of the same images, such as those of training runs with other seeds, the mean of their numbers.
    """
    _check_options(samples, confidence, seed)
    scoring = get_flavour(metrics).scoring(pred_all)
    runs = _runs(images)
    seen = _seen(runs[0], seen_ids)
    draws = _draw([_by_image(run, scoring) for run in runs], scoring, seen, samples, seed)
    return {key: _interval(values, confidence) for key, values in draws.items()}


def compare(
    first: ImageCounts | Sequence[ImageCounts],
    second: ImageCounts | Sequence[ImageCounts],
    seen_ids: Iterable[int],
    metrics: FlavourName = "ov_parts",
    pred_all: bool = False,
    *,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compares two models on the same images: the difference of each of `MEANS`.

    Of several counts of a model, such as those of training runs with other seeds, the mean of their numbers.
    """
    _check_options(samples, confidence, seed)
    scoring = get_flavour(metrics).scoring(pred_all)
    models = [_runs(first), _runs(second)]
    _check_alike([run for runs in models for run in runs])
    seen = _seen(models[0][0], seen_ids)
    counts = [[_by_image(run, scoring) for run in runs] for runs in models]
    whole = [_mean(means(ClassCounts(*sum(run.values())), scoring.formulas, seen) for run in runs) for runs in counts]
    draws = [_draw(runs, scoring, seen, samples, seed) for runs in counts]
    differences = {}
    for key in MEANS:
        drawn = draws[1][key] - draws[0][key]
        values = (float(numbers[key]) for numbers in whole)
        differences[key] = Difference(*values, *_interval(drawn, confidence), _p_value(drawn))
    return differences


def compare_results(first: str | Path, second: str | Path, **options: Any) -> dict[str, Difference]:
    """`compare`s two result folders, each with `result.json` and `image_counts.npz`, if they are of the same kind."""
    results = [BenchmarkResult.from_json(user_path(folder) / RESULT_FILE) for folder in (first, second)]
    for name in ("task", "setting", "flavour", "classes"):
        values = [getattr(result, name) for result in results]
        if values[0] != values[1]:
            detail = "" if name == "classes" else f": {values[0]!r} and {values[1]!r}"
            raise ConfigurationError(f"The results differ in their {name}{detail}. Only like results can be compared.")
    fingerprints = [result.dataset.get("fingerprint") for result in results]
    if fingerprints[0] != fingerprints[1]:
        raise ConfigurationError(f"The results are of different data: {fingerprints[0]!r} and {fingerprints[1]!r}.")
    return compare(
        *(_load_counts(user_path(folder)) for folder in (first, second)),
        [i for i, row in enumerate(results[0].classes) if row["seen"]],
        results[0].flavour,
        results[0].setting == "pred_all",
        **options,
    )


def comparison_table(
    differences: dict[str, Difference], confidence: float = 0.95, names: Sequence[str] = ("first", "second")
) -> str:
    """The differences between two models as a Markdown table that reads as plain text too."""
    lines = [["IoU in percent", *names, "difference", f"{100 * confidence:g} % interval", "p"]]
    for key, entry in differences.items():
        difference = f"{entry.second - entry.first:+.2f}"
        interval = f"{entry.low:+.2f} to {entry.high:+.2f}"
        numbers = [f"{entry.first:.2f}", f"{entry.second:.2f}", difference, interval, format_p_value(entry.p_value)]
        lines.append([key, *numbers])
    return markdown_table([[cell.replace("+nan", "-").replace("nan", "-") for cell in line] for line in lines])


def _runs(images: ImageCounts | Sequence[ImageCounts]) -> list[ImageCounts]:
    runs = [images] if isinstance(images, ImageCounts) else list(images)
    if not runs:
        raise ConfigurationError("No counts were given; give those of at least one run.")
    _check_alike(runs)
    return runs


def _check_alike(runs: Sequence[ImageCounts]) -> None:
    """Refuses counts of different images or classes."""
    first = runs[0]
    for other in runs[1:]:
        only = sorted(set(first.image_ids) ^ set(other.image_ids))
        if only or other.num_classes != first.num_classes:
            raise ConfigurationError(
                "Only models that were evaluated on the same images and classes can be compared: "
                f"{first.num_classes} and {other.num_classes} classes, {len(set(first.image_ids))} and "
                f"{len(set(other.image_ids))} images, {len(only)} of them in only one"
                f"{f', such as {only[:3]}' if only else ''}."
            )


def _seen(images: ImageCounts, seen_ids: Iterable[int]) -> np.ndarray:
    """(K,) bool."""
    ids = whole_numbers("seen_ids", seen_ids)
    wrong = [i for i in ids if not 0 <= i < images.num_classes]
    if wrong:
        raise ConfigurationError(f"The seen ids {wrong} are no classes; ids run from 0 to {images.num_classes - 1}.")
    return np.isin(range(images.num_classes), ids)


def _check_options(samples: int, confidence: float, seed: int) -> None:
    check_positive(samples=samples)
    check_not_negative(seed=seed)
    if not (isinstance(confidence, Real) and 0 < confidence < 1):
        raise ConfigurationError(f"confidence is {confidence}; it must lie between 0 and 1, e.g. 0.95.")


def _load_counts(folder: Path) -> ImageCounts:
    """The counts of a result folder, also of one that version 0.1 wrote."""
    path, old = folder / COUNTS_FILE, folder / _OLD_COUNTS_FILE
    return ImageCounts.load(old if old.exists() and not path.exists() else path)


def _by_image(images: ImageCounts, scoring: Scoring) -> dict[str, np.ndarray]:
    """float64 (3, K): hits, labelled and predicted pixels of each image, by name in alphabetical order."""
    if not len(images):
        raise ConfigurationError("No image was counted, so there is nothing to draw from.")
    by_image: dict[str, np.ndarray] = {}
    for image_id, matrix in zip(images.image_ids, images.matrices()):
        counts = scoring.counts(matrix)
        by_image[image_id] = by_image.get(image_id, 0) + np.stack([counts.hit, counts.labelled, counts.predicted])
    return dict(sorted(by_image.items()))


def _draw(
    runs: Sequence[dict[str, np.ndarray]], scoring: Scoring, seen: np.ndarray, samples: int, seed: int
) -> dict[str, np.ndarray]:
    """The numbers of all draws, in the mean over runs: float64 (samples,) for each of `MEANS`."""
    return _mean(_draw_one(by_image, scoring, seen, samples, seed) for by_image in runs)


def _draw_one(
    by_image: dict[str, np.ndarray], scoring: Scoring, seen: np.ndarray, samples: int, seed: int
) -> dict[str, np.ndarray]:
    chunks = _drawn_counts(np.stack(list(by_image.values()), axis=1), samples, seed)
    numbers = [means(ClassCounts(*chunk), scoring.formulas, seen) for chunk in chunks]
    return {key: np.concatenate([chunk[key] for chunk in numbers]) for key in MEANS}


def _mean(numbers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    numbers = list(numbers)
    return {key: sum(each[key] for each in numbers) / len(numbers) for key in MEANS}


def _drawn_counts(counts: np.ndarray, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Sums over drawn images, in chunks that fit in memory: (3, images, K) -> (3, draws, K)."""
    _, images, num_classes = counts.shape
    size = max(1, _MAX_ENTRIES // max(images, num_classes))
    generator = np.random.default_rng(seed)
    for start in range(0, samples, size):
        draws = min(size, samples - start)
        drawn = generator.integers(images, size=(draws, images))
        times = np.stack([np.bincount(row, minlength=images) for row in drawn])
        yield times.astype(np.float64) @ counts


def _interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _p_value(differences: np.ndarray) -> float:
    differences = differences[~np.isnan(differences)]
    tails = [(1 + np.count_nonzero(tail)) / (1 + len(differences)) for tail in (differences <= 0, differences >= 0)]
    return min(1.0, 2 * min(tails)) if len(differences) else float("nan")
