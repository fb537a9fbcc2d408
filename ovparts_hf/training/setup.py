"""What a training run is made of: model, processor and data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.data import Dataset

from ..data import augmentation
from ..data.few_shot import FewShotList
from ..data.held_out import hold_out
from ..data.part_dataset import PartDataset
from ..data.training_set import EpochIndex, TrainingSet
from ..errors import ConfigurationError, DatasetError
from ..evaluation.sharding import whole_parameters
from ..models.loading import ModelSource
from ..models.modeling_utils import PartSegmentationModel
from ..models.prompts import load_tuned_prompts
from ..models.resnet import load_backbone
from ..taxonomy import PartTaxonomy
from ..taxonomy.tasks import get_task
from .arguments import LoopArguments, TrainArguments
from .random_images import RandomImages, usual_size


class Setup(Protocol):
    """What the training loop asks of whatever is trained."""

    model: nn.Module
    processor: Any
    eval_dataset: PartDataset | None

    def training_set(self, arguments: LoopArguments) -> Dataset:
        """The examples, which `ResumableBatchSampler` indexes; `target` is the training vocabulary."""

    def random_examples(self, arguments: LoopArguments, count: int) -> list[dict[str, torch.Tensor]]:
        """As many examples (one or two) of the size that the training set's have, without reading any."""

    def class_inputs(self, target: PartTaxonomy) -> dict[str, torch.Tensor]:
        """The training vocabulary as arguments of `model.forward`, which are the same in all steps."""

    def ready_to_save(self) -> AbstractContextManager[None]:
        """A block in which model and processor can be saved."""


@dataclass
class TrainingSetup:
    """A segmentation model, with its trainable set chosen, its processor, and what to train and evaluate it on."""

    model: nn.Module
    processor: Any
    dataset: PartDataset
    eval_dataset: PartDataset

    @classmethod
    def load(cls, arguments: TrainArguments) -> TrainingSetup:
        """Loads what the arguments name."""
        dataset = PartDataset.load(arguments.data)
        same = arguments.eval_data in (None, arguments.data)
        eval_dataset = dataset if same else PartDataset.load(arguments.eval_data)
        if arguments.held_out is not None:
            dataset, eval_dataset = hold_out(dataset, arguments.held_out, arguments.seed)
        if arguments.few_shot_list is not None:
            FewShotList.from_json(arguments.few_shot_list).apply(dataset)
        if arguments.eval_every and not eval_dataset.evaluation_records(get_task(arguments.task)):
            raise DatasetError(f"{arguments.eval_data or arguments.data} has nothing to evaluate on; set eval_every=0.")
        return cls.of(arguments, dataset, eval_dataset)

    @classmethod
    def of(cls, arguments: TrainArguments, dataset: PartDataset, eval_dataset: PartDataset) -> TrainingSetup:
        """Loads the model, to be trained and evaluated on datasets that are at hand."""
        setup = cls(*_load_model(arguments, dataset.taxonomy), dataset, eval_dataset)
        if not setup._text_encoder_is_trainable():
            setup.model.store_vocabulary(setup.processor, setup.vocabulary)
        elif setup.model.vocabulary is not None:
            setup.model.forget_vocabulary()
        return setup

    @property
    def vocabulary(self) -> list[str]:
        """The vocabulary that a trained model keeps: the part classes of both datasets, seen and unseen."""
        return list(dict.fromkeys([*self.dataset.taxonomy.part_classes, *self.eval_dataset.taxonomy.part_classes]))

    def _text_encoder_is_trainable(self) -> bool:
        return self.model.text_encoder_is_trainable(self.processor, self.dataset.taxonomy.part_classes)

    @contextmanager
    def ready_to_save(self) -> Iterator[None]:
        """A block in which the model keeps the vocabulary; one that a trainable text encoder makes is dropped again."""
        with whole_parameters(self.model):
            trainable = self._text_encoder_is_trainable()
            if trainable:
                self.model.eval().store_vocabulary(self.processor, self.vocabulary, progress=False)
        yield
        if trainable:
            self.model.forget_vocabulary()

    def class_inputs(self, target: PartTaxonomy) -> dict[str, torch.Tensor]:
        """The training vocabulary as the model takes it: class features, or tokens for a trainable text encoder."""
        if self._text_encoder_is_trainable():
            return self.model.tokenize_vocabulary(self.processor, target.part_classes)
        return self.model.encode_vocabulary(self.processor, target.part_classes)

    def training_set(self, arguments: TrainArguments) -> TrainingSet:
        """The augmented examples of the task."""
        task, margin = get_task(arguments.task), self.model.object_crop_margin
        level = arguments.level or (None if margin is None else "object")
        return TrainingSet(
            self.dataset,
            self.dataset.training_records(task, level),
            task.train_taxonomy(self.dataset.taxonomy),
            build_transform(arguments, self.dataset.taxonomy.ignore_index),
            partial(self.processor, augmented=True),
            self._label_size(arguments),
            arguments.seed,
            arguments.classes_per_image,
            self.model.requires_object_masks,
            arguments.object_map,
            self.model.trains_on_objects,
            margin,
        )

    def random_examples(self, arguments: TrainArguments, count: int) -> list[dict[str, torch.Tensor]]:
        """See `Setup.random_examples`."""
        size = usual_size(arguments.short_edges, arguments.max_size)
        examples = replace(self, dataset=RandomImages(self.dataset.taxonomy, size)).training_set(arguments)
        return [examples[EpochIndex(0, number)] for number in range(count)]

    def _label_size(self, arguments: TrainArguments) -> tuple[int, int]:
        size = self.processor.image_processor.size
        if "height" in size:
            return size["height"], size["width"]
        if arguments.crop_size is None:
            raise ConfigurationError("This model keeps the shape of images: set crop_size, so that they make a batch.")
        return arguments.crop_size, arguments.crop_size


