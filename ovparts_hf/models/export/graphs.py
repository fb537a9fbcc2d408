"""What of a model is exported: its computations as modules of their own, with inputs to trace them with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import nn
from torch.export import Dim

from ..modeling_utils import OpenVocabularyModel, PartSegmentationModel

IMAGE, TEXT = "image", "text"
"""Names of the graphs: images and class features -> scores, and class names -> class features."""
_NAMES = ("dog's ear", "bus's wheel", "cat")
_SIZE = (48, 64)

Compute = Callable[..., dict[str, torch.Tensor]]


class Graph(nn.Module):
    """A computation with a model, from named tensors to named tensors."""

    def __init__(self, model: PartSegmentationModel, compute: Compute) -> None:
        super().__init__()
        self.model, self.compute = model, compute

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.compute(self.model, **inputs)


class Example(NamedTuple):
    """A graph, inputs of it, and which of their axes may have any other length."""

    graph: Graph
    inputs: dict[str, torch.Tensor]
    dynamic_shapes: dict[str, dict[int, Any]]


def examples(model: PartSegmentationModel, processor: Any) -> dict[str, Example]:
    """The graphs of a model by name; a closed vocabulary has nothing to encode."""
    if not isinstance(model, OpenVocabularyModel):
        class_features = torch.zeros(len(_NAMES), dtype=torch.long)
        return {IMAGE: _image_example(model, processor, class_features)}
    tokens = dict(processor(classes=_NAMES).to(model.device))
    with torch.no_grad():
        class_features = model.encode_classes(**tokens)
    text = Example(Graph(model, _encode), tokens, {name: _dynamic(0, ids.dim() - 1) for name, ids in tokens.items()})
    return {IMAGE: _image_example(model, processor, class_features), TEXT: text}


def _image_example(model: PartSegmentationModel, processor: Any, class_features: torch.Tensor) -> Example:
    count = 2 if model.exports_batches else 1  # a trace takes lengths of one for constants
    images = dict(processor.image_processor([Image.new("RGB", _SIZE)] * count, return_tensors="pt"))
    axes = (0,) * model.exports_batches + (2, 3) * model.exports_any_size
    shapes: Mapping[str, Any] = {name: _dynamic(*axes) for name in images}
    inputs = {**images, "class_features": class_features}
    return Example(Graph(model, _score), inputs, {**shapes, "class_features": _dynamic(0)})


def _score(model: PartSegmentationModel, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    outputs = model(**inputs, include_none=model.scores_none)
    scores = {"logits": outputs.logits, "none_logits": outputs.none_logits}
    return {name: tensor for name, tensor in scores.items() if tensor is not None}


def _encode(model: OpenVocabularyModel, **tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"class_features": model.encode_classes(**tokens)}


def _dynamic(*axes: int) -> dict[int, Any]:
    return dict.fromkeys(axes, Dim.DYNAMIC)
