"""Running an export whose one graph scores images."""

from __future__ import annotations

import math
from typing import Any

import torch

from ...errors import ConfigurationError
from ..modeling_utils import OpenVocabularyModel, PartSegmentationModel, PartSegmentationOutput
from .exported import ExportedMixin
from .graphs import IMAGE, NAMES, TEXT, Example, Tensors, image_example, text_example


class OneStage(ExportedMixin):
    """Scores images by one graph."""

    @staticmethod
    def examples(model: PartSegmentationModel, processor: Any) -> dict[str, Example]:
        """The graphs of a model by name; a closed vocabulary has no names to encode."""
        if not isinstance(model, OpenVocabularyModel):
            return {IMAGE: image_example(model, processor, torch.zeros(len(NAMES), dtype=torch.long), _score)}
        text = text_example(model, processor)
        return {IMAGE: image_example(model, processor, model.encode_classes(**text.inputs), _score), TEXT: text}

    @torch.no_grad()
    def forward(
        self,
        pixel_values: torch.Tensor,
        class_features: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        class_mask: torch.Tensor | None = None,
        include_none: bool | None = None,
        **images: torch.Tensor,
    ) -> PartSegmentationOutput:
        """See `PartSegmentationModel.forward`; there is no loss. With `class_mask`, images are run one by one."""
        class_features = self._classes(class_features, input_ids, attention_mask)
        include_none = self.scores_none if include_none is None else include_none
        if include_none and not self.scores_none:
            raise ConfigurationError("This model has no score for 'none' at a pixel; set include_none=False.")
        images["pixel_values"] = pixel_values
        self._check_images(images)
        if class_mask is None and self.exports_batches:
            scores = [self.run(IMAGE, class_features=class_features, **images)]
        else:
            masks = [None] * len(pixel_values) if class_mask is None else class_mask
            rows = [{name: tensor[i : i + 1] for name, tensor in images.items()} for i in range(len(pixel_values))]
            scores = [self._score(row, class_features, mask) for row, mask in zip(rows, masks)]
        outputs = {name: torch.cat([each[name] for each in scores]) for name in scores[0]}
        none_logits = outputs["none_logits"] if include_none else None
        given = None if self.config.has_closed_vocabulary else self.unless_stored(class_features)
        return PartSegmentationOutput(logits=outputs["logits"], none_logits=none_logits, class_features=given)

    def _classes(
        self, class_features: torch.Tensor | None, input_ids: torch.Tensor | None, mask: torch.Tensor | None
    ) -> torch.Tensor:
        if class_features is None and self.config.has_closed_vocabulary:
            return torch.arange(self.config.num_labels)
        return class_features if class_features is not None else self.resolve_class_features(None, input_ids, mask)

    def _score(self, image: Tensors, class_features: torch.Tensor, mask: torch.Tensor | None) -> Tensors:
        """One image; classes that do not matter are left out where that does not change the others."""
        if mask is None:
            return self.run(IMAGE, class_features=class_features, **image)
        chosen = torch.arange(len(mask)) if self.classes_interact or not mask.any() else mask.nonzero()[:, 0]
        scores = self.run(IMAGE, class_features=class_features[chosen], **image)
        logits = scores["logits"]
        full = logits.new_full((1, len(mask), *logits.shape[2:]), -math.inf)
        full[:, chosen] = logits
        return {**scores, "logits": full.masked_fill(~mask[None, :, None, None], -math.inf)}

    def _check_images(self, images: Tensors) -> None:
        traced = self.graphs.components[IMAGE].metadata.kwargs
        for name, tensor in images.items():
            expected = traced[name]["shape"] if name in traced else []
            sizes_fit = self.exports_any_size or list(tensor.shape[2:]) == expected[2:]
            if tensor.dim() != len(expected) or not sizes_fit:
                raise ConfigurationError(
                    f"{name} has shape {list(tensor.shape)}; this export takes [images, *{expected[1:]}]. Prepare "
                    "images one by one with its processor, without sliding windows."
                )


def _score(model: PartSegmentationModel, **inputs: torch.Tensor) -> Tensors:
    outputs = model(**inputs, include_none=model.scores_none)
    scores = {"logits": outputs.logits, "none_logits": outputs.none_logits}
    return {name: tensor for name, tensor in scores.items() if tensor is not None}
