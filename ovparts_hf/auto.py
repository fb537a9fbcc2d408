"""The model families, and making transformers' Auto classes know them."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForSemanticSegmentation,
    AutoProcessor,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.image_processing_utils import BaseImageProcessor

from .models.catseg import CATSegConfig, CATSegForPartSegmentation
from .models.catseg.image_processing_catseg import CATSegImageProcessor
from .models.clipseg import CLIPSegForPartSegmentation, CLIPSegPartConfig
from .processing import PartSegmentationImageProcessor, PartSegmentationProcessor


@dataclass(frozen=True)
class Family:
    """A kind of model.

    Attributes:
        config: Its configuration class.
        model: Its model class.
        image_processor: What prepares its pictures.
        stock: transformers' `model_type` of the stock models that it can start from.
    """

    config: type[PreTrainedConfig]
    model: type[PreTrainedModel]
    image_processor: type[BaseImageProcessor]
    stock: str


FAMILIES = {
    "clipseg": Family(CLIPSegPartConfig, CLIPSegForPartSegmentation, PartSegmentationImageProcessor, "clipseg"),
    "catseg": Family(CATSegConfig, CATSegForPartSegmentation, CATSegImageProcessor, "clip"),
}


def register_auto_classes() -> None:
    """Registers every model, and its processors, with transformers' Auto classes."""
    for family in FAMILIES.values():
        image_processors = {"torchvision": family.image_processor, "pil": family.image_processor}
        AutoConfig.register(family.config.model_type, family.config, exist_ok=True)
        AutoModel.register(family.config, family.model, exist_ok=True)
        AutoModelForSemanticSegmentation.register(family.config, family.model, exist_ok=True)
        AutoImageProcessor.register(family.config, image_processor_classes=image_processors, exist_ok=True)
        AutoProcessor.register(family.config, PartSegmentationProcessor, exist_ok=True)
