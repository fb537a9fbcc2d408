"""Masks as lengths of runs, which every labelling tool writes in its own order."""

from __future__ import annotations

import numpy as np


def run_lengths(crop: np.ndarray, size: tuple[int, int], left: int = 0, top: int = 0) -> np.ndarray:
    """Lengths of the runs of an image (height, width), row by row: outside first, then inside, outside ...

    `crop` (h, w) bool is the mask inside its box, whose first pixel lies at (left, top). For runs column by column,
    transpose everything.
    """
    steps = np.diff(np.pad(crop, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, columns = np.nonzero(steps)  # begins and ends of runs take turns
    bounds = (rows + top) * size[1] + columns + left
    apart = bounds[1:-1].reshape(-1, 2)  # the end of a run and the begin of the next
    apart = apart[apart[:, 0] != apart[:, 1]]  # which goes on in the next row
    bounds = np.concatenate([bounds[:1], apart.ravel(), bounds[-1:]])
    lengths = np.diff(bounds, prepend=0, append=size[0] * size[1])
    return lengths[:-1] if lengths[-1] == 0 else lengths
