"""Noise with labels in place of a dataset, by which the memory and the time of a step are measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from ..data.part_dataset import PartSample
from ..data.records import Level, Record
from ..taxonomy import PartTaxonomy
from ..taxonomy.tasks import Task

_COUNT = 2
_PHOTOGRAPH = 500, 375


@dataclass(frozen=True)
class RandomImages:
    """Two images that an object fills: the seen one with the most parts, which stand side by side."""

    taxonomy: PartTaxonomy
    size: tuple[int, int]  # width, height

    @cached_property
    def object_id(self) -> int:
        objects = self.taxonomy.seen_object_ids or range(len(self.taxonomy.object_classes))
        return max(objects, key=lambda number: len(self.taxonomy.parts_of(number)))

    def training_records(self, task: Task, level: Level | None = None) -> list[Record]:
        """See `PartDataset.training_records`."""
        object_id = self.object_id if level == "object" else None
        return [Record("train", row, object_id) for row in range(_COUNT)]

    def read(self, record: Record) -> PartSample:
        """See `PartDataset.read`."""
        width, height = self.size
        pixels = np.random.default_rng(record.row).integers(0, 256, (height, width, 3), dtype=np.uint8)
        parts = np.array(self.taxonomy.parts_of(self.object_id), dtype=np.int64)
        part_map = np.tile(parts[np.arange(width) * len(parts) // width], (height, 1))
        object_map = np.full_like(part_map, self.object_id)
        return PartSample(Image.fromarray(pixels), part_map, object_map, f"random {record.row}")


def usual_size(short_edges: list[int] | None, max_size: int) -> tuple[int, int]:
    """Width and height of the largest image, with sides 4 to 3, that these settings of augmentation leave as it is.

    Where images keep their size, that of many photographs in datasets.
    """
    if short_edges is None:
        return _PHOTOGRAPH
    short = min(max(short_edges), max_size)
    return min(round(short * 4 / 3), max_size), short
