"""Label maps to confusion matrices: checks and counting, no scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigurationError


def confusion_matrix(prediction: np.ndarray, reference: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts the pixels of two maps of equal size.

    Args:
        prediction: Ids in 0..K, where K = `num_classes` stands for "none", any integer dtype.
        reference: As `prediction`, same shape.
        num_classes: K.

    Returns:
        int64 (K + 1, K + 1): row = prediction, column = truth.
    """
    size = num_classes + 1
    pairs = prediction.astype(np.int64).ravel() * size + reference.ravel()
    return np.bincount(pairs, minlength=size * size).reshape(size, size)


def as_map(name: str, value: Any, integer: bool = True) -> np.ndarray:
    """Brings a two-dimensional map to numpy.

    Args:
        name: What the map is called in an error message.
        value: Array, nested list, picture, or torch tensor on any device.
        integer: Whether bool is refused. Floating point always is.

    Raises:
        ConfigurationError: The map is not two-dimensional, is empty, or has another dtype.
    """
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
            "Update once for each picture."
        )
    return array


def with_none(name: str, label_map: np.ndarray, num_classes: int, none_values: tuple[int, ...]) -> np.ndarray:
    """Checks a map's ids and replaces each of `none_values` by K = `num_classes`.

    Returns:
        int64 map with ids in 0..K.

    Raises:
        ConfigurationError: Some id is neither a class nor a none value.
    """
    label_map = label_map.astype(np.int64)
    none = np.logical_or.reduce([label_map == value for value in none_values])  # far faster than np.isin
    wrong = ~none & ((label_map < 0) | (label_map >= num_classes))
    if wrong.any():
        raise ConfigurationError(
            f"The {name} holds the ids {np.unique(label_map[wrong])[:10].tolist()}; allowed are the classes "
            f"0 to {num_classes - 1} and {' or '.join(map(str, none_values))} for none. Check that the map uses the "
            "ids of this vocabulary and the right ignore_index."
        )
    label_map[none] = num_classes
    return label_map


def _wrong_dtype(name: str, dtype: Any, integer: bool) -> ConfigurationError:
    allowed = "class ids as integers" if integer else "bool, or integers that are nonzero inside the object"
    return ConfigurationError(
        f"The {name} is of dtype {dtype}; allowed are {allowed}. Take the argmax of scores, or threshold them, first."
    )
