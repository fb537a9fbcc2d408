"""Label maps to confusion matrices: checks and counting, no scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigurationError


def confusion_matrix(
    prediction: np.ndarray, reference: np.ndarray, num_classes: int, pixels: np.ndarray | None = None
) -> np.ndarray:
    """Pixels of two maps of ids in 0..K by pair, where K means "none": int64 (K + 1, K + 1), row = prediction.

    `pixels`, of the maps' shape, says how many pixels each entry stands for; None: one.
    """
    size = num_classes + 1
    pairs = np.multiply(prediction, size, dtype=np.int64)
    pairs += reference
    weights = None if pixels is None else pixels.ravel()
    return np.bincount(pairs.ravel(), weights, minlength=size * size).astype(np.int64, copy=False).reshape(size, size)


def as_map(name: str, value: Any, integer: bool = True) -> np.ndarray:
    """A map (height, width) of integers, or bools unless `integer`: of numpy, lists, an image or any torch tensor."""
    if hasattr(value, "detach"):  # a torch tensor; torch itself is not needed here
        if value.is_floating_point():
            raise _wrong_dtype(name, value.dtype, integer)
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in ("iu" if integer else "iub"):
        raise _wrong_dtype(name, array.dtype, integer)
    if array.ndim != 2 or array.size == 0:
        raise ConfigurationError(
            f"The {name} has shape {array.shape}; a single map (height, width) of at least one pixel is needed. "
            "Update once for each image."
        )
    return array


def with_none(name: str, label_map: np.ndarray, num_classes: int, none_values: tuple[int, ...]) -> np.ndarray:
    """A copy (h, w) in which K = `num_classes` replaces each of `none_values`: unsigned or int64, ids in 0..K."""
    lowest, highest = min(0, *none_values), max(num_classes - 1, *none_values)
    if label_map.min() < lowest or label_map.max() > highest:
        raise _wrong_ids(name, label_map, num_classes, none_values)
    narrow = lowest >= -1 and max(highest, num_classes) < 65536  # several times faster than 64 bits; -1 becomes 65535
    ids = label_map.astype(np.uint16 if narrow else np.int64)
    none = np.zeros(ids.shape, dtype=bool)
    for value in none_values:
        none |= ids == np.array(value).astype(ids.dtype)
    np.copyto(ids, 0, where=none)
    if ids.min() < 0 or ids.max() >= num_classes:
        raise _wrong_ids(name, label_map, num_classes, none_values)
    np.copyto(ids, num_classes, where=none)
    return ids


def _wrong_ids(name: str, label_map: np.ndarray, num_classes: int, none_values: tuple[int, ...]) -> ConfigurationError:
    wrong = np.setdiff1d(label_map, [*range(num_classes), *none_values])[:10].tolist()
    return ConfigurationError(
        f"The {name} holds the ids {wrong}; allowed are the classes 0 to {num_classes - 1} and "
        f"{' or '.join(map(str, none_values))} for none. Check that the map uses the ids of this vocabulary and the "
        "right ignore_index."
    )


def _wrong_dtype(name: str, dtype: Any, integer: bool) -> ConfigurationError:
    allowed = "class ids as integers" if integer else "bool, or integers that are nonzero inside the object"
    return ConfigurationError(
        f"The {name} is of dtype {dtype}; allowed are {allowed}. Take the argmax of scores, or threshold them, first."
    )
