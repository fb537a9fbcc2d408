"""Prompt tuning: learns the vectors of prompts on ground-truth regions, through a frozen CLIP (docs/prompts.md)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import set_seed
from torch import nn
from torch.utils.data import Dataset

from ...data.part_dataset import PartDataset
from ...data.records import Record
from ...data.training_set import EpochIndex
from ...errors import DatasetError
from ...models.prompts import LearnedPrompts, tokenize_prompts
from ...taxonomy import PartTaxonomy
from ...taxonomy.tasks import get_task
from ..arguments import PromptTuningArguments
from ..loop import train
from .classifier import PromptClassifier
from .features import FeatureCache, PartFeatures, StockCLIP


def tune_prompts(arguments: PromptTuningArguments) -> Path:
    """Tunes prompts and writes them with their log to `arguments.output`.

    Runs, stops and resumes as `train` does.

    Args:
        arguments: The settings of the run.

    Returns:
        The output folder; the prompts and the tokenizer are in its subfolder `last`.

    Raises:
        OVPartsError: Some argument cannot be used, or the loss is no longer finite.
        TrainingInterrupted: SIGINT or SIGTERM was received; a checkpoint is saved.
    """
    return train(arguments, PromptTuningSetup.load(arguments))


@dataclass
class PromptProcessor:
    """Class names to prompts with learned vectors, of which `lengths` are prefix, connect and suffix."""

    tokenizer: Any
    lengths: tuple[int, int, int]

    def __call__(self, classes: Sequence[str]) -> dict[str, torch.Tensor]:
        return tokenize_prompts(self.tokenizer, classes, *self.lengths)

    def save_pretrained(self, folder: str | Path) -> None:
        self.tokenizer.save_pretrained(folder)


@dataclass
class PromptTuningSetup:
    """A classifier with learned prompts, the CLIP inside it, and the dataset to tune on."""

    clip: StockCLIP
    model: PromptClassifier
    processor: PromptProcessor
    dataset: PartDataset
    eval_dataset: None = None

    @classmethod
    def load(cls, arguments: PromptTuningArguments) -> PromptTuningSetup:
        """Loads what the arguments name; refuses a prompt that is too long before features are computed."""
        dataset = PartDataset.load(arguments.data)
        clip = StockCLIP.load(arguments.model)
        clip.check_region_size(arguments.region_size)
        return cls.of(clip, arguments, dataset)

    @classmethod
    def of(cls, clip: StockCLIP, arguments: PromptTuningArguments, dataset: PartDataset) -> PromptTuningSetup:
        """New prompts for a CLIP and a dataset that are at hand."""
        set_seed(arguments.seed)
        config = clip.model.config
        feature_dim = config.projection_dim if arguments.image_conditioned else None
        prompts = LearnedPrompts(config.text_config.hidden_size, *arguments.lengths, feature_dim)
        nn.init.constant_(prompts.fuse_weight, arguments.fuse_weight)
        processor = PromptProcessor(clip.tokenizer, arguments.lengths)
        processor(dataset.taxonomy.part_classes)  # refuses a prompt that is too long
        return cls(clip, PromptClassifier(clip.model, prompts, arguments.temperature), processor, dataset)

    def class_inputs(self, target: PartTaxonomy) -> dict[str, torch.Tensor]:
        """The prompts of the training vocabulary, as the classifier takes them."""
        return dict(self.processor(classes=target.part_classes))

    def random_examples(self, arguments: PromptTuningArguments, count: int) -> list[dict[str, torch.Tensor]]:
        """See `Setup.random_examples`."""
        target = get_task(arguments.task).train_taxonomy(self.dataset.taxonomy)
        dim, classes = self.clip.model.config.projection_dim, len(target.part_classes)
        example = {
            "part_features": torch.randn(dim),
            "object_features": torch.randn(dim),
            "class_mask": torch.ones(classes, dtype=torch.bool),
            "labels": torch.tensor(0),
        }
        return [example] * count

    def ready_to_save(self) -> AbstractContextManager[None]:
        """Prompts are saved as they are, without a vocabulary."""
        return nullcontext()

    def training_set(self, arguments: PromptTuningArguments) -> RegionSet:
        """The regions of the task, with CLIP's features."""
        task, taxonomy = get_task(arguments.task), self.dataset.taxonomy
        target = task.train_taxonomy(taxonomy)
        records = self.dataset.training_records(task, "object")
        samples = choose_samples(self.dataset, records, target, arguments.samples_per_class, arguments.seed)
        crops = arguments.crop_ratio, arguments.region_size
        cache = FeatureCache(arguments.cache, self.clip, self.dataset, *crops, arguments.workers)
        return RegionSet(cache.rows(samples), taxonomy, target)


class RegionSet(Dataset):
    """Regions of parts with labels in a training vocabulary, `target`, as `PromptClassifier` takes them."""

    def __init__(self, features: PartFeatures, taxonomy: PartTaxonomy, target: PartTaxonomy) -> None:
        self.features = features
        self.target = target
        self.labels = torch.from_numpy(taxonomy.part_lookup(target))[features.part_ids]
        object_ids = torch.tensor(target.part_object_ids)
        self.class_mask = object_ids[self.labels][:, None] == object_ids

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: EpochIndex) -> dict[str, torch.Tensor]:
        """A row of each argument of `PromptClassifier.forward` but the text."""
        return {
            "part_features": self.features.part_features[index.index],
            "object_features": self.features.object_features[index.index],
            "class_mask": self.class_mask[index.index],
            "labels": self.labels[index.index],
        }


def choose_samples(
    dataset: PartDataset, records: Sequence[Record], target: PartTaxonomy, per_class: int | None, seed: int
) -> list[tuple[Record, int]]:
    """Draws up to `per_class` (object, part id) pairs of each class of a vocabulary, in the order of the records."""
    class_names = set(target.part_classes)
    by_class: dict[int, list[int]] = {}
    for index, record in enumerate(records):
        for part in dataset.parts_in(record):
            if dataset.taxonomy.part_classes[part] in class_names:
                by_class.setdefault(part, []).append(index)
    if not by_class:
        raise DatasetError(
            f"No training object shows one of the {len(class_names)} part classes of {target.name!r}. Check that the "
            "dataset is the one that the task is meant for."
        )
    chosen = []
    for part, indices in by_class.items():
        if per_class is not None and len(indices) > per_class:
            indices = np.random.default_rng((seed, part)).choice(indices, per_class, replace=False).tolist()
        chosen.extend((index, part) for index in indices)
    return [(records[index], part) for index, part in sorted(chosen)]
