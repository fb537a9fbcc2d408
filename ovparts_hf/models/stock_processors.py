"""Processors of models that start from a stock model, which comes with none for parts."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig

from .catseg import CATSegConfig
from .catseg.image_processing_catseg import CATSegImageProcessor
from .catseg.templates import IMAGENET_TEMPLATES
from .maskformer import MaskFormerPartConfig
from .maskformer.image_processing_maskformer import MaskClassificationImageProcessor
from .processing import ClosedVocabularyProcessor, PartSegmentationProcessor
from .zsseg import ZSSegConfig

ZSSEG_TEMPLATES = ("a photo of a {}.",)
"""For hand-written prompts. What OV-PARTS used for its ZSseg row is not public."""
MASKFORMER_SIZE = {"shortest_edge": 512, "longest_edge": 2048}
"""In pixels, of the original's MaskFormer at test time, and of ZSseg, built on it. ZSseg+ has a lower limit."""


def stock_processor(config: PreTrainedConfig, tokenizer: Any, settings: dict[str, Any]) -> Any:
    """Makes the processor of a new model.

    Args:
        config: Of the new model, of CATSeg, ZSseg or MaskFormer.
        tokenizer: Of its text encoder, or None if it has none.
        settings: What differs from the benchmark's full-size model: `images`, arguments of the image processor, and
            arguments of the processor.
    """
    settings = dict(settings)
    images = dict(settings.pop("images", {}))
    if isinstance(config, CATSegConfig):
        size = {"height": config.image_size, "width": config.image_size}
        if config.guidance_size != config.image_size:
            images["backbone_size"] = {"height": config.guidance_size, "width": config.guidance_size}
        processor = CATSegImageProcessor(size, image_mean=config.image_mean, image_std=config.image_std, **images)
        chosen = {"templates": IMAGENET_TEMPLATES, "possessive": True, "scores": "probabilities", **settings}
        return PartSegmentationProcessor(processor, tokenizer, **chosen)
    if isinstance(config, ZSSegConfig):
        size = {} if config.object_mask_prompt else {"size": MASKFORMER_SIZE}
        images = {"image_mean": list(config.image_mean), "image_std": list(config.image_std), **size, **images}
        words = {"prompt_lengths": config.prompt_lengths} if config.prompt_lengths else {"templates": ZSSEG_TEMPLATES}
        processor = MaskClassificationImageProcessor(**images)
        return PartSegmentationProcessor(processor, tokenizer, **{**words, "scores": "plain", **settings})
    if isinstance(config, MaskFormerPartConfig):
        images = {"size": MASKFORMER_SIZE, **images}
        return ClosedVocabularyProcessor(MaskClassificationImageProcessor(**images), **settings)
    raise TypeError(f"{type(config).__name__} comes with its own processor.")
