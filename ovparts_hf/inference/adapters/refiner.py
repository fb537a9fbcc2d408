"""SAM 2 (Ravi et al., 2024) and the tracker of SAM 3: a sharp mask for each box or rough mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PreTrainedModel

from ...utils.files import public_name

MASKS_AT_ONCE = 32


class Refiner(nn.Module):
    """Makes masks of boxes and points, by a model of transformers that is prompted with them."""

    kinds: ClassVar[Mapping[str, str]] = {
        "sam2": "Sam2Model",
        "sam2_video": "Sam2Model",
        "sam3": "Sam3TrackerModel",
        "sam3_video": "Sam3TrackerModel",
        "sam3_tracker": "Sam3TrackerModel",
        "sam3_tracker_video": "Sam3TrackerModel",
    }

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    @property
    def name(self) -> str:
        """That of the model, without a path."""
        return public_name(self.model.name_or_path)

    def embed(self, pixel_values: torch.Tensor) -> Any:
        """What `masks` needs of one image, (1, 3, height, width)."""
        return self.model.get_image_embeddings(pixel_values)

    def masks(self, image: Any, boxes: torch.Tensor, points: torch.Tensor | None = None) -> torch.Tensor:
        """Probabilities (n, h, w) for at least one box (n, 4), (left, top, right, bottom), and a point (n, 2) inside.

        Coordinates are shares of the image's width and height.
        """
        side = self.model.prompt_encoder.input_image_size
        masks = []
        for start in range(0, len(boxes), MASKS_AT_ONCE):
            chunk = slice(start, start + MASKS_AT_ONCE)
            prompts = {"input_boxes": (boxes[chunk] * side)[None].to(image[-1].dtype)}
            if points is not None:
                prompts["input_points"] = (points[chunk] * side)[None, :, None].to(image[-1].dtype)
            outputs = self.model(image_embeddings=image, multimask_output=False, **prompts)
            masks.append(outputs.pred_masks[0, :, 0].float().sigmoid())
        return torch.cat(masks)
