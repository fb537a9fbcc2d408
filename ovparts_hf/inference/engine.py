"""How a model is asked at test time: once, or in several views of an image whose scores are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers import PreTrainedModel

from ..models.processing import PartSegmentationProcessor
from .crf import load_crf, refine

SHORT_EDGES = (256, 384, 512, 640, 768, 896)
"""Lengths of the short side in the original's test-time augmentation."""
LONGEST_EDGE = 3584
"""Limit of the long side there."""


class View(NamedTuple):
    """One way to show an image.

    Attributes:
        inputs: The model's inputs, with a batch dimension.
        flipped: Whether left and right are exchanged.
    """

    inputs: dict[str, torch.Tensor]
    flipped: bool = False


class Asked(NamedTuple):
    """What is wanted of one row of a model's output.

    Attributes:
        row: Index into the batch.
        classes: Positions among the classes that the model scores.
        size: (height, width) of the image.
    """

    row: int
    classes: Sequence[int]
    size: tuple[int, int]


@dataclass(frozen=True)
class TestTimeAugmentation:
    """Options at test time; all are off in the benchmark.

    Attributes:
        tta: Whether to average the scores of several views: the image and its mirror image, and where the model takes
            any size both with each of `SHORT_EDGES`.
        crf: Whether a dense CRF refines the scores.

    Raises:
        ConfigurationError: The module for a dense CRF is not installed.
    """

    __test__ = False  # not a test, whatever its name

    tta: bool = False
    crf: bool = False

    def __post_init__(self) -> None:
        if self.crf:
            load_crf()

    def refine(self, scores: torch.Tensor, image: Image.Image) -> torch.Tensor:
        """The (classes, H, W) scores of an image after all views were averaged."""
        return refine(scores, image) if self.crf else scores

    def views(
        self, processor: PartSegmentationProcessor, image: Image.Image, object_masks: np.ndarray | None = None
    ) -> list[View]:
        """Prepares an image and the (objects, H, W) masks on it, once for each view."""
        if not self.tta:
            return [_view(processor, image, object_masks)]
        any_size = takes_any_size(processor)
        sizes = [{"shortest_edge": edge, "longest_edge": LONGEST_EDGE} for edge in SHORT_EDGES] if any_size else [None]
        return [_view(processor, image, object_masks, size, flip) for size in sizes for flip in (False, True)]


NO_TTA = TestTimeAugmentation()
"""As the benchmark does it: the image once, and its scores as they are."""


def takes_any_size(processor: PartSegmentationProcessor) -> bool:
    """Whether a model takes images of any size; CLIPSeg and CATSeg take squares of one size."""
    return "shortest_edge" in processor.image_processor.size


def _view(
    processor: PartSegmentationProcessor,
    image: Image.Image,
    object_masks: np.ndarray | None,
    size: dict[str, int] | None = None,
    flip: bool = False,
) -> View:
    arguments: dict[str, Any] = {} if size is None else {"size": size}
    if object_masks is not None:
        arguments["object_masks"] = object_masks[..., ::-1] if flip else object_masks
    images = [ImageOps.mirror(image) if flip else image]
    return View(dict(processor.image_processor(images, return_tensors="pt", **arguments)), flip)


@torch.no_grad()
def predict_scores(
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    views: Sequence[View],
    words: dict[str, torch.Tensor],
    asked: Sequence[Asked],
    class_mask: torch.Tensor | None = None,
    include_none: bool = False,
) -> list[torch.Tensor]:
    """Scores at the size of each image, averaged over views.

    Args:
        model: In evaluation mode.
        processor: Its processor.
        views: Of one image, or of several that go through the model together.
        words: Vocabulary, as `model.encode_vocabulary` gives it.
        asked: What is wanted.
        class_mask: As the model's `forward` takes it.
        include_none: Whether a map of "none" is added to each.

    Returns:
        For each of `asked` (classes, height, width), or (classes + 1, height, width) with "none" last: the scores that
        the model's label maps compare, not below zero.
    """
    totals: list[Any] = [0] * len(asked)
    for view in views:
        inputs = {name: tensor.to(model.device, model.dtype) for name, tensor in view.inputs.items()}
        outputs = model(**inputs, **words, class_mask=class_mask, include_none=include_none)
        for number, (row, classes, size) in enumerate(asked):
            logits = outputs.logits[row, list(classes)]
            if include_none:
                logits = torch.cat([logits, outputs.none_logits[row]])
            maps = processor.score_maps(logits.float(), size)
            totals[number] = totals[number] + (maps.flip(-1) if view.flipped else maps)
    return [total / len(views) for total in totals]
