"""Segmenters of transformers, tiny and random, as folders."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertTokenizer,
    CLIPTokenizer,
    EomtConfig,
    EomtForUniversalSegmentation,
    EomtImageProcessor,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessor,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
    OneFormerConfig,
    OneFormerForUniversalSegmentation,
    OneFormerImageProcessor,
    OneFormerProcessor,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
    OwlViTConfig,
    OwlViTForObjectDetection,
    OwlViTImageProcessor,
    OwlViTProcessor,
    Sam2Config,
    Sam2ImageProcessor,
    Sam2Model,
    Sam2Processor,
    Sam2VideoVideoProcessor,
    Sam3Config,
    Sam3ImageProcessor,
    Sam3LiteTextConfig,
    Sam3LiteTextModel,
    Sam3Model,
    Sam3Processor,
    Sam3TrackerConfig,
    Sam3TrackerModel,
    Sam3TrackerProcessor,
    Sam3VideoConfig,
    Sam3VideoModel,
    Sam3VideoProcessor,
    Sapiens2Config,
    Sapiens2ForSemanticSegmentation,
    Sapiens2ImageProcessor,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessor,
    SwinConfig,
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
    config = Sam3Config(
        text_config={"model_type": "clip_text_model", **_text(tokenizer)}, initializer_range=0.3, **_sam3_parts()
    )
    return _save(folder, Sam3Model(config), _sam3_processor(tokenizer))


def save_sam3_lite_text(folder: Path) -> Path:
    tokenizer = clip_tokenizer(32)
    text = {**_text(tokenizer), "use_repmixer_blocks": False}
    config = Sam3LiteTextConfig(text_config=text, initializer_range=0.3, **_sam3_parts())
    return _save(folder, Sam3LiteTextModel(config), _sam3_processor(tokenizer))


def _sam3_processor(tokenizer: CLIPTokenizer) -> Sam3Processor:
    return Sam3Processor(Sam3ImageProcessor(size={"height": SIDE, "width": SIDE}), tokenizer)


def save_sam3_video(folder: Path) -> Path:
    """SAM 3 as it is published: detector and tracker in one."""
    tokenizer = clip_tokenizer(32)
    memory = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 1, "feed_forward_hidden_size": 32}
    tracker = {
        "image_size": SIDE,
        "vision_config": _sam3_parts()["vision_config"],
        **_tracker_parts(),
        **{f"memory_attention_{name}": value for name, value in memory.items()},
        "memory_encoder_hidden_size": 32,
        "memory_encoder_output_channels": 16, "mask_downsampler_embed_dim": 32, "memory_fuser_embed_dim": 32,
        "memory_fuser_intermediate_dim": 32, "memory_fuser_num_layers": 1,
    }  # fmt: skip
    detector = {"text_config": {"model_type": "clip_text_model", **_text(tokenizer)}, **_sam3_parts()}
    model = Sam3VideoModel(Sam3VideoConfig(detector_config=detector, tracker_config=tracker))
    images = Sam3ImageProcessor(size={"height": SIDE, "width": SIDE})
    videos = Sam2VideoVideoProcessor(size={"height": SIDE, "width": SIDE})
    _save(folder, model, Sam3VideoProcessor(images, videos, tokenizer))
    weights = load_file(folder / "model.safetensors")  # where transformers writes the prefix of the tracker twice
    prefix = "tracker_model."
    weights = {name.replace(2 * prefix, prefix): tensor for name, tensor in weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _bert_tokenizer(folder: Path) -> BertTokenizer:
    """Knows letters, and has the special tokens where Grounding DINO expects them."""
    words = [f"[unused{i}]" for i in range(1100)]
    words[0], words[100:104] = "[PAD]", ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words[1012], words[1029] = ".", "?"
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789'", "dog", "cat", "head", "ear", "tail"]
    words[200 : 200 + len(letters)] = letters
    words[300:336] = [f"##{letter}" for letter in letters[:36]]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words))
    return BertTokenizer(str(folder / "vocab.txt"))


def _grounding_dino_sizes() -> dict:
    backbone = SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1], num_heads=[1, 1, 1], window_size=2,
        out_features=["stage2", "stage3"], hidden_act="relu",
    )  # fmt: skip
    text = BertConfig(
        vocab_size=1100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
    )  # fmt: skip
    layers = {f"{part}_{name}": n for part in ("encoder", "decoder") for name, n in _LAYERS.items()}
    return {
        "backbone_config": backbone, "text_config": text, "d_model": 32, "num_queries": 5, "max_text_len": 64,
        "num_feature_levels": 3, "encoder_n_points": 2, "decoder_n_points": 2, **layers,
    }  # fmt: skip


_LAYERS = {"layers": 2, "attention_heads": 2, "ffn_dim": 16}


def save_grounding_dino(folder: Path) -> Path:
    model = GroundingDinoForObjectDetection(GroundingDinoConfig(**_grounding_dino_sizes()))
    return _save(folder, model, _grounding_dino_processor(folder))


def save_mm_grounding_dino(folder: Path) -> Path:
    model = MMGroundingDinoForObjectDetection(MMGroundingDinoConfig(**_grounding_dino_sizes()))
    return _save(folder, model, _grounding_dino_processor(folder))


def _grounding_dino_processor(folder: Path) -> GroundingDinoProcessor:
    images = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    return GroundingDinoProcessor(images, _bert_tokenizer(folder))


def _owl_sizes(tokenizer: CLIPTokenizer) -> dict:
    sizes = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 2}
    return {
        "text_config": {**_text(tokenizer, 24), "pad_token_id": 0},
        "vision_config": {"image_size": 64, "patch_size": 16, **sizes},
        "projection_dim": 32,
    }


def save_owlv2(folder: Path) -> Path:
    tokenizer = clip_tokenizer(24)
    images = Owlv2ImageProcessor(size={"height": 64, "width": 64})
    return _save(
        folder, Owlv2ForObjectDetection(Owlv2Config(**_owl_sizes(tokenizer))), Owlv2Processor(images, tokenizer)
    )


def save_owlvit(folder: Path) -> Path:
    tokenizer = clip_tokenizer(24)
    images = OwlViTImageProcessor(size={"height": 64, "width": 64})
    model = OwlViTForObjectDetection(OwlViTConfig(**_owl_sizes(tokenizer)))
    return _save(folder, model, OwlViTProcessor(images, tokenizer))


def save_sam2(folder: Path) -> Path:
    """A refiner, for images of 128 pixels."""
    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 12, "embed_dim_per_stage": [12, 24, 48, 96],
        "num_attention_heads_per_stage": [1, 2, 4, 8], "blocks_per_stage": [1, 1, 2, 1], "image_size": [128, 128],
        "window_size_per_stage": [8, 4, 8, 4], "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [7, 7],
    }  # fmt: skip
    vision = {
        "backbone_config": backbone, "backbone_channel_list": [96, 48, 24, 12], "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    }  # fmt: skip
    prompts = {"hidden_size": 32, "image_size": 128, "patch_size": 16, "mask_input_channels": 8}
    decoder = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32}
    config = Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    return _save(folder, Sam2Model(config), Sam2Processor(Sam2ImageProcessor(size={"height": 128, "width": 128})))


def _tracker_parts() -> dict:
    return {
        "prompt_encoder_config": {"hidden_size": 32, "image_size": SIDE, "patch_size": 14, "mask_input_channels": 8},
        "mask_decoder_config": {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
    }


def save_sam3_tracker(folder: Path) -> Path:
    """A refiner, for images of `SIDE` pixels."""
    config = Sam3TrackerConfig(
        vision_config=_sam3_parts()["vision_config"],
        **_tracker_parts(),
    )
    images = Sam3ImageProcessor(size={"height": SIDE, "width": SIDE})
    return _save(folder, Sam3TrackerModel(config), Sam3TrackerProcessor(images))


LABELS = ("background", "Dog_Head", "dog's ear, an ear", "cat's head", "grass")
"""Of the models with a closed vocabulary."""
_NAMES = {"id2label": dict(enumerate(LABELS)), "label2id": {label: i for i, label in enumerate(LABELS)}}


def save_segformer(folder: Path) -> Path:
    sizes = {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 1, 1]}
    model = SegformerForSemanticSegmentation(SegformerConfig(**sizes, decoder_hidden_size=8, **_NAMES))
    return _save(folder, model, SegformerImageProcessor(size={"height": 64, "width": 64}))


def save_sapiens2(folder: Path) -> Path:
    config = Sapiens2Config(
        hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, patch_size=16,
        image_size=[64, 48], num_key_value_attention_heads=2, num_first_full_attention_layers=1,
        num_last_full_attention_layers=1, head_config={"upsample_out_channels": [8, 8], "conv_out_channels": [8]},
        **_NAMES,
    )  # fmt: skip
    model = Sapiens2ForSemanticSegmentation(config)
    return _save(folder, model, Sapiens2ImageProcessor(size={"height": 64, "width": 48}))


def _swin() -> SwinConfig:
    return SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip


def save_mask2former(folder: Path) -> Path:
    config = Mask2FormerConfig(
        backbone_config=_swin(), feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=32,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=32, num_queries=5, **_NAMES,
    )  # fmt: skip
    images = Mask2FormerImageProcessor(size={"shortest_edge": 64, "longest_edge": 128}, size_divisor=32)
    return _save(folder, Mask2FormerForUniversalSegmentation(config), images)


def save_oneformer(folder: Path) -> Path:
    tokenizer = clip_tokenizer(77)
    config = OneFormerConfig(
        backbone_config=_swin(), num_queries=5, text_encoder_width=8, text_encoder_num_layers=1, conv_dim=32,
        text_encoder_vocab_size=len(tokenizer), mask_dim=32, hidden_dim=32, encoder_feedforward_dim=32,
        encoder_layers=1, decoder_layers=3, num_attention_heads=2, dim_feedforward=32, text_encoder_n_ctx=0, **_NAMES,
    )  # fmt: skip
    images = OneFormerImageProcessor(size={"shortest_edge": 64, "longest_edge": 128})
    return _save(folder, OneFormerForUniversalSegmentation(config), OneFormerProcessor(images, tokenizer))


def save_eomt(folder: Path) -> Path:
    config = EomtConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=64, num_blocks=1, num_queries=5,
        num_upscale_blocks=1, **_NAMES,
    )  # fmt: skip
    images = EomtImageProcessor(size={"shortest_edge": 64, "longest_edge": 64})
    return _save(folder, EomtForUniversalSegmentation(config), images)


def _save(folder: Path, model: torch.nn.Module, processor: object) -> Path:
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


SAVERS: dict[str, Callable[[Path], Path]] = {
    "sam3": save_sam3,
    "sam3_lite_text": save_sam3_lite_text,
    "sam3_video": save_sam3_video,
    "grounding-dino": save_grounding_dino,
    "mm-grounding-dino": save_mm_grounding_dino,
    "owlv2": save_owlv2,
    "owlvit": save_owlvit,
    "segformer": save_segformer,
    "sapiens2": save_sapiens2,
    "mask2former": save_mask2former,
    "oneformer": save_oneformer,
    "eomt": save_eomt,
}
"""Kind -> what makes a folder of it."""
REFINERS: dict[str, Callable[[Path], Path]] = {"sam2": save_sam2, "sam3_tracker": save_sam3_tracker}
