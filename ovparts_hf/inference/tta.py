"""Options at test time: several views of an image whose scores are averaged, and a CRF that refines the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps

from ..errors import ConfigurationError
from ..models.modeling_utils import PartSegmentationModel
from ..models.post_processing import LabelMaps, upsample_scores
from .engine import Request, predict_scores, prepare_image

SHORT_EDGES = (256, 384, 512, 640, 768, 896)
"""Lengths of the short side in the original's test-time augmentation."""
LONGEST_EDGE = 3584
"""Limit of the long side there."""
STEPS = 5
SMOOTHNESS = {"sxy": (3, 3), "compat": 3}
"""Deviation in pixels and weight of the term that wants neighbours to agree, as in the original."""
APPEARANCE = {"sxy": (80, 80), "srgb": (13, 13, 13), "compat": 10}
"""Of the term that wants neighbours of like colour to agree, likewise."""
_TINY = 1e-8  # so that every energy is finite


class View(NamedTuple):
    """One way to show an image, as the model's inputs, with a batch dimension."""

    inputs: dict[str, torch.Tensor]
    flipped: bool = False  # left and right are exchanged


@dataclass(frozen=True)
class TestTimeAugmentation:
    """Options at test time; all are off in the benchmark."""

    __test__ = False  # not a test, whatever its name

    tta: bool = False  # average the image and its mirror image, both with each of `SHORT_EDGES` if any size is taken
    crf: bool = False  # refine scores by a dense CRF

    def __post_init__(self) -> None:
        if self.crf:
            load_crf()

    def refine(self, scores: torch.Tensor, image: Image.Image) -> torch.Tensor:
        """With `crf`, makes scores (classes, H, W) agree with the borders in an image, as float32 probabilities.

        They are not below zero; at each pixel their shares of the sum count as probabilities. One class stays as it is.
        """
        count, height, width = scores.shape
        if not self.crf or count < 2:
            return scores
        shares = scores.double().clamp(min=_TINY)
        energy = -(shares / shares.sum(0)).log().flatten(1).cpu().numpy()
        field = load_crf().DenseCRF2D(width, height, count)
        field.setUnaryEnergy(np.ascontiguousarray(energy, dtype=np.float32))
        field.addPairwiseGaussian(**SMOOTHNESS)
        field.addPairwiseBilateral(**APPEARANCE, rgbim=np.array(image.convert("RGB")))
        refined = np.asarray(field.inference(STEPS), dtype=np.float32).reshape(count, height, width)
        return torch.from_numpy(refined).to(scores.device)

    def views(self, processor: LabelMaps, image: Image.Image, object_masks: np.ndarray | None = None) -> list[View]:
        """Prepares an image and the (objects, H, W) masks on it, once for each view."""
        if not self.tta:
            return [View(prepare_image(processor, image, object_masks))]
        mirrored = ImageOps.mirror(image), None if object_masks is None else object_masks[..., ::-1]
        options = [{}]
        if takes_any_size(processor):
            options = [{"size": {"shortest_edge": edge, "longest_edge": LONGEST_EDGE}} for edge in SHORT_EDGES]
        return [
            View(prepare_image(processor, *shown, **option), flipped)
            for option in options
            for flipped, shown in ((False, (image, object_masks)), (True, mirrored))
        ]


NO_TTA = TestTimeAugmentation()
"""As the benchmark does it: the image once, and its scores as they are."""


def takes_any_size(processor: LabelMaps) -> bool:
    """Whether a model takes images of any size; CLIPSeg and CATSeg take squares of one size."""
    return "shortest_edge" in processor.image_processor.size


def mean_scores(
    model: PartSegmentationModel,
    processor: LabelMaps,
    class_inputs: dict[str, torch.Tensor],
    images: Sequence[Sequence[View]],
    candidates: Sequence[Sequence[Sequence[int]]],
    sizes: Sequence[tuple[int, int]],
    include_none: bool = False,
) -> list[list[torch.Tensor]]:
    """`predict_scores` in the form in which scores are compared, averaged over the views of each image.

    Each list of candidates has scores (classes, H, W) at the image's size; with `include_none`, "none" comes last.
    """
    totals: list[list[Any]] = [[0] * len(lists) for lists in candidates]
    for views in zip(*images, strict=True):
        requests = [Request(view.inputs, lists, include_none) for view, lists in zip(views, candidates)]
        for total, view, size, maps in zip(totals, views, sizes, predict_scores(model, class_inputs, requests)):
            for i, (logits, *_) in enumerate(maps):
                scores = upsample_scores(logits, size, processor.scores)
                total[i] = total[i] + (scores.flip(-1) if view.flipped else scores)
    return [[scores / len(views) for scores in total] for total, views in zip(totals, images)]


def load_crf() -> ModuleType:
    """The module that computes; asked for early, a missing one is noticed before work starts."""
    try:
        return import_module("pydensecrf.densecrf")
    except ImportError as error:
        raise ConfigurationError(
            'The dense CRF needs pydensecrf2, which is not installed: pip install "ovparts_hf[crf]".'
        ) from error
