"""Makes transformers' Auto classes know the models of this library."""

from __future__ import annotations

from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForSemanticSegmentation, AutoProcessor

from .models.clipseg import CLIPSegForPartSegmentation, CLIPSegPartConfig
from .processing import PartSegmentationImageProcessor, PartSegmentationProcessor

MODELS = {CLIPSegPartConfig: CLIPSegForPartSegmentation}


def register_auto_classes() -> None:
    """Registers every model, and its processors, with transformers' Auto classes."""
    image_processors = {"torchvision": PartSegmentationImageProcessor, "pil": PartSegmentationImageProcessor}
    for config, model in MODELS.items():
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModel.register(config, model, exist_ok=True)
        AutoModelForSemanticSegmentation.register(config, model, exist_ok=True)
        AutoImageProcessor.register(config, image_processor_classes=image_processors, exist_ok=True)
        AutoProcessor.register(config, PartSegmentationProcessor, exist_ok=True)
