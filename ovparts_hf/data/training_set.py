"""The training examples of a task, and the order in which a run reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ..errors import ConfigurationError, DatasetError
from ..taxonomy import PartTaxonomy
from ..utils.resize import resize_nearest
from .augmentation import Sample, Transform

if TYPE_CHECKING:
    from .part_dataset import PartDataset
    from .records import Record

_ORDER, _AUGMENTATION, _CLASSES = range(3)  # independent streams of random numbers


class EpochIndex(NamedTuple):
    """Index of a training example: the pass over the data, and the record in it."""

    epoch: int
    index: int


class TrainingSet(Dataset):
    """Augmented images with part labels in the numbering of the training vocabulary.

    The augmentation of an example depends on the seed and on its `EpochIndex` alone: not on the number of worker
    processes or devices, nor on the examples read before.

    Args:
        dataset: Where images and labels come from.
        records: What one epoch consists of.
        target: The training vocabulary; labels missing from it become its ignore index.
        transform: The augmentation.
        preprocess: Turns a list of images into the model's inputs, each (images, ...).
        label_size: (height, width) of the label maps, which must be that of the model's logits.
        seed: Seed of the augmentation.
        classes_per_image: If set, an example also says which classes are to be scored: the parts of the objects
            labelled in it, filled up with random others to this number.
        with_object_masks: Whether an example also holds the mask of its object.
        object_map: "correct"; or "ov_parts", where a mask is empty if the id of its object, looked up among the *parts*
            as the original does on Pascal-Part-116, is not a seen part's.

    Raises:
        DatasetError: There are no records.
    """

    def __init__(
        self,
        dataset: PartDataset,
        records: Sequence[Record],
        target: PartTaxonomy,
        transform: Transform,
        preprocess: Callable[[list], Mapping[str, torch.Tensor]],
        label_size: tuple[int, int],
        seed: int,
        classes_per_image: int | None = None,
        with_object_masks: bool = False,
        object_map: str = "correct",
    ) -> None:
        if not records:
            raise DatasetError(
                f"No training image shows one of the {len(target.part_classes)} part classes of {target.name!r}. "
                "Check that the dataset is the one that the task is meant for."
            )
        self.dataset = dataset
        self.records = records
        self.target = target
        self.transform = transform
        self.preprocess = preprocess
        self.label_size = label_size
        self.seed = seed
        self.classes_per_image = classes_per_image
        self.with_object_masks = with_object_masks
        self.object_map = object_map
        self._part_ids = dataset.taxonomy.part_lookup(target)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: EpochIndex) -> dict[str, torch.Tensor]:
        """One example.

        Returns:
            The model's inputs such as `pixel_values` (3, S, S) float32, `labels` (height, width) int64 and, if they
            were requested, `object_masks` (height, width) float32 of 0 and 1 and `class_mask` (classes,) bool.
        """
        original = self.dataset.read(self.records[index.index])
        generator = np.random.default_rng((self.seed, _AUGMENTATION, *index))
        sample = self.transform(Sample(original.image, original.part_map, original.object_map), generator)
        labels = resize_nearest(self._part_ids[sample.part_map], self.label_size, precision=np.float32)
        inputs = {name: tensor[0] for name, tensor in self.preprocess([sample.image]).items()}
        example = {**inputs, "labels": torch.from_numpy(labels)}
        if self.with_object_masks:
            example["object_masks"] = torch.from_numpy(self._object_mask(sample.object_map))
        if self.classes_per_image is not None:
            example["class_mask"] = torch.from_numpy(self._choose_classes(labels, index))
        return example

    def _object_mask(self, object_map: np.ndarray) -> np.ndarray:
        if self.object_map == "ov_parts":
            inside = self._part_ids[object_map] != self.target.ignore_index
        else:
            inside = object_map != self.dataset.taxonomy.ignore_index
        return resize_nearest(inside, self.label_size, precision=np.float32).astype(np.float32)

    def _choose_classes(self, labels: np.ndarray, index: EpochIndex) -> np.ndarray:
        object_ids = np.array(self.target.part_object_ids)
        labelled = [label for label in np.unique(labels) if label != self.target.ignore_index]
        chosen = np.isin(object_ids, object_ids[labelled])
        others = np.random.default_rng((self.seed, _CLASSES, *index)).permutation(np.flatnonzero(~chosen))
        chosen[others[: max(0, self.classes_per_image - chosen.sum())]] = True
        return chosen


class ResumableBatchSampler(Sampler[list[EpochIndex]]):
    """The micro-batches of one process: endless epochs, each shuffled anew, cut into batches and shared out.

    Step s takes positions s * batch_size to (s + 1) * batch_size - 1 of that sequence. Each process takes an equal
    share of them, in micro-batches that fit its memory. What is learned in a step is therefore the same however the
    work is divided, and a run that stopped before step s continues with `start=s` without reading anything twice.

    Args:
        num_records: Records in an epoch.
        batch_size: Examples in a step, over all processes.
        steps: Length of the run.
        seed: Seed of the shuffling.
        micro_batch_size: Examples in a micro-batch; None for a process's whole share.
        process: Index of this process.
        num_processes: How many share the work.
        start: First step.

    Raises:
        ConfigurationError: The batch cannot be divided evenly.
    """

    def __init__(
        self,
        num_records: int,
        batch_size: int,
        steps: int,
        seed: int,
        micro_batch_size: int | None = None,
        process: int = 0,
        num_processes: int = 1,
        start: int = 0,
    ) -> None:
        self.share, rest = divmod(batch_size, num_processes)
        self.micro_batch_size = micro_batch_size or max(1, self.share)
        if rest or self.share % self.micro_batch_size:
            raise ConfigurationError(
                f"A batch of {batch_size} cannot be divided over {num_processes} processes in micro-batches of "
                f"{self.micro_batch_size}; batch_size must be a multiple of {num_processes * (micro_batch_size or 1)}."
            )
        self.num_records = num_records
        self.batch_size = batch_size
        self.steps = steps
        self.seed = seed
        self.process = process
        self.start = start

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
