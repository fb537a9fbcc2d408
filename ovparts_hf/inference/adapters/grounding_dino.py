"""Grounding DINO (Liu et al., ECCV 2024) and MM Grounding DINO (Zhao et al., 2024): boxes of what a sentence names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from transformers.image_transforms import center_to_corners_format

from ...errors import OVPartsError
from .base import AdapterProcessor
from .detector import DetectorAdapter


class GroundingDinoDetector(DetectorAdapter):
    """As many classes as fit are named in one sentence, "dog's ear. dog's tail.", and influence each other.

    The score of a class is the mean over its tokens: the best of them would give each part the score of its object.
    """

    kinds = {
        "grounding-dino": "GroundingDinoForObjectDetection",
        "mm-grounding-dino": "MMGroundingDinoForObjectDetection",
    }
    classes_interact = True
    threshold = 0.25  # of transformers' `post_process_grounded_object_detection`

    def set_up(self, processor: Any, class_names: Any) -> None:
        """See `SegmenterAdapter.set_up`."""
        self.model.model.backbone = _Remembering(self.model.model.backbone)

    def encode_vocabulary(
        self, processor: AdapterProcessor, class_names: Sequence[str], progress: bool = False
    ) -> dict[str, torch.Tensor]:
        """See `PartSegmentationModel.encode_vocabulary`: token ids (classes, length), 0 behind the last one."""
        limit = self.config.max_text_len - 3  # start, full stop, end
        tokens = processor.tokenize([name.lower() for name in class_names], limit, add_special_tokens=False)
        ids = tokens["input_ids"].to(self.device) * tokens["attention_mask"].to(self.device)
        separators = torch.isin(ids, self.model.model.special_tokens)
        if separators.any() or not ids.any(1).all():
            wrong = class_names[int((separators.any(1) | ~ids.any(1)).int().argmax())]
            raise OVPartsError(f"Class {wrong!r} cannot be asked for; leave out '.' and '?', and give it a letter.")
        return {"class_features": ids}

    def detect(self, inputs: dict[str, Any], classes: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """See `DetectorAdapter.detect`. The boxes of one sentence score 0 for the classes of the others."""
        names = [row[row > 0].tolist() for row in classes["class_features"]]
        boxes, scores = [], []
        for chunk in self._sentences(names):
            found, of_chunk = self._ask(inputs["pixel_values"], [names[i] for i in chunk])
            boxes.append(found)
            scores.append(of_chunk.new_zeros(len(found), len(names)))
            scores[-1][:, chunk] = of_chunk
        return torch.cat(boxes), torch.cat(scores)

    def _sentences(self, names: list[list[int]]) -> Iterator[list[int]]:
        """Positions of the names that go into one sentence each."""
        chunk: list[int] = []
        length = 2
        for i, name in enumerate(names):
            if length + len(name) + 1 > self.config.max_text_len:
                yield chunk
                chunk, length = [], 2
            chunk.append(i)
            length += len(name) + 1
        yield chunk

    def _ask(self, pixel_values: torch.Tensor, names: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        start, end, full_stop, _ = self.model.model.special_tokens.tolist()
        ids, places = [start], []
        for name in names:
            places.append(range(len(ids), len(ids) + len(name)))
            ids += [*name, full_stop]
        outputs = self.model(pixel_values=pixel_values, input_ids=torch.tensor([[*ids, end]], device=self.device))
        tokens = outputs.logits[0].float().sigmoid()
        scores = torch.stack([tokens[:, place.start : place.stop].mean(1) for place in places], dim=1)
        return center_to_corners_format(outputs.pred_boxes[0]), scores


class _Remembering(nn.Module):
    """A backbone that keeps what it gave for the latest image, which several sentences are about."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.latest: tuple[Any, list[Any], list[Any]] = (None, [], [])

    def forward(self, pixel_values: torch.Tensor, pixel_mask: torch.Tensor) -> tuple[list[Any], list[Any]]:
        latest = self.latest  # of which another thread may replace the whole
        if pixel_values is not latest[0]:
            latest = self.latest = (pixel_values, *self.backbone(pixel_values, pixel_mask))
        _, features, positions = latest
        return list(features), list(positions)

    def position_embedding(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.backbone.position_embedding(*inputs)
