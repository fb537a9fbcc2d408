"""The stored run of the original's CLIPSeg, as fixtures."""

import json
from pathlib import Path

from safetensors.torch import load_file
from transformers import AutoTokenizer, ViTImageProcessor

from ovparts_hf.models.clipseg.configuration_clipseg import CLIPSegPartConfig
from ovparts_hf.models.processing import PartSegmentationProcessor

FOLDER = Path(__file__).parents[2] / "goldens" / "clipseg"
FACTS = json.loads((FOLDER / "config.json").read_text())
INPUTS = load_file(FOLDER / "inputs.safetensors")
OUTPUTS = load_file(FOLDER / "outputs.safetensors")


def golden_config(**changes) -> CLIPSegPartConfig:
    return CLIPSegPartConfig(**{**FACTS["model_config"], **changes})


def golden_processor(size: int = FACTS["processor"]["size"]) -> PartSegmentationProcessor:
    facts = FACTS["processor"]
    image_processor = ViTImageProcessor(
        size={"height": size, "width": size}, image_mean=facts["image_mean"], image_std=facts["image_std"]
    )
    return PartSegmentationProcessor(image_processor, AutoTokenizer.from_pretrained(FOLDER / "tokenizer"))
