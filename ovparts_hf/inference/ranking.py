"""The best classes of each pixel, for those who point at one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..models.post_processing import ScoreMaps, row_bands
from ..utils.deadline import check_deadline
from ..utils.resize import resize_nearest

RANKED = 4
"""How many classes are kept for a pixel: its own, and the three that score best besides."""
RANKING_EDGE = 512
"""Longest side of a ranking, in pixels; one of a larger image is coarser than the image."""


class Ranking(NamedTuple):
    """Classes of each pixel of an image, or of a smaller one, first its own, then others from the best on.

    `ids` (`RANKED`, h, w) int16, -1 being none; `scores` of the same shape float32, negative where there is no score.
    """

    ids: np.ndarray
    scores: np.ndarray

    def at(self, x: float, y: float) -> list[tuple[int, float]]:
        """Ids and scores at a place, whose coordinates go from 0 to 1; the pixel's own class comes first."""
        height, width = self.ids.shape[1:]
        row, column = min(int(y * height), height - 1), min(int(x * width), width - 1)
        ranked = zip(self.ids[:, row, column].tolist(), self.scores[:, row, column].tolist())
        return [(class_id, score) for rank, (class_id, score) in enumerate(ranked) if rank == 0 or score >= 0]


def rank_classes(maps: Sequence[ScoreMaps], label_map: np.ndarray, num_classes: int, scores: str = "logits") -> Ranking:
    """Ranks the scores that `merge_score_maps` has made `label_map` of, in bounded memory."""
    height, width = label_map.shape
    scale = min(1, RANKING_EDGE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    labels = resize_nearest(label_map, size)
    maps = [
        group if group.box is None else group._replace(box=group.box.scaled(label_map.shape, size)) for group in maps
    ]
    regions = [None if group.region is None else resize_nearest(group.region, size) for group in maps]
    ids = np.full((RANKED, *size), -1, dtype=np.int16)
    values = np.full((RANKED, *size), -1, dtype=np.float32)
    for rows in row_bands(size, num_classes + 1):
        band = np.full((num_classes + 1, rows.stop - rows.start, size[1]), -1, dtype=np.float32)  # the last is none
        for group, region in zip(maps, regions):
            check_deadline()
            given = group.upsampled(size, scores, rows).clamp(0, 1).cpu().numpy()
            inside, ids_of_group = True if region is None else region[rows], list(group.ids)
            band[ids_of_group] = np.maximum(band[ids_of_group], np.where(inside, given, -1))
        own = labels[None, rows].astype(np.int64)
        values[0, rows] = np.take_along_axis(band, own % (num_classes + 1), axis=0)[0]
        np.put_along_axis(band, own % (num_classes + 1), -1, axis=0)
        best = torch.from_numpy(band).topk(min(RANKED - 1, num_classes + 1), dim=0)
        positions = best.indices.numpy()
        ids[0, rows] = own[0]
        ids[1 : len(positions) + 1, rows] = np.where(positions == num_classes, -1, positions)
        values[1 : len(positions) + 1, rows] = best.values.numpy()
    return Ranking(ids, values)
