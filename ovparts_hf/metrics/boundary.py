"""How well the borders of parts are met: counts of boundary pixels.

`boundary_counts` follows Boundary IoU (Cheng et al., CVPR 2021): of each class's mask only the band within d pixels of
its border counts, d being 2 % of the image's diagonal.

`label_difference_matrix` only reproduces PartCLIPSeg's published numbers: it erodes the label map instead of each
class's mask, so a pixel counts as the *difference* of two class ids, and the score is no boundary IoU.

Label maps are (h, w) ids in 0..K, where K means "none" in a prediction and "unlabelled" in a reference.
"""

from __future__ import annotations

import numpy as np

from .confusion import confusion_matrix


def boundary_counts(prediction: np.ndarray, reference: np.ndarray, num_classes: int) -> np.ndarray:
    """int64 (3, K): pixels of each class in both bands, in the reference's band, in the prediction's band.

    Predictions on unlabelled pixels are removed first, so they cost nothing. The image's edge is a border.
    """
    prediction = np.where(reference == num_classes, num_classes, prediction)
    matrix = confusion_matrix(_band(prediction, num_classes), _band(reference, num_classes), num_classes)
    return np.stack([matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1)])[:, :num_classes]


def label_difference_matrix(prediction: np.ndarray, reference: np.ndarray, num_classes: int) -> np.ndarray:
    """int64 (K + 1, K + 1): each label map minus its minimum over the neighbourhood, then counted as if class ids."""
    maps = (prediction, reference)
    differences = (ids - _window(np.minimum, ids, band_width(*ids.shape), outside=0) for ids in maps)
    return confusion_matrix(*differences, num_classes)


def band_width(height: int, width: int) -> int:
    """Pixels from the border that the band reaches: 2 % of the diagonal, half rounded to even, at least 1."""
    return max(1, round(0.02 * float(np.hypot(height, width))))


def _band(ids: np.ndarray, num_classes: int) -> np.ndarray:
    """The ids of pixels that have another class, none or the image's edge within the band's width; K elsewhere."""
    distance = band_width(*ids.shape)
    lowest, highest = (_window(extreme, ids, distance, outside=num_classes) for extreme in (np.minimum, np.maximum))
    return np.where(lowest == highest, num_classes, ids)


def _window(extreme: np.ufunc, ids: np.ndarray, distance: int, outside: int) -> np.ndarray:
    """Minimum or maximum over the square of 2 * distance + 1 pixels around each pixel; `outside` beyond the edges."""
    padded = np.pad(ids, distance, constant_values=outside)
    return _along_rows(extreme, _along_rows(extreme, padded, distance).T, distance).T


def _along_rows(extreme: np.ufunc, array: np.ndarray, distance: int) -> np.ndarray:
    """Over 2 * distance + 1 successive rows: spans of rows are doubled until they are as long as that."""
    span, length = 1, 2 * distance + 1
    while span < length:
        step = min(span, length - span)
        array = extreme(array[:-step], array[step:])
        span += step
    return array
