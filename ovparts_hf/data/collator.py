"""Batches for `transformers.Trainer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import ConfigurationError
from ..taxonomy import PartTaxonomy
from ..utils.images import MAX_PIXELS, load_image
from ..utils.resize import resize_nearest
from .masks import decode_rle


@dataclass
class DataCollatorForPartSegmentation:
    """Makes batches of a prepared dataset's rows, as `datasets.load_dataset` gives them, for `transformers.Trainer`.

    Images and labels are resized to a square, without augmentation. Keep the columns of the dataset with
    `TrainingArguments(remove_unused_columns=False)`, and give an open-vocabulary model the classes first:
    `model.store_vocabulary(processor, collator.class_names)`.

    Args:
        processor: The model's processor.
        taxonomy: The dataset's taxonomy, in whose numbering the rows are.
        target: The classes that are trained, to whose numbering labels are brought, by name; all others become its
            `ignore_index`. None for `taxonomy.seen()`, as in zero-shot training.
        with_object_masks: Whether batches hold the masks of the objects: the model's `requires_object_masks`.
        side: Of the square, in pixels; None for the size that the processor gives images, or their short edge.
        with_object_labels: Whether batches hold labels of whole objects: the model's `trains_on_objects`.
    """

    processor: Any
    taxonomy: PartTaxonomy
    target: PartTaxonomy | None = None
    with_object_masks: bool = False
    side: int | None = None
    with_object_labels: bool = False

    def __post_init__(self) -> None:
        self.target = self.target or self.taxonomy.seen()
        if not set(self.target.part_classes) & set(self.taxonomy.part_classes):
            raise ConfigurationError(f"{self.target.name!r} has none of the part classes of {self.taxonomy.name!r}.")
        self._part_ids = self.taxonomy.part_lookup(self.target)
        self._object_parts = self.taxonomy.object_part_lookup(self.target)
        images = self.processor.image_processor
        size = getattr(images, "backbone_size", None) or images.size
        self.side = self.side or size["height" if "height" in size else "shortest_edge"]

    @property
    def class_names(self) -> list[str]:
        """The classes that are trained, in the order of the labels."""
        return list(self.target.part_classes)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """A batch of the model's inputs.

        Args:
            rows: Each with an `image` and its `part_map`; for objects also an `object_map` or `instances`.

        Returns:
            `pixel_values` and what else the processor makes of images; `labels` (batch, side, side) int64; and,
            if requested, `object_masks` (batch, side, side) float32 of 0 and 1 and `object_labels`, of the shape of
            `labels`: at each pixel the first part of the object that is there.
        """
        square = (self.side, self.side)
        images = [load_image(row["image"], MAX_PIXELS).resize(square, Image.Resampling.BILINEAR) for row in rows]
        labels = [self._resize(self._part_ids[np.asarray(row["part_map"])]) for row in rows]
        batch = dict(self.processor(images=images, augmented=True))
        batch["labels"] = torch.from_numpy(np.stack(labels))
        if self.with_object_masks:
            masks = [self._resize(self._object_mask(row)).astype(np.float32) for row in rows]
            batch["object_masks"] = torch.from_numpy(np.stack(masks))
        if self.with_object_labels:
            of_objects = [self._resize(self._object_parts[self._object_map(row)]) for row in rows]
            batch["object_labels"] = torch.from_numpy(np.stack(of_objects))
        return batch

    def _resize(self, label_map: np.ndarray) -> np.ndarray:
        return resize_nearest(label_map, (self.side, self.side), precision=np.float32)

    def _object_mask(self, row: Mapping[str, Any]) -> np.ndarray:
        """(height, width) bool: where there is an object."""
        return self._object_map(row) != self.taxonomy.ignore_index

    def _object_map(self, row: Mapping[str, Any]) -> np.ndarray:
        """(height, width) object ids; where instances overlap, the later one counts."""
        if "object_map" in row:
            return np.asarray(row["object_map"])
        object_map = np.full(np.asarray(row["part_map"]).shape, self.taxonomy.ignore_index)
        for instance in row["instances"]:
            object_map[decode_rle(instance["mask"])] = instance["category"]
        return object_map
