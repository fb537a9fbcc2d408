"""The stored run of the original's CATSeg, and a tiny model of its sizes."""

import torch
import torch.nn.functional as F

from ovparts_hf.models.catseg.configuration_catseg import CATSegConfig

from ...golden_folder import Golden

TINY = Golden("catseg")
FOLDER = TINY.folder


def golden_config(golden: Golden = TINY, **changes) -> CATSegConfig:
    facts = golden.facts
    clip, resnet, aggregator = facts["clip"], facts["backbone"], facts["aggregator"]
    text = {"vocab_size": clip["vocab_size"], "max_position_embeddings": clip["context_length"]}
    text |= {"bos_token_id": clip["sot_token_id"], "eos_token_id": clip["eot_token_id"]}
    image_size, backbone_image_size = facts["clip_resolution"][0], facts["backbone_resolution"][0]
    fields = dict(
        text_config=_tower(clip, "transformer") | text | {"pad_token_id": clip["pad_token_id"]},
        vision_config=_tower(clip, "vision")
        | {"image_size": clip["image_resolution"], "patch_size": clip["vision_patch_size"]},
        projection_dim=clip["embed_dim"],
        backbone_config={
            "embedding_size": resnet["stem_out_channels"],
            "hidden_sizes": resnet["res_out_channels"],
            "depths": resnet["blocks_per_stage"],
        },
        image_size=image_size,
        backbone_image_size=None if backbone_image_size == image_size else backbone_image_size,
        num_templates=facts["num_templates"],
        hidden_size=aggregator["hidden_dim"],
        num_hidden_layers=aggregator["num_layers"],
        num_attention_heads=aggregator["num_heads"],
        window_size=aggregator["window_size"],
        pooling_size=aggregator["pooling_sizes"][0],
        text_guidance_size=aggregator["text_guidance_proj_dim"],
        image_guidance_size=aggregator["appearance_guidance_proj_dim"],
        decoder_sizes=aggregator["decoder_dims"],
        decoder_guidance_sizes=aggregator["decoder_guidance_proj_dims"],
        none_weight=facts["bg_loss_weight"],
        ignore_index=facts["ignore_value"],
    )
    for ours, originals in (("", "clip_"), ("backbone_", "")):
        for name in ("mean", "std"):
            fields[f"{ours}image_{name}"] = [value / 255 for value in facts[f"{originals}pixel_{name}"]]
    return CATSegConfig(**{**fields, **changes})


def _tower(clip: dict, name: str) -> dict:
    width = clip[f"{name}_width"]
    return dict(
        hidden_size=width,
        intermediate_size=clip["mlp_ratio"] * width,
        num_hidden_layers=clip[f"{name}_layers"],
        num_attention_heads=clip[f"{name}_heads"],
        hidden_act=clip["hidden_act"],
        layer_norm_eps=clip["layer_norm_eps"],
    )


def prepared(images: torch.Tensor, golden: Golden = TINY) -> dict[str, torch.Tensor]:
    """uint8 (batch, 3, height, width) -> the model's inputs, without the scaling of the data mapper."""
    facts, config = golden.facts, golden_config(golden)
    mean, std = (torch.tensor(facts[f"clip_pixel_{name}"]).view(-1, 1, 1) for name in ("mean", "std"))
    bottom, right = (-size % facts["size_divisibility"] for size in images.shape[-2:])
    layers = torch.cat([(images.float() - mean) / std, torch.ones(len(images), 1, *images.shape[-2:])], dim=1)
    layers = F.pad(layers, (0, right, 0, bottom))
    for_clip, for_backbone = (
        F.interpolate(layers, size=(side, side), mode="bilinear") for side in (config.image_size, config.guidance_size)
    )
    inputs = {"pixel_values": for_clip[:, :3], "pixel_mask": for_backbone[:, 3]}
    return inputs | ({"backbone_pixel_values": for_backbone[:, :3]} if config.backbone_image_size else {})
