"""OWL-ViT (Minderer et al., ECCV 2022) and OWLv2 (Minderer et al., NeurIPS 2023): boxes of what a text names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.image_transforms import center_to_corners_format

from .base import AdapterProcessor
from .detector import DetectorAdapter


class OwlDetector(DetectorAdapter):
    """Every class is looked for on its own; the image is encoded once."""

    kinds = {"owlv2": "Owlv2ForObjectDetection", "owlvit": "OwlViTForObjectDetection"}
    threshold = 0.1  # of transformers' `post_process_grounded_object_detection`

    @torch.no_grad()
    def encode_vocabulary(
        self, processor: AdapterProcessor, class_names: Sequence[str], progress: bool = False
    ) -> dict[str, torch.Tensor]:
        """See `PartSegmentationModel.encode_vocabulary`: (classes, dim)."""
        tokens = processor.tokenize_to_length(class_names, self.config.text_config.max_position_embeddings)
        text = self.model.base_model.get_text_features(
            tokens["input_ids"].to(self.device), tokens["attention_mask"].to(self.device), return_dict=True
        )
        return {"class_features": torch.nn.functional.normalize(text.pooler_output, dim=-1)}

    def detect(self, inputs: dict[str, Any], classes: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """See `DetectorAdapter.detect`."""
        grid = self.model.image_embedder(pixel_values=inputs["pixel_values"])[0]
        patches = grid.flatten(1, 2)
        logits, _ = self.model.class_predictor(patches, classes["class_features"][None])
        return center_to_corners_format(self.model.box_predictor(patches, grid)[0]), logits[0].sigmoid()