def _load_model(arguments: TrainArguments, taxonomy: PartTaxonomy) -> tuple[nn.Module, Any]:
    source = ModelSource(arguments.model, arguments.family, for_training=True)
    model, processor = source.load(**model_fields(source, arguments, taxonomy))
    if arguments.backbone is not None:
        load_backbone(model, arguments.backbone)
    if arguments.prompts is not None:
        load_tuned_prompts(model.prompts, arguments.prompts)
        model.forget_vocabulary()  # it was encoded with other prompts
    choose_trained(model, arguments)
    return model, processor


def model_fields(source: ModelSource, arguments: TrainArguments, taxonomy: PartTaxonomy) -> dict[str, Any]:
    """Fields of the model's configuration that a run sets."""
    class_names = get_task(arguments.task).train_taxonomy(taxonomy).part_classes
    config = source.config()
    seen = [*(config.trained_on or {"seen_classes": []})["seen_classes"], *class_names]
    trained_on = {"task": arguments.task, "dataset": taxonomy.name, "seen_classes": list(dict.fromkeys(seen))}
    fields = {
        "ignore_index": taxonomy.ignore_index,
        "trained_on": trained_on,
        **config.training_fields(class_names),
    }
    if arguments.loss is not None:
        fields["segmentation_loss"] = arguments.loss
    return {**arguments.config, **fields}


def choose_trained(model: PartSegmentationModel, arguments: TrainArguments) -> None:
    """Chooses what is trained, and what is computed again in the backward pass."""
    model.set_trainable(arguments.trainable)
    if arguments.gradient_checkpointing:
        model.activation_checkpointing_enable()
    if arguments.class_chunk is not None:
        model.decode_in_chunks(arguments.class_chunk)


def build_transform(arguments: TrainArguments, ignore_index: int) -> augmentation.Transform:
    """The augmentation of a run, in the benchmark's order."""
    transforms: list[augmentation.Transform] = []
    if arguments.short_edges is not None:
        transforms.append(augmentation.ResizeShortEdge(arguments.short_edges, arguments.max_size))
    side = arguments.crop_size
    if side is not None:
        transforms.append(augmentation.RandomCrop(side, side))
    if arguments.color_jitter:
        transforms.append(augmentation.ColorJitter())
    transforms.append(augmentation.RandomFlip(arguments.flip))
    if side is not None:
        transforms.append(augmentation.PadTo(side, side, ignore_index))
    if arguments.image_format == "BGR":
        transforms.append(augmentation.SwapChannels())
    return augmentation.Compose(transforms)
