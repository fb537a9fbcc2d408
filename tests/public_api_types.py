"""How programs use the package, which `mypy` reads (`make quality`): what they get has the right types."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from PIL import Image

from ovparts_hf import (
    PASCAL_PART_116,
    BenchmarkResult,
    CLIPSegPartConfig,
    PartDataset,
    PartSegmentation,
    PartSegmentationMetric,
    PartSegmenter,
    PartTaxonomy,
    evaluate_model,
    finetune,
    load_image,
    load_model,
    prepare_custom,
)
from ovparts_hf.errors import OVPartsError


def segment(path: str) -> Path:
    segmenter = PartSegmenter.from_pretrained("CIDAS/clipseg-rd64-refined", device="cpu")
    result = segmenter(path, {"truck": ["body", "cab"]}, threshold=0.3)
    assert_type(result, PartSegmentation)
    assert_type(result.found, tuple[str, ...])
    assert_type(result.masks(), dict[str, np.ndarray])
    assert_type(result.areas(), dict[str, int])
    assert_type(result.overlay(), Image.Image)
    assert_type(load_image(path), Image.Image)
    return result.save("outputs")


def score(prediction: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    assert_type(PASCAL_PART_116, PartTaxonomy)
    metric = PartSegmentationMetric(PASCAL_PART_116.part_classes, PASCAL_PART_116.seen_part_ids, 255)
    metric.update(prediction, reference)
    return metric.compute()


def evaluate(folder: str, data: str) -> BenchmarkResult:
    model, processor = load_model(folder)
    result = evaluate_model(model, processor, PartDataset.load(data), "zero_shot")
    assert_type(result.table(), str)
    return result


def train_on_own_parts(labels: Path) -> tuple[Path, BenchmarkResult]:
    data = prepare_custom(labels, "data/mine")
    assert_type(data, Path)
    tuned = finetune(data, "outputs/mine", shots=4)
    return tuned.model, tuned.after


def configure() -> int | None:
    try:
        return CLIPSegPartConfig().reduce_dim
    except OVPartsError as error:
        assert_type(error.args, tuple[Any, ...])
        return None
