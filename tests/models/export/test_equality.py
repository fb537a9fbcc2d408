"""What ONNX Runtime and OpenVINO compute is what torch computes, for sizes that were not traced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from ovparts_hf.toy.world import draw

NAMES = ["bench's seat", "dragon's long red nose", "duck's head", "cat's tail", "dog's ear"]
ATOL = 1e-4
PAIRS = [
    ("clipseg", "onnx"),
    ("partclipseg", "openvino"),
    ("catseg", "openvino"),
    ("partcatseg", "onnx"),
    ("maskformer", "onnx"),
]


def inputs_of(processor: Any, count: int = 1, masks: np.ndarray | None = None) -> dict[str, torch.Tensor]:
    options = {} if masks is None else {"object_masks": masks}
    return dict(processor.image_processor([draw("validation", 8).image] * count, return_tensors="pt", **options))


def names_of(model: Any) -> Sequence[str]:
    return model.vocabulary[:3] if model.config.has_closed_vocabulary else NAMES


def assert_same(got: Any, expected: Any) -> None:
    assert got.keys() == expected.keys() and "logits" in got
    for name in expected:
        torch.testing.assert_close(got[name], expected[name], atol=ATOL, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("name", "export_format"), PAIRS)
def test_scores_are_the_same(name, export_format, exported):
    model, processor, export, export_processor, _ = exported(name, export_format)
    names = names_of(model)
    words, own = model.encode_vocabulary(processor, names), export.encode_vocabulary(export_processor, names)
    torch.testing.assert_close(own, {name: words[name] for name in own}, atol=ATOL, rtol=0)
    for count in (1, 3):
        inputs = {**inputs_of(processor, count), "include_none": model.scores_none}
        assert_same(export(**inputs, **own), model(**inputs, **words))
        mask = torch.zeros(count, len(names), dtype=torch.bool)
        mask[0, :2] = True
        assert_same(export(**inputs, **own, class_mask=mask), model(**inputs, **words, class_mask=mask))


@torch.no_grad()
def test_names_that_classes_share_are_weighed(exported):
    """The graph scores them once for each class, the model once."""
    model, processor, export, export_processor, _ = exported("partcatseg", "onnx")
    names = ["dog's head", "duck's head", "dog's ear", "duck's ear", "duck's tail"]
    words, own = model.encode_vocabulary(processor, names), export.encode_vocabulary(export_processor, names)
    inputs = inputs_of(processor)
    assert_same(export(**inputs, **own), model(**inputs, **words))


@torch.no_grad()
def test_maskformer_takes_any_size(exported):
    model, _, export, *_ = exported("maskformer", "onnx")
    pixels = torch.randn(2, 3, 70, 101, generator=torch.Generator().manual_seed(1))
    assert_same(export(pixels), model(pixels))


@torch.no_grad()
@pytest.mark.parametrize(("name", "export_format"), [("zsseg+", "openvino"), ("zsseg", "onnx")])
def test_both_stages_of_zsseg_are_the_same(name, export_format, exported):
    """Regions are cut out where proposals pass a threshold: `logits`, which are products of probabilities."""
    model, processor, export, *_ = exported(name, export_format)
    masks = None
    if name == "zsseg+":
        height, width = np.array(draw("validation", 8).image).shape[:2]
        masks = np.zeros((3, height, width), dtype=bool)
        masks[0, 5:40, 5:50] = masks[1, 50:80, 30:70] = True  # the last is empty
    inputs = inputs_of(processor, masks=masks)
    words, own = model.encode_vocabulary(processor, NAMES), export.encode_vocabulary(processor, NAMES)
    torch.testing.assert_close(own, words, atol=ATOL, rtol=0)
    mask = torch.ones(1 if masks is None else 3, len(NAMES), dtype=torch.bool)
    mask[0, 1] = False
    for class_mask in (None, mask):
        expected = model(**inputs, **words, class_mask=class_mask)
        assert expected.logits.isfinite().any() and (expected.logits > 0).any()
        assert_same(export(**inputs, **own, class_mask=class_mask), expected)
