"""What of a model is exported: its computations as modules of their own, with inputs to trace them with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.export import Dim

from ..modeling_utils import OpenVocabularyModel, PartSegmentationModel

IMAGE, TEXT = "image", "text"
"""Names of the graphs of all families: images and class features -> scores; class names -> class features."""
NAMES = ("dog's ear", "bus's wheel", "cat's tail")
"""Classes to trace with: several, for a length of 1 would not be dynamic."""
_SIZE = (48, 64)

Tensors = dict[str, torch.Tensor]


class Graph(nn.Module):
    """A computation with a model, from named tensors to named tensors."""

    def __init__(self, model: PartSegmentationModel, compute: Callable[..., Tensors]) -> None:
        super().__init__()
        self.model, self.compute = model, compute

    def forward(self, **inputs: torch.Tensor) -> Tensors:
        return self.compute(self.model, **inputs)


class Example(NamedTuple):
    """A graph, inputs of it, and which of their axes may have any other length."""

    graph: Graph
    inputs: Tensors
    dynamic_axes: dict[str, tuple[int, ...]]

    @property
    def dynamic_shapes(self) -> dict[str, dict[int, Any]]:
        """The axes as exporters take them."""
        return {name: dict.fromkeys(self.dynamic_axes[name], Dim.DYNAMIC) for name in self.inputs}


def text_example(model: OpenVocabularyModel, processor: Any, **inputs: torch.Tensor) -> Example:
    """The graph that encodes class names; what else it depends on, `inputs`, has one size."""
    tokens = dict(processor(classes=NAMES).to(model.device))
    axes = {name: (0, ids.dim() - 1) for name, ids in tokens.items()}
    return Example(Graph(model, _encode), {**tokens, **inputs}, {**axes, **dict.fromkeys(inputs, ())})


def image_example(
    model: PartSegmentationModel, processor: Any, class_features: torch.Tensor, compute: Callable[..., Tensors]
) -> Example:
    """The graph that computes something of images and of encoded class names."""
    one = model.requires_object_masks or not model.exports_batches
    images, options = [Image.new("RGB", _SIZE)] * (1 if one else 2), {}
    if model.requires_object_masks:
        options["object_masks"] = np.ones((2, *reversed(_SIZE)), dtype=bool)
    inputs = dict(processor.image_processor(images, return_tensors="pt", **options))
    sizes = (2, 3) * model.exports_any_size
    axes = dict.fromkeys(inputs, sizes if one else (0, *sizes))
    if model.requires_object_masks:
        inputs["object_masks"], axes["object_masks"] = inputs["object_masks"].float(), (0, 1, 2)
    return Example(
        Graph(model, compute), {**inputs, "class_features": class_features}, {**axes, "class_features": (0,)}
    )


def _encode(model: OpenVocabularyModel, **tokens: torch.Tensor) -> Tensors:
    return {"class_features": model.encode_classes(**tokens)}
