"""What a plan of fine-tuning follows from: facts about the data, the model and the machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ...data.held_out import labelled_images
from ...data.part_dataset import PartDataset
from ...data.records import Record
from ...errors import ConfigurationError, DatasetError
from ...inference.placement import usable_device
from ...models.auto import FAMILIES, family_of, model_class
from ...models.loading import ModelSource
from ...models.modeling_utils import PartSegmentationModel
from ...taxonomy.tasks import get_task
from ...toy.photographs import is_photograph

_LOOKED_AT = 12  # images that are looked at to tell drawings from photographs
_SIDED = re.compile(r"\b(left|right)\b", re.IGNORECASE)


@dataclass(frozen=True)
class DataFacts:
    """A prepared dataset in numbers."""

    name: str
    images: int  # labelled training images
    scored: int  # validation images with a label
    parts: int
    has_unseen: bool  # whether the parts of some objects are only to be tested
    is_sided: bool  # whether names of parts tell left from right, so that images must not be mirrored
    is_drawn: bool  # whether most images are flat drawings

    @classmethod
    def of(cls, dataset: PartDataset) -> DataFacts:
        """Counts; a dataset that nothing can be learned from is a `DatasetError`."""
        taxonomy = dataset.taxonomy
        if "train" not in dataset.splits or not (rows := list(labelled_images(dataset))):
            raise DatasetError(f"{taxonomy.name!r} has no labelled training image. Label some, and prepare it again.")
        looked_at = rows[:: -(-len(rows) // _LOOKED_AT)]
        photographs = sum(is_photograph(dataset.read(Record("train", row)).image) for row in looked_at)
        return cls(
            name=taxonomy.name,
            images=len(rows),
            scored=len(validation_images(dataset)),
            parts=len(taxonomy.part_classes),
            has_unseen=bool(taxonomy.unseen_part_ids),
            is_sided=any(_SIDED.search(name) for name in taxonomy.part_classes),
            is_drawn=photographs < len(looked_at) / 2,
        )


def validation_images(dataset: PartDataset) -> set[int]:
    """Rows of the validation split that are scored; there may be no such split."""
    if "validation" not in dataset.splits:
        return set()
    records = dataset.evaluation_records(get_task("supervised"))
    return {record.row for record in records if record.split == "validation"}


@dataclass(frozen=True)
class ModelFacts:
    """A model to start from."""

    name: str  # folder, Hub id or toy
    family: str
    parameters: int
    side: int  # pixels of the images that it takes
    is_square: bool  # whether it squeezes images into a square, whatever their shape
    trainable_with_few: str
    trainable_with_many: str
    takes_dice: bool  # whether it can be trained by "ce_dice"
    requires_object_masks: bool
    scores_any_class: bool  # if not, it cannot be scored on new parts before it is trained
    lr_multipliers: Mapping[str, float] = field(default_factory=dict)  # of what is pretrained

    @classmethod
    def of(cls, name: str, model: PartSegmentationModel, processor: Any) -> ModelFacts:
        """Of a loaded model."""
        size = dict(processor.image_processor.size)
        groups = "+".join(model.trainable_groups)
        return cls(
            name=name,
            family=family_of(model.config),
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            side=size.get("height") or size["shortest_edge"],
            is_square="height" in size,
            trainable_with_few=model.trainable_with_few or groups,
            trainable_with_many=model.trainable_with_many or groups,
            takes_dice="ce_dice" in model.config.segmentation_losses,
            requires_object_masks=model.requires_object_masks,
            scores_any_class=not model.config.has_closed_vocabulary,
            lr_multipliers=model.stock_lr_multipliers,
        )


@dataclass(frozen=True)
class MachineFacts:
    """Where the training runs."""

    device: str  # "cpu", "cuda", ...
    cores: int

    @classmethod
    def here(cls) -> MachineFacts:
        """This machine, with the cores that this process may use."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return cls(torch.device(usable_device(None)).type, cores)


def choose_base(name: str | None, data: DataFacts, family: str | None = None) -> tuple[ModelSource, str]:
    """The model to start from, of which nothing but the configuration is read yet, and why it is this one.

    `name` is a family, a folder, a Hub id or a toy model; None for the toy model if the images are drawings, and for
    the stock CLIPSeg if they are not. `family` is what a pretrained model in a folder or on the Hub becomes.
    """
    if family is not None and (name is None or name in FAMILIES):
        raise ConfigurationError(
            f"family is {family!r}: it says what a pretrained model becomes, whose folder or Hub id --model names. For "
            f"stock weights: --model {family}."
        )
    if name in FAMILIES:
        return ModelSource(model_class(name).stock_weights, name), f"stock weights of {name}"
    if name is not None:
        return ModelSource(name, family), "as given"
    if data.is_drawn:
        return ModelSource("toy-trained"), "the images are flat drawings; model=clipseg is for everything else"
    weights = model_class("clipseg").stock_weights
    return ModelSource(weights), "stock weights that know photographs of everyday things"


def fields_of_stock(source: ModelSource) -> dict[str, Any]:
    """Fields of the configuration that a model gets which is built on stock weights: the names of further ones."""
    if source.fields or not source.is_base_model:  # a toy model has its own
        return {}
    return dict(model_class(family_of(source.config())).stock_fields)
