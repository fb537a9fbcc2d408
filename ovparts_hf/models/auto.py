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
    ProcessorMixin,
)
from transformers.image_processing_utils import BaseImageProcessor
from transformers.models.auto.modeling_auto import MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES

from .catseg import CATSegConfig, CATSegForPartSegmentation
from .catseg.image_processing_catseg import CATSegImageProcessor
from .clipseg import CLIPSegForPartSegmentation, CLIPSegPartConfig
from .maskformer import MaskFormerForPartSegmentation, MaskFormerPartConfig
from .maskformer.image_processing_maskformer import MaskClassificationImageProcessor
from .processing import ClosedVocabularyProcessor, PartSegmentationImageProcessor, PartSegmentationProcessor
from .zsseg import ZSSegConfig, ZSSegForPartSegmentation


@dataclass(frozen=True)
class Family:
    """A kind of model.

    Attributes:
        config: Its configuration class.
        model: Its model class.
        image_processor: What prepares its images.
        stock: transformers' `model_type` of the stock models that it can start from.
        processor: Puts images and words together.
    """

    config: type[PreTrainedConfig]
    model: type[PreTrainedModel]
    image_processor: type[BaseImageProcessor]
    stock: str
    processor: type[ProcessorMixin] = PartSegmentationProcessor


FAMILIES = {
    "clipseg": Family(CLIPSegPartConfig, CLIPSegForPartSegmentation, PartSegmentationImageProcessor, "clipseg"),
    "catseg": Family(CATSegConfig, CATSegForPartSegmentation, CATSegImageProcessor, "clip"),
    "zsseg": Family(ZSSegConfig, ZSSegForPartSegmentation, MaskClassificationImageProcessor, "clip"),
    "maskformer": Family(
        MaskFormerPartConfig,
        MaskFormerForPartSegmentation,
        MaskClassificationImageProcessor,
        "resnet",
        ClosedVocabularyProcessor,
    ),
}


def register_auto_classes() -> None:
    """Registers every model, and its processors, with transformers' Auto classes."""
    for family in FAMILIES.values():
        image_processors = {"torchvision": family.image_processor, "pil": family.image_processor}
        AutoConfig.register(family.config.model_type, family.config, exist_ok=True)
        AutoModel.register(family.config, family.model, exist_ok=True)
        AutoModelForSemanticSegmentation.register(family.config, family.model, exist_ok=True)
        AutoImageProcessor.register(family.config, image_processor_classes=image_processors, exist_ok=True)
        AutoProcessor.register(family.config, family.processor, exist_ok=True)
        # The pipeline "image-segmentation" takes models that are named here.
        MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES[family.config.model_type] = family.model.__name__
