"""A small CLIP, and settings of runs of a few steps."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, CLIPConfig, CLIPModel

from ovparts_hf.training import PromptTuningArguments
from ovparts_hf.training.prompt_tuning import features

TOY_CLIP = Path(__file__).parents[3] / "ovparts_hf" / "toy" / "clip"


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random CLIP of two layers with the toy tokenizer's vocabulary."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(TOY_CLIP)
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 40, "eos_token_id": tokenizer.eos_token_id}
    vision = {"image_size": 32, "patch_size": 8}
    config = CLIPConfig(text_config={**layers, **text}, vision_config={**layers, **vision}, projection_dim=24)
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    shutil.copy(TOY_CLIP / "preprocessor_config.json", folder)
    return folder


@pytest.fixture(scope="session")
def feature_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features that the first run computes."""
    return tmp_path_factory.mktemp("features")


@pytest.fixture
def settings(
    tmp_path: Path, tiny_clip: Path, pascal_folder: Path, feature_cache: Path
) -> Callable[..., PromptTuningArguments]:
    def build(**changes: Any) -> PromptTuningArguments:
        values = {
            "data": pascal_folder,
            "output": tmp_path / "run",
            "model": tiny_clip,
            "cache": feature_cache,
            "region_size": 32,
            "steps": 6,
            "batch_size": 8,
            "warmup_steps": 0,
            "log_every": 1,
            "max_grad_norm": 1.0,
            "workers": 0,
        }
        return PromptTuningArguments(**{**values, **changes})

    return build


@pytest.fixture
def encoded_counts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of objects in each batch that CLIP encodes."""
    counts, encode = [], features.patch_features

    def counted(clip: CLIPModel, regions: torch.Tensor) -> torch.Tensor:
        counts.append(len(regions))
        return encode(clip, regions)

    monkeypatch.setattr(features, "patch_features", counted)
    return counts
