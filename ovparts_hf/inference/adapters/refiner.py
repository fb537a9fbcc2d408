"""SAM 2 (Ravi et al., 2024) and the tracker of SAM 3: a sharp mask for each box or rough mask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn
from transformers import PreTrainedModel

PROMPTS_AT_ONCE = 32


class Refiner(nn.Module):
    """Masks from boxes and points, by a model that is asked with them."""

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
        """That of the model; of an absolute path the last part."""
        path = Path(self.model.name_or_path)
        return path.name if path.is_absolute() else str(path)

    @torch.no_grad()
    def masks(
        self, pixel_values: torch.Tensor, boxes: torch.Tensor, points: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(n, h, w) probabilities for boxes (n, 4), and points (n, 2) inside, in shares of width and height."""
        if not len(boxes):
            return pixel_values.new_zeros(0, *self._mask_size(pixel_values))
        scale = torch.tensor([pixel_values.shape[-1], pixel_values.shape[-2]], device=boxes.device)
        embeddings = self.model.get_image_embeddings(pixel_values)
        masks = []
        for start in range(0, len(boxes), PROMPTS_AT_ONCE):
            chunk = slice(start, start + PROMPTS_AT_ONCE)
            prompts = {"input_boxes": (boxes[chunk] * scale.repeat(2))[None].to(pixel_values.dtype)}
            if points is not None:
                prompts["input_points"] = (points[chunk] * scale)[None, :, None].to(pixel_values.dtype)
            outputs = self.model(image_embeddings=embeddings, multimask_output=False, **prompts)
            masks.append(outputs.pred_masks[0, :, 0].float().sigmoid())
        return torch.cat(masks)

    @staticmethod
    def _mask_size(pixel_values: torch.Tensor) -> tuple[int, int]:
        return pixel_values.shape[-2] // 4, pixel_values.shape[-1] // 4
