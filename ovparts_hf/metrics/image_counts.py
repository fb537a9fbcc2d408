"""What was counted in each image, small enough to keep: the basis of intervals and breakdowns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..errors import ConfigurationError
from ..utils.files import atomic_write


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
            raise ConfigurationError(
                f"Counts over {other.num_classes} classes cannot be merged into counts over {self.num_classes}."
            )
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
        total = np.zeros(size * size, dtype=np.int64)
        for pairs, counts in zip(self._pairs, self._counts):
            total[pairs] += counts
        return total.reshape(size, size)

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
        except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
            raise ConfigurationError(
                f"{path} cannot be read as the counts of each image ({error}). Evaluation writes this file beside "
                "result.json; evaluate again if it is missing."
            ) from error
        images = cls(int(data["num_classes"]))
        ends = np.cumsum(data["lengths"])[:-1]
        images.image_ids = data["image_ids"].tolist()
        images._pairs = np.split(data["pairs"], ends) if images.image_ids else []
        images._counts = np.split(data["counts"], ends) if images.image_ids else []
        return images
