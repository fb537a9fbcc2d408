"""Label maps to confusion matrices, and those of every image: the basis of scores, intervals and breakdowns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ..errors import ConfigurationError
from ..utils.arguments import as_array, binary_mask
from ..utils.files import atomic_write

_MOST_PIXELS = np.iinfo(np.int64).max


def confusion_matrix(
    prediction: np.ndarray, reference: np.ndarray, num_classes: int, pixels: np.ndarray | None = None
) -> np.ndarray:
    """Pixels of two maps of ids in 0..K by pair, where K means "none": int64 (K + 1, K + 1), row = prediction.

    `pixels`, of the maps' shape, says how many pixels each entry stands for; None: one.
    """
    size = num_classes + 1
    pairs = np.multiply(prediction, size, dtype=np.int64)
    pairs += reference
    if pixels is None:
        return np.bincount(pairs.ravel(), minlength=size * size).astype(np.int64, copy=False).reshape(size, size)
    if pixels.dtype.kind not in "iu" or pixels.min(initial=0) < 0:
        raise ConfigurationError(f"pixels of dtype {pixels.dtype} are no counts; give integers from 0 on.")
    if int(pixels.max(initial=0)) * pixels.size < 2**53:  # float64 is exact
        counts = np.bincount(pairs.ravel(), pixels.ravel(), minlength=size * size)
    else:
        counts = np.zeros(size * size, dtype=object)
        np.add.at(counts, pairs.ravel(), pixels.ravel().astype(object))
        check_sum(counts)
    return counts.astype(np.int64).reshape(size, size)


def check_sum(*counts: np.ndarray) -> None:
    """Refuses more pixels than int64 holds, which would wrap to negative counts."""
    if sum(float(each.sum(dtype=np.float64)) for each in counts) < _MOST_PIXELS / 2:
        return
    pixels = sum(sum(each.ravel().tolist()) for each in counts)
    if pixels > _MOST_PIXELS:
        raise ConfigurationError(f"{pixels} pixels are more than can be counted (2^63 - 1).")


def as_map(name: str, value: Any, integer: bool = True) -> np.ndarray:
    """A map (height, width) of integers, or else of bools: of numpy, lists, an image or any torch tensor."""
    if not integer:
        array = binary_mask(name, value)
    elif hasattr(value, "detach") and value.is_floating_point():  # a torch tensor; torch itself is not needed here
        raise _wrong_dtype(name, value.dtype)
    else:
        array = as_array(name, value.detach().cpu() if hasattr(value, "detach") else value)
        if array.dtype.kind not in "iu":
            raise _wrong_dtype(name, array.dtype)
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


def _wrong_dtype(name: str, dtype: Any) -> ConfigurationError:
    advice = "Take the argmax of scores first."
    return ConfigurationError(f"The {name} is of dtype {dtype}; allowed are class ids as integers. {advice}")


def _check_counts(
    num_classes: np.ndarray, image_ids: np.ndarray, lengths: np.ndarray, pairs: np.ndarray, counts: np.ndarray
) -> None:
    """Raises a ValueError if arrays from a file are not what `ImageCounts.save` writes."""
    for name, values in {"num_classes": num_classes, "lengths": lengths, "pairs": pairs, "counts": counts}.items():
        dimensions = 0 if name == "num_classes" else 1
        if values.dtype.kind not in "iu" or values.ndim != dimensions or values.min(initial=0) < 0:
            raise ValueError(f"{name} are no counts")
    entries = int(lengths.sum(dtype=object))
    if image_ids.shape != lengths.shape or not entries == len(pairs) == len(counts):
        raise ValueError("its arrays are of different lengths")
    if int(pairs.max(initial=0)) >= (int(num_classes) + 1) ** 2:
        raise ValueError("it has counts of classes that there are not")


class ImageCounts:
    """The confusion matrix of each record, of which only the entries that are not 0 are kept, and the image of each.

    A record takes about a hundred bytes, however large the image and the vocabulary.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.image_ids: list[str] = []
        self._pairs: list[np.ndarray] = []
        self._counts: list[np.ndarray] = []

    def __len__(self) -> int:
        """Number of records."""
        return len(self.image_ids)

    def add(self, image_id: str, matrix: np.ndarray) -> None:
        """Keeps one record's int64 (K + 1, K + 1), as `PartSegmentationMetric.update` returns it."""
        counts = matrix.ravel()
        pairs = np.flatnonzero(counts)
        self.image_ids.append(str(image_id))
        self._pairs.append(pairs)
        self._counts.append(counts[pairs])

    def merge(self, other: ImageCounts) -> None:
        """Appends the records of others, e.g. those of another process."""
        if other.num_classes != self.num_classes:
            here, there = self.num_classes, other.num_classes
            raise ConfigurationError(f"Counts over {there} classes cannot be merged into counts over {here}.")
        self.image_ids += other.image_ids
        self._pairs += other._pairs
        self._counts += other._counts

    def matrices(self) -> Iterator[np.ndarray]:
        """Yields the int64 (K + 1, K + 1) matrix of each record."""
        size = self.num_classes + 1
        for pairs, counts in zip(self._pairs, self._counts):
            matrix = np.zeros(size * size, dtype=np.int64)
            matrix[pairs] = counts
            yield matrix.reshape(size, size)

    def total(self) -> np.ndarray:
        """The int64 (K + 1, K + 1) matrix of all records, as `PartSegmentationMetric.merge` takes it."""
        size = self.num_classes + 1
        check_sum(*self._counts)
        return sum(self.matrices(), start=np.zeros((size, size), dtype=np.int64))

    def save(self, path: str | Path) -> None:
        """Writes one .npz file; an existing one is replaced at once or not at all."""
        empty = np.zeros(0, dtype=np.int64)
        with atomic_write(path) as temporary:
            np.savez_compressed(
                temporary,
                num_classes=self.num_classes,
                image_ids=np.array(self.image_ids, dtype=str),
                lengths=np.array([len(pairs) for pairs in self._pairs], dtype=np.int64),
                pairs=np.concatenate([empty, *self._pairs]),
                counts=np.concatenate([empty, *self._counts]),
            )

    @classmethod
    def load(cls, path: str | Path) -> ImageCounts:
        """Reads what `save` wrote; another file is a `ConfigurationError`."""
        try:
            with np.load(path) as file:
                data = {name: file[name] for name in ("num_classes", "image_ids", "lengths", "pairs", "counts")}
            _check_counts(**data)
        except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
            raise ConfigurationError(
                f"{path} cannot be read as the counts of each image ({error}). Evaluation writes this file beside "
                "result.json; evaluate again if it is missing."
            ) from error
        images = cls(int(data["num_classes"]))
        images.image_ids = data["image_ids"].tolist()
        if images.image_ids:
            ends = np.cumsum(data["lengths"])[:-1]
            images._pairs, images._counts = np.split(data["pairs"], ends), np.split(data["counts"], ends)
        return images
