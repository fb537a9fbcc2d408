"""Small models as they are, and as exported; each is exported once."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from filelock import FileLock

from ovparts_hf.models.export.exporting import export_model
from ovparts_hf.models.loading import load_model

os.environ.setdefault("CI", "true")  # OpenVINO then reports nothing to its makers; it would fork for it, too

# Without the extras "onnx" and "openvino" (they need newer libraries than the rest) there is nothing to test.
collect_ignore_glob = [] if find_spec("onnxscript") and find_spec("openvino") else ["test_*.py"]

_LAYER = {"num_hidden_layers": 1}
_CLIP = {"text_config": _LAYER, "vision_config": _LAYER}
_RESNET = {
    "hidden_sizes": [32, 64],
    "depths": [1, 1],
    "stage_names": ["stem", "stage1", "stage2"],
    "out_features": ["stage1", "stage2"],
    "out_indices": [1, 2],
}
_QUERIES = {"backbone_config": _RESNET, "decoder_layers": 1}
MODELS = {
    # In the decoder, the first layer has FiLM, the others a sum: alike in both families.
    "clipseg": ("toy", {"text_config": _LAYER, "extract_layers": [0, 1], "for_training": True}),
    "partclipseg": ("toy", {"text_config": _LAYER, "extract_layers": [0], "family": "partclipseg"}),
    "catseg": (
        "toy-catseg",
        {
            **_CLIP,
            **_LAYER,
            "vision_config": {"num_hidden_layers": 2},  # all but the last as in CLIP
            "backbone_config": {**_RESNET, "stem_pooling": True},
            "decoder_sizes": [16],
            "decoder_guidance_sizes": [8],
        },
    ),
    "partcatseg": ("toy-partcatseg", {**_CLIP, **_LAYER, "backbone_config": _LAYER}),
    "maskformer": ("toy-maskformer", {**_QUERIES, "num_labels": 4}),
    "zsseg+": ("toy-zsseg", {**_CLIP, **_QUERIES, "image_conditioned_prompts": True}),
    "zsseg": ("toy-zsseg", {**_CLIP, **_QUERIES, "object_mask_prompt": False, "prompt_lengths": None}),
}


class Pair(NamedTuple):
    """A model, what was exported of it, and the processor of either."""

    model: Any
    processor: Any
    exported: Any
    exported_processor: Any
    folder: Path


def make_model(name: str) -> tuple[Any, Any]:
    torch.manual_seed(0)
    source, overrides = MODELS[name]
    return load_model(source, **overrides)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Pair]:
    """A model of a family, and its export to a format, which the processes of a run share."""
    made: dict[tuple[str, str], Pair] = {}
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def make(name: str, export_format: str, **options: bool) -> Pair:
        key = (name, export_format, *options)
        if key not in made:
            model, processor = make_model(name)
            folder = root / "exports" / "-".join(key)
            folder.parent.mkdir(exist_ok=True)
            with FileLock(folder.with_name(f"{folder.name}.lock")):
                if not folder.exists():
                    export_model(model, processor, folder, export_format, **options)
            made[key] = Pair(model, processor, *load_model(folder), folder)
        return made[key]

    return make
