"""What a training run works with: model, processor and data, made from its arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import nn

from ..data.augmentation import Compose, PadTo, RandomCrop, RandomFlip, ResizeShortEdge, SwapChannels, Transform
from ..data.color import ColorJitter
from ..data.few_shot import FewShotList
from ..data.part_dataset import PartDataset
from ..data.training_set import TrainingSet
from ..errors import ConfigurationError, DatasetError
from ..models.configuration_utils import PartSegmentationConfig
from ..models.loading import ModelSource
from ..models.prompts import load_tuned_prompts
from ..models.resnet import load_backbone
from ..taxonomy import PartTaxonomy
from ..taxonomy.tasks import get_task
from .arguments import TrainArguments


@dataclass
class TrainingSetup:
    """Everything that is loaded before training starts.

    Attributes:
        model: With the trainable set chosen.
        processor: Of the model.
        dataset: To train on.
        eval_dataset: To evaluate on.
    """

    model: nn.Module
    processor: Any
    dataset: PartDataset
    eval_dataset: PartDataset

    @classmethod
    def load(cls, arguments: TrainArguments) -> TrainingSetup:
        """Loads what the arguments name.

        Raises:
            OVPartsError: A dataset or model cannot be loaded, or does not fit.
        """
        dataset = PartDataset.load(arguments.data)
        same = arguments.eval_data in (None, arguments.data)
        eval_dataset = dataset if same else PartDataset.load(arguments.eval_data)
        if arguments.few_shot_list is not None:
            FewShotList.from_json(arguments.few_shot_list).apply(dataset)
        if arguments.eval_every and not eval_dataset.evaluation_records(get_task(arguments.task)):
            raise DatasetError(f"{arguments.eval_data or arguments.data} has nothing to evaluate on; set eval_every=0.")
        source = ModelSource(arguments.model, arguments.family)
        fields = _config_fields(arguments, dataset.taxonomy, source.config())
        model, processor = source.load(**{**arguments.config, **fields})
        if arguments.backbone is not None:
            load_backbone(model, arguments.backbone)
        if arguments.prompts is not None:
            load_tuned_prompts(model.prompts, arguments.prompts)
            model.forget_vocabulary()  # which were encoded with other prompts
        model.set_trainable(arguments.trainable)
        ingredients = cls(model, processor, dataset, eval_dataset)
        if not ingredients._learns_own_words():
            model.store_vocabulary(processor, ingredients.vocabulary)
        elif model.vocabulary is not None:
            model.forget_vocabulary()
        return ingredients

    @property
    def vocabulary(self) -> list[str]:
        """What a trained model keeps as its own vocabulary: the part classes of both datasets, seen and unseen."""
        return list(dict.fromkeys([*self.dataset.taxonomy.part_classes, *self.eval_dataset.taxonomy.part_classes]))

    @contextmanager
    def ready_to_save(self) -> Iterator[None]:
        """Lets a model whose text encoder learns keep its vocabulary while it is saved."""
        if not self._learns_own_words():
            yield
            return
        self.model.eval().store_vocabulary(self.processor, self.vocabulary, progress=False)
        yield
        self.model.forget_vocabulary()

    def _learns_own_words(self) -> bool:
        """Whether the model can keep a vocabulary, but would have to change it with each step."""
        return self.model.text_encoder_is_trainable(self.processor, self.dataset.taxonomy.part_classes)

    def words(self, target: PartTaxonomy) -> dict[str, torch.Tensor]:
        """The training vocabulary as the model takes it: features, or tokens if the text encoder learns."""
        if self.model.text_encoder_is_trainable(self.processor, target.part_classes):
            return dict(self.processor(classes=target.part_classes))
        return self.model.encode_vocabulary(self.processor, target.part_classes)

    def training_set(self, arguments: TrainArguments) -> TrainingSet:
        """The augmented examples of the task.

        Raises:
            OVPartsError: There is no labelled record.
        """
        task = get_task(arguments.task)
        ignore_index = self.dataset.taxonomy.ignore_index
        return TrainingSet(
            self.dataset,
            self.dataset.training_records(task, arguments.level),
            task.train_taxonomy(self.dataset.taxonomy),
            build_transform(arguments, ignore_index),
            partial(_inputs, self.processor),
            self._label_size(arguments),
            arguments.seed,
            arguments.classes_per_image,
            self.model.requires_object_masks,
            arguments.object_map,
        )

    def _label_size(self, arguments: TrainArguments) -> tuple[int, int]:
        size = self.processor.image_processor.size
        if "height" in size:
            return size["height"], size["width"]
        if arguments.crop_size is None:
            raise ConfigurationError("This model keeps the shape of images: set crop_size, so that they make a batch.")
        return arguments.crop_size, arguments.crop_size


def _config_fields(arguments: TrainArguments, taxonomy: PartTaxonomy, config: PartSegmentationConfig) -> dict[str, Any]:
    """What the configuration of a model must say about the data that it is trained on."""
    class_names = get_task(arguments.task).train_taxonomy(taxonomy).part_classes
    fields = {"ignore_index": taxonomy.ignore_index, **config.training_fields(class_names)}
    return fields if arguments.loss is None else {**fields, "segmentation_loss": arguments.loss}


def build_transform(arguments: TrainArguments, ignore_index: int) -> Transform:
    """The augmentation that the arguments describe, in the benchmark's order."""
    transforms: list[Transform] = [ResizeShortEdge(arguments.short_edges, arguments.max_size)]
    side = arguments.crop_size
    if side is not None:
        transforms.append(RandomCrop(side, side))
    if arguments.color_jitter:
        transforms.append(ColorJitter())
    transforms.append(RandomFlip(arguments.flip))
    if side is not None:
        transforms.append(PadTo(side, side, ignore_index))
    if arguments.image_format == "BGR":
        transforms.append(SwapChannels())
    return Compose(transforms)


def _inputs(processor: Any, images: list[Image.Image]) -> Mapping[str, torch.Tensor]:
    return processor(images=images, augmented=True)
