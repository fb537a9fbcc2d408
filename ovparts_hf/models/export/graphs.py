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
from ..zsseg.modeling_zsseg import ZSSegForPartSegmentation

IMAGE, TEXT, OBJECT_TEXT, REGIONS = "image", "text", "object_text", "regions"
"""Names of the graphs: images and class features -> scores, or for ZSseg what the queries propose; class names -> class
features; the same for prompts that depend on an object; regions of images -> what CLIP sees in them (ZSseg)."""
_NAMES = ("dog's ear", "bus's wheel", "cat's tail")
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


@torch.no_grad()
def examples(model: PartSegmentationModel, processor: Any) -> dict[str, Example]:
    """The graphs of a model by name; a closed vocabulary has no names to encode. Lengths of 1 would not be dynamic."""
    if not isinstance(model, OpenVocabularyModel):
        return {IMAGE: _image_example(model, processor, torch.zeros(len(_NAMES), dtype=torch.long), _score)}
    tokens = dict(processor(classes=_NAMES).to(model.device))
    class_features = model.encode_classes(**tokens)
    token_axes = {name: (0, ids.dim() - 1) for name, ids in tokens.items()}
    found = {TEXT: Example(Graph(model, _encode), tokens, token_axes)}
    if not isinstance(model, ZSSegForPartSegmentation):
        return {IMAGE: _image_example(model, processor, class_features, _score), **found}

    found[IMAGE] = _image_example(model, processor, class_features, _propose)
    side = model.config.region_size
    found[REGIONS] = Example(Graph(model, _look), {"regions": torch.zeros(2, 3, side, side)}, {"regions": (0,)})
    if model.config.image_conditioned_prompts:
        inputs = {**tokens, "object_feature": class_features[:1]}
        found[OBJECT_TEXT] = Example(Graph(model, _encode), inputs, {**token_axes, "object_feature": ()})
    return found


def _image_example(
    model: PartSegmentationModel, processor: Any, class_features: torch.Tensor, compute: Callable[..., Tensors]
) -> Example:
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


def _score(model: PartSegmentationModel, **inputs: torch.Tensor) -> Tensors:
    outputs = model(**inputs, include_none=model.scores_none)
    scores = {"logits": outputs.logits, "none_logits": outputs.none_logits}
    return {name: tensor for name, tensor in scores.items() if tensor is not None}


def _encode(model: OpenVocabularyModel, **tokens: torch.Tensor) -> Tensors:
    return {"class_features": model.encode_classes(**tokens)}


def _propose(model: ZSSegForPartSegmentation, **inputs: torch.Tensor) -> Tensors:
    proposals = model.propose_in(**inputs, all_layers=False)
    return {"class_logits": proposals.class_logits[-1], "mask_logits": proposals.mask_logits[-1]}


def _look(model: ZSSegForPartSegmentation, regions: torch.Tensor) -> Tensors:
    return {"features": model.encode_regions(regions)}
