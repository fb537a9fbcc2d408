"""The training examples of a task, and the order in which a run reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ..errors import ConfigurationError, DatasetError
from ..taxonomy import PartTaxonomy
from ..utils.crops import Box
from ..utils.resize import resize_nearest
from .augmentation import Sample, Transform

if TYPE_CHECKING:
    from .part_dataset import PartDataset, PartSample
    from .records import Record

_ORDER, _AUGMENTATION, _CLASSES = range(3)  # independent streams of random numbers
_MOST_DRAWS = 1000


class EpochIndex(NamedTuple):
    """Index of a training example: the pass over the data, and the record in it."""

    epoch: int
    index: int


@dataclass(eq=False, repr=False)
class TrainingSet(Dataset):
    """Augmented images with part labels in the numbering of the training vocabulary `target`.

    The augmentation of an example depends on the seed and on its `EpochIndex` alone: not on the number of worker
    processes or devices, nor on the examples read before. Nor does the record that takes the place of one whose crop
    shows no label, as in the benchmark.
    """

    dataset: PartDataset
    records: Sequence[Record]
    target: PartTaxonomy
    transform: Transform
    preprocess: Callable[[list], Mapping[str, torch.Tensor]]  # images to inputs, each (images, ...)
    label_size: tuple[int, int]  # (height, width) of the model's logits
    seed: int
    classes_per_image: int | None = None  # score the parts of the labelled objects, filled up with random others
    with_object_masks: bool = False
    object_map: str = "correct"  # "ov_parts": looks object ids up among the *parts*, as the original does
    with_object_labels: bool = False
    object_crop_margin: float | None = None  # show each object in its `Box.around`, before the augmentation

    def __post_init__(self) -> None:
        if not self.records:
            raise DatasetError(
                f"No training image shows one of the {len(self.target.part_classes)} part classes of "
                f"{self.target.name!r}. Check that the dataset is the one that the task is meant for."
            )
        if self.object_crop_margin is not None and any(record.object_id is None for record in self.records):
            raise ConfigurationError(
                f"A model with object_crop_margin={self.object_crop_margin} is trained on objects, but these examples "
                "are whole images. Set level=object, or leave it out; or set object_crop_margin to null under config."
            )
        self._part_ids = self.dataset.taxonomy.part_lookup(self.target)
        self._object_parts = self.dataset.taxonomy.object_part_lookup(self.target)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: EpochIndex) -> dict[str, torch.Tensor]:
        """The model's inputs such as `pixel_values` (3, S, S) float32, `labels` (height, width) int64 and, if they were
        requested, `object_masks` (height, width) float32 of 0 and 1, `object_labels` as `labels`, the first part of the
        object that is there, and `class_mask` (classes,) bool.
        """
        _, sample, part_map = self._draw(index)
        labels = resize_nearest(part_map, self.label_size, precision=np.float32)
        inputs = {name: tensor[0] for name, tensor in self.preprocess([sample.image]).items()}
        example = {**inputs, "labels": torch.from_numpy(labels)}
        if self.with_object_masks:
            example["object_masks"] = torch.from_numpy(self._object_mask(sample.object_map))
        if self.with_object_labels:
            of_objects = resize_nearest(self._object_parts[sample.object_map], self.label_size, precision=np.float32)
            example["object_labels"] = torch.from_numpy(of_objects)
        if self.classes_per_image is not None:
            example["class_mask"] = torch.from_numpy(self._choose_classes(labels, index))
        return example

    def drawn_record(self, index: EpochIndex) -> Record:
        """The record that an example shows."""
        return self._draw(index)[0]

    def _draw(self, index: EpochIndex) -> tuple[Record, Sample, np.ndarray]:
        """A record, augmented, and its labels (H, W); if none is left in the crop, another record, drawn uniformly."""
        generator = np.random.default_rng((self.seed, _AUGMENTATION, *index))
        record = self.records[index.index]
        for _ in range(_MOST_DRAWS):
            original = self._read(record)
            sample = self.transform(Sample(original.image, original.part_map, original.object_map), generator)
            part_map = self._part_ids[sample.part_map]
            if (part_map != self.target.ignore_index).any():
                return record, sample, part_map
            record = self.records[generator.integers(len(self.records))]
        raise DatasetError(
            f"None of {_MOST_DRAWS} random crops shows one of the {len(self.target.part_classes)} part classes of "
            f"{self.target.name!r}; set a larger crop_size, or smaller short_edges."
        )

    def _read(self, record: Record) -> PartSample:
        sample = self.dataset.read(record)
        if self.object_crop_margin is None:
            return sample
        inside = sample.object_map != self.dataset.taxonomy.ignore_index
        return sample.crop(Box.around(inside, self.object_crop_margin))

    def _object_mask(self, object_map: np.ndarray) -> np.ndarray:
        inside = object_map != self.dataset.taxonomy.ignore_index
        if self.object_map == "ov_parts":
            inside = self._part_ids[object_map] != self.target.ignore_index
        return resize_nearest(inside, self.label_size, precision=np.float32).astype(np.float32)

    def _choose_classes(self, labels: np.ndarray, index: EpochIndex) -> np.ndarray:
        object_ids = np.array(self.target.part_object_ids)
        labelled = [label for label in np.unique(labels) if label != self.target.ignore_index]
        chosen = np.isin(object_ids, object_ids[labelled])
        others = np.random.default_rng((self.seed, _CLASSES, *index)).permutation(np.flatnonzero(~chosen))
        chosen[others[: max(0, self.classes_per_image - chosen.sum())]] = True
        return chosen


@dataclass(eq=False)
class ResumableBatchSampler(Sampler[list[EpochIndex]]):
    """The micro-batches of one process: endless epochs, each shuffled anew, cut into batches and shared out.

    Step s takes positions s * batch_size to (s + 1) * batch_size - 1 of that sequence. Each process takes an equal
    share of them, in micro-batches that fit its memory. What is learned in a step is therefore the same however the
    work is divided, and a run that stopped before step s continues with `start=s` without reading anything twice.
    """

    num_records: int
    batch_size: int  # over all processes
    steps: int
    seed: int
    micro_batch_size: int | None = None  # None: a process's whole share
    process: int = 0
    num_processes: int = 1
    start: int = 0

    def __post_init__(self) -> None:
        self.share, rest = divmod(self.batch_size, self.num_processes)
        multiple = self.num_processes * (self.micro_batch_size or 1)
        self.micro_batch_size = self.micro_batch_size or max(1, self.share)
        if rest or self.share % self.micro_batch_size:
            raise ConfigurationError(
                f"A batch of {self.batch_size} cannot be divided over {self.num_processes} processes in micro-batches "
                f"of {self.micro_batch_size}; batch_size must be a multiple of {multiple}."
            )

    @property
    def micro_batches_per_step(self) -> int:
        """How many micro-batches of this process make one step."""
        return self.share // self.micro_batch_size

    def __len__(self) -> int:
        return (self.steps - self.start) * self.micro_batches_per_step

    def __iter__(self) -> Iterator[list[EpochIndex]]:
        epoch, order = -1, np.empty(0, dtype=np.int64)
        for step in range(self.start, self.steps):
            first = step * self.batch_size + self.process * self.share
            indices = []
            for position in range(first, first + self.share):
                if position // self.num_records != epoch:
                    epoch = position // self.num_records
                    order = np.random.default_rng((self.seed, _ORDER, epoch)).permutation(self.num_records)
                indices.append(EpochIndex(epoch, int(order[position % self.num_records])))
            for i in range(0, self.share, self.micro_batch_size):
                yield indices[i : i + self.micro_batch_size]
