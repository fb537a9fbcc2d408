"""Drawn images with whole objects as their only labels: what a model learns from before it learns parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...data.part_dataset import PartSample
from ...data.records import Level, Record
from ...taxonomy import TOY_WORLD, PartTaxonomy
from ...taxonomy.tasks import Task
from ...toy.world import SPLIT_SIZES, draw, image_id

SPLIT = "pretrain"
WHOLE_OBJECTS = replace(PartTaxonomy.from_dict({name: [name] for name in TOY_WORLD.object_classes}), name="toy-objects")
"""The objects of the toy world, seen and unseen; each is its only part ("cat's cat", which CLIP reads like "cat")."""


@dataclass(frozen=True)
class WholeObjects:
    """Drawn images of the toy world, none of which it trains or validates on, in place of a `PartDataset`."""

    images: int = SPLIT_SIZES["train"]
    taxonomy: PartTaxonomy = WHOLE_OBJECTS

    def training_records(self, task: Task, level: Level | None = None) -> list[Record]:
        """See `PartDataset.training_records`."""
        return [Record(SPLIT, number) for number in range(self.images)]

    def read(self, record: Record) -> PartSample:
        """See `PartDataset.read`; ids of objects and of parts are the same."""
        scene = draw(record.split, record.row)
        object_map = np.asarray(scene.object_map).astype(np.int64)
        return PartSample(scene.image, object_map, object_map.copy(), image_id(record.split, record.row))
