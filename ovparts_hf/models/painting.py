"""From scores to a label map of any size, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .post_processing import LabelMaps, row_bands


@dataclass(frozen=True)
class Layer:
    """Scores of classes that compete for the pixels of a region.

    Attributes:
        logits: (n, h, w), in float32.
        ids: The n classes; -1 stands for none.
        inside: (H, W) bool, the region; None for the whole image.
    """

    logits: torch.Tensor
    ids: tuple[int, ...]
    inside: np.ndarray | None = None

    def only(self, kept: set[int]) -> Layer:
        """The same without the other classes; none stays."""
        positions = [i for i, number in enumerate(self.ids) if number in kept or number < 0]
        return Layer(self.logits[positions], tuple(self.ids[i] for i in positions), self.inside)


def paint(
    layers: Sequence[Layer],
    size: tuple[int, int],
    num_classes: int,
    processor: LabelMaps,
    threshold: float | None = None,
    top_k: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Gives each pixel the class that scores best there; where layers overlap, the best of all.

    Scores, not labels, are resized.

    Args:
        layers: What competes.
        size: (height, width) of the image.
        num_classes: How many classes there are.
        processor: Says in which form scores are compared.
        threshold: A class must score more than this, from 0 to 1.
        top_k: How many classes may be answered: those with the highest scores in an answer without this limit.

    Returns:
        Label map (height, width) int16, -1 for none, and for each class its mean score (num_classes,) float32 over its
        pixels, at most 1, and 0 where it has none.
    """
    label_map, scores = _paint(layers, size, num_classes, processor, threshold)
    if top_k is None or np.count_nonzero(scores) <= top_k:
        return label_map, scores
    kept = set(np.argsort(-scores, kind="stable")[:top_k].tolist())
    remaining = [layer.only(kept) for layer in layers]
    return _paint([layer for layer in remaining if layer.ids], size, num_classes, processor, threshold)


def _paint(
    layers: Sequence[Layer], size: tuple[int, int], num_classes: int, processor: LabelMaps, threshold: float | None
) -> tuple[np.ndarray, np.ndarray]:
    label_map = np.full(size, -1, dtype=np.int16)
    sums, counts = np.zeros(num_classes + 1), np.zeros(num_classes + 1)
    for rows in row_bands(size, max((len(layer.ids) for layer in layers), default=1)):
        ids, best = _paint_band(layers, size, rows, processor, threshold)
        label_map[rows] = ids
        sums += np.bincount(ids.ravel() + 1, np.maximum(best, 0).ravel(), num_classes + 1)
        counts += np.bincount(ids.ravel() + 1, minlength=num_classes + 1)
    means = sums[1:] / np.maximum(counts[1:], 1)
    return label_map, np.minimum(means, 1).astype(np.float32)


def _paint_band(
    layers: Sequence[Layer], size: tuple[int, int], rows: slice, processor: LabelMaps, threshold: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The class of each pixel in some rows, and its score."""
    shape = (rows.stop - rows.start, size[1])
    ids = np.full(shape, -1)
    best = np.full(shape, -np.inf if threshold is None else threshold, dtype=np.float32)
    for layer in layers:
        value, winner = (each.cpu().numpy() for each in processor.score_band(layer.logits, size, rows).max(0))
        found = np.array(layer.ids)[winner]
        wins = (found >= 0) & (value > best)
        if layer.inside is not None:
            wins &= layer.inside[rows]
        ids[wins], best[wins] = found[wins], value[wins]
    return ids, best
