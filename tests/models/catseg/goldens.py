"""The stored run of the original's CATSeg, as fixtures."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from ovparts_hf.models.catseg.configuration_catseg import CATSegConfig

FOLDER = Path(__file__).parents[2] / "goldens" / "catseg"
FACTS = json.loads((FOLDER / "config.json").read_text())
INPUTS = load_file(FOLDER / "inputs.safetensors")
OUTPUTS = load_file(FOLDER / "outputs.safetensors")

_CLIP, _RESNET, _AGGREGATOR = FACTS["clip"], FACTS["backbone"], FACTS["aggregator"]


def golden_config(**changes) -> CATSegConfig:
    fields = dict(
        text_config=_tower("transformer")
        | dict(
            vocab_size=_CLIP["vocab_size"],
            max_position_embeddings=_CLIP["context_length"],
            bos_token_id=_CLIP["sot_token_id"],
            eos_token_id=_CLIP["eot_token_id"],
            pad_token_id=_CLIP["pad_token_id"],
        ),
        vision_config=_tower("vision")
        | dict(image_size=_CLIP["image_resolution"], patch_size=_CLIP["vision_patch_size"]),
        projection_dim=_CLIP["embed_dim"],
        backbone_config=dict(
            embedding_size=_RESNET["stem_out_channels"],
            hidden_sizes=_RESNET["res_out_channels"],
            depths=_RESNET["blocks_per_stage"],
        ),
        image_size=FACTS["backbone_resolution"][0],
        num_templates=FACTS["num_templates"],
        hidden_size=_AGGREGATOR["hidden_dim"],
        num_hidden_layers=_AGGREGATOR["num_layers"],
        num_attention_heads=_AGGREGATOR["num_heads"],
        window_size=_AGGREGATOR["window_size"],
        pooling_size=_AGGREGATOR["pooling_sizes"][0],
        text_guidance_size=_AGGREGATOR["text_guidance_proj_dim"],
        image_guidance_size=_AGGREGATOR["appearance_guidance_proj_dim"],
        decoder_sizes=_AGGREGATOR["decoder_dims"],
        decoder_guidance_sizes=_AGGREGATOR["decoder_guidance_proj_dims"],
    )
    return CATSegConfig(**{**fields, **changes})


def _tower(name: str) -> dict:
    width = _CLIP[f"{name}_width"]
    return dict(
        hidden_size=width,
        intermediate_size=_CLIP["mlp_ratio"] * width,
        num_hidden_layers=_CLIP[f"{name}_layers"],
        num_attention_heads=_CLIP[f"{name}_heads"],
    )


def prepared(images: torch.Tensor) -> dict[str, torch.Tensor]:
    """uint8 (batch, 3, height, width) -> the model's inputs, without the scaling of the data mapper."""
    side, divisor = FACTS["clip_resolution"][0], FACTS["size_divisibility"]
    mean, std = (torch.tensor(FACTS[f"clip_pixel_{name}"]).view(-1, 1, 1) for name in ("mean", "std"))
    bottom, right = (-size % divisor for size in images.shape[-2:])
    layers = torch.cat([(images.float() - mean) / std, torch.ones(len(images), 1, *images.shape[-2:])], dim=1)
    square = F.interpolate(F.pad(layers, (0, right, 0, bottom)), size=(side, side), mode="bilinear")
    return {"pixel_values": square[:, :3], "pixel_mask": square[:, 3]}
