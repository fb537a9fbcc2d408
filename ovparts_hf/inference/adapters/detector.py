"""Detectors that are asked by text: their boxes become masks by a refiner, or are filled."""

from __future__ import annotations

from typing import Any

import torch

from .base import SegmenterAdapter, mask_scores

GRID = 256
"""Sides of the score maps, which fill the image."""
BOXES = 50
"""Of a class, at most so many count, those with the highest scores."""


class DetectorAdapter(SegmenterAdapter):
    """Base class of the adapters for detectors. They have `detect`.

    A box that scores more than `threshold` becomes a mask by the refiner; without one every box is filled.
    """

    takes_refiner = True

    def detect(self, inputs: dict[str, Any], classes: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes (n, 4), (left, top, right, bottom) in shares of the padded image, and their scores (n, classes)."""
        raise NotImplementedError

    def score_image(self, inputs: dict[str, Any], classes: dict[str, torch.Tensor]) -> tuple[torch.Tensor, None]:
        """See `SegmenterAdapter.score_image`."""
        boxes, scores = (tensor.float() for tensor in self.detect(inputs, classes))
        height, width = inputs["extent"]
        boxes = boxes / boxes.new_tensor([width, height, width, height])
        if self.refiner is None:
            return torch.stack([_fill(boxes, of_class) for of_class in scores.T]), None
        image = self.refiner.embed(inputs["refiner_pixels"])
        return torch.stack([self._refine(image, boxes, of_class) for of_class in scores.T]), None

    def _refine(self, image: Any, boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        guess = _fill(boxes, scores.where(scores < self.threshold, 0))
        scores, best = scores.topk(min(BOXES, len(scores)))
        boxes = boxes[best].clamp(0, 1)
        kept = (scores > self.threshold) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        if not kept.any():
            return guess
        masks = self.refiner.masks(image, boxes[kept])
        found = mask_scores(scores[kept], masks, self.threshold).amax(0)
        found = torch.nn.functional.interpolate(found[None, None], guess.shape, mode="bilinear")[0, 0]
        return found.maximum(guess)


def _fill(boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """(GRID, GRID): the highest score (n,) of the boxes (n, 4) that cover each cell's centre; 0 where there is none."""
    scores, best = scores.topk(min(BOXES, len(scores)))
    left, top, right, bottom = boxes[best].T[..., None]
    centers = (torch.arange(GRID, device=boxes.device) + 0.5) / GRID
    across, down = (left <= centers) & (centers <= right), (top <= centers) & (centers <= bottom)
    covered = down[:, :, None] & across[:, None]
    return torch.where(covered, scores[:, None, None], 0).amax(0)
