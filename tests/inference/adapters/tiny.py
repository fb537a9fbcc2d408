"""Segmenters of transformers, tiny and random, as folders."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import (
    CLIPTokenizer,
    Sam3Config,
    Sam3ImageProcessor,
    Sam3LiteTextConfig,
    Sam3LiteTextModel,
    Sam3Model,
    Sam3Processor,
)

from ovparts_hf.models.loading import TOY_FOLDER

SIDE = 112


def clip_tokenizer(length: int) -> CLIPTokenizer:
    """The toy's, which knows few words and spells the others."""
    return CLIPTokenizer.from_pretrained(str(TOY_FOLDER / "clip"), model_max_length=length)


def _text(tokenizer: CLIPTokenizer, length: int = 32) -> dict:
    sizes = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id, "pad_token_id": 0}
    return {"vocab_size": len(tokenizer), "projection_dim": 32, "max_position_embeddings": length, **sizes, **ids}


def _sam3_parts() -> dict:
    width = {"hidden_size": 32, "num_attention_heads": 2, "dropout": 0.0}
    layers = {"num_layers": 1, "intermediate_size": 32}
    backbone = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    backbone |= {"image_size": SIDE, "patch_size": 14, "window_size": 2, "global_attn_indexes": [1]}
    backbone |= {"pretrain_image_size": 28, "model_type": "sam3_vit_model"}
    sizes = [[4 * SIDE // 14] * 2, [2 * SIDE // 14] * 2, [SIDE // 14] * 2]
    return {
        "vision_config": {"backbone_config": backbone, "fpn_hidden_size": 32, "backbone_feature_sizes": sizes},
        "geometry_encoder_config": {**width, **layers},
        "detr_encoder_config": {**width, **layers},
        "detr_decoder_config": {**width, **layers, "num_queries": 5},
        "mask_decoder_config": {"hidden_size": 32, "num_upsampling_stages": 2, "num_attention_heads": 2},
    }


def save_sam3(folder: Path) -> Path:
    tokenizer = clip_tokenizer(32)
    config = Sam3Config(text_config={"model_type": "clip_text_model", **_text(tokenizer)}, **_sam3_parts())
    return _save(folder, Sam3Model(config), _sam3_processor(tokenizer))


def save_sam3_lite_text(folder: Path) -> Path:
    tokenizer = clip_tokenizer(32)
    text = {**_text(tokenizer), "use_repmixer_blocks": False}
    config = Sam3LiteTextConfig(text_config=text, **_sam3_parts())
    return _save(folder, Sam3LiteTextModel(config), _sam3_processor(tokenizer))


def _sam3_processor(tokenizer: CLIPTokenizer) -> Sam3Processor:
    return Sam3Processor(Sam3ImageProcessor(size={"height": SIDE, "width": SIDE}), tokenizer)


def _save(folder: Path, model: torch.nn.Module, processor: object) -> Path:
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


SAVERS: dict[str, Callable[[Path], Path]] = {"sam3": save_sam3, "sam3_lite_text": save_sam3_lite_text}
"""Kind -> what makes a folder of it."""
