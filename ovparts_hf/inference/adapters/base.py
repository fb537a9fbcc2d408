"""What all adapters share: a segmenter of transformers behind the methods that this library calls of its own models."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel

from ...errors import OVPartsError
from ...models.configuration_utils import PartSegmentationConfig
from ...models.modeling_utils import PartSegmentationModel, PartSegmentationOutput
from ...models.post_processing import LabelMaps
from .prompts import DEFAULT_PROMPT, phrase
from .refiner import Refiner


@dataclass
class AdapterImageProcessor:
    """Prepares one image by the image processor of transformers, and by the refiner's, if there is one."""

    processor: Any
    refiner: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> dict[str, int]:
        """The processor's, as a plain mapping; for images that are padded to a square that of the square."""
        size = {name: value for name, value in dict(self.processor.size).items() if value is not None}
        if self._pads_to_square and "longest_edge" in size:
            return dict.fromkeys(("height", "width"), size["longest_edge"])
        return size

    @property
    def _pads_to_square(self) -> bool:
        """As OWLv2's and EoMT's, whereas others pad to a multiple of some length and say so by a `pixel_mask`."""
        pads = self.options.get("do_pad", getattr(self.processor, "do_pad", False))
        return bool(pads) and "pixel_mask" not in self.processor.model_input_names

    def __call__(
        self, images: Sequence[Image.Image], return_tensors: str = "pt", **options: Any
    ) -> dict[str, torch.Tensor]:
        """`pixel_values`; `extent` (1, 2), the share of its height and width that the image fills; `refiner_pixels`."""
        (image,) = images
        prepared = self.processor(images=[image], return_tensors="pt", **self.options, **options)
        pixels = prepared["pixel_values"]
        inputs = {"pixel_values": pixels, "extent": torch.tensor([self._extent(image, prepared)])}
        if self.refiner is not None:
            inputs["refiner_pixels"] = self.refiner(images=[image], return_tensors="pt")["pixel_values"]
        return inputs

    def _extent(self, image: Image.Image, prepared: Mapping[str, torch.Tensor]) -> tuple[float, float]:
        if "pixel_mask" in prepared:  # where padding is none
            mask = prepared["pixel_mask"][0].bool()
            return mask.any(1).float().mean().item(), mask.any(0).float().mean().item()
        if self._pads_to_square:
            longest = max(image.size)
            return image.height / longest, image.width / longest
        return 1.0, 1.0


@dataclass
class AdapterProcessor(LabelMaps):
    """The processor of an adapter: images, the wording of class names, and the way back to label maps."""

    image_processor: AdapterImageProcessor
    tokenizer: Any = None
    prompt: str = DEFAULT_PROMPT
    scores: ClassVar[str] = "plain"

    def __call__(self, images: Any) -> dict[str, torch.Tensor]:
        return self.image_processor(images if isinstance(images, list) else [images])

    def tokenize(self, class_names: Sequence[str], limit: int, **options: Any) -> Mapping[str, torch.Tensor]:
        """Tokens of class names in the chosen wording, (classes, length); at most `limit` tokens are possible."""
        if not class_names:
            raise OVPartsError("The vocabulary is empty; give at least one class name.")
        phrases = [phrase(name, self.prompt) for name in class_names]
        tokens = self.tokenizer(phrases, **{"padding": "longest", "truncation": False, "verbose": False, **options})
        lengths = [sum(mask) for mask in tokens["attention_mask"]]
        if max(lengths) > limit:
            longest = phrases[int(np.argmax(lengths))]
            raise OVPartsError(
                f"Class {longest[:80]!r} has {max(lengths)} tokens; this model takes at most {limit}. Shorten it."
            )
        return tokens.convert_to_tensors("pt")

    def tokenize_to_length(self, class_names: Sequence[str], length: int) -> Mapping[str, torch.Tensor]:
        """As `tokenize`, padded to the length that a model was trained with: (classes, length)."""
        return self.tokenize(class_names, length, padding="max_length", max_length=length)


class SegmenterAdapter(PartSegmentationModel):
    """Base class of the adapters: a model of transformers, and a refiner for those that only find boxes.

    An adapter encodes a vocabulary, scores the chosen classes of one image, and says in `kinds` which models it takes.
    Scores are from 0 to 1; "none" scores `threshold` everywhere, unless an adapter knows better.
    """

    scores_none = True
    _supports_sdpa = True  # whichever the wrapped model uses
    kinds: ClassVar[Mapping[str, str]]  # model_type -> name of the class in transformers
    threshold: ClassVar[float] = 0.25
    image_options: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # model_type -> options of its image processor
    takes_refiner: ClassVar[bool] = False
    stock_processor: ClassVar[str] = "AutoProcessor"  # name of the class in transformers

    def __init__(self, model: PreTrainedModel, refiner: Refiner | None = None) -> None:
        config = copy.deepcopy(model.config)
        config.trained_on = None
        config.eval_label_size = PartSegmentationConfig.eval_label_size
        super().__init__(config)
        self.model = model
        self.refiner = refiner

    def set_up(self, processor: Any, class_names: Mapping[str, str] | None) -> None:
        """What an adapter reads of transformers' processor, and of names that a user gives."""

    def describe(self) -> dict[str, Any]:
        """See `PartSegmentationModel.describe`."""
        facts = {"threshold_of_none": self.threshold}
        return facts if self.refiner is None else {**facts, "refiner": self.refiner.name}

    def encode_vocabulary(
        self, processor: AdapterProcessor, class_names: Sequence[str], progress: bool = False
    ) -> dict[str, torch.Tensor]:
        """See `PartSegmentationModel.encode_vocabulary`."""
        raise NotImplementedError

    def score_image(
        self, inputs: dict[str, torch.Tensor], classes: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Scores (classes, h, w) of one image, which fill it, and the score of "none" (h, w) or None."""
        raise NotImplementedError

    def forward(
        self,
        pixel_values: torch.Tensor,
        extent: torch.Tensor,
        refiner_pixels: torch.Tensor | None = None,
        class_mask: torch.Tensor | None = None,
        include_none: bool = False,
        **class_inputs: torch.Tensor,
    ) -> PartSegmentationOutput:
        """See `PartSegmentationModel.forward`: image by image, and of each only the classes of its `class_mask`."""
        count = len(next(iter(class_inputs.values())))
        logits, none_logits = [], []
        for i in range(len(pixel_values)):
            inputs = {"pixel_values": pixel_values[i : i + 1], "extent": extent[i].tolist()}
            if refiner_pixels is not None:
                inputs["refiner_pixels"] = refiner_pixels[i : i + 1]
            chosen = slice(None) if class_mask is None else class_mask[i]
            scores, none = self.score_image(inputs, {name: rows[chosen] for name, rows in class_inputs.items()})
            maps = scores.new_full((count, *scores.shape[-2:]), -math.inf)
            maps[chosen] = scores
            logits.append(maps)
            none_logits.append(torch.full_like(scores[:1], self.threshold) if none is None else none[None])
        return PartSegmentationOutput(
            logits=torch.stack(logits), none_logits=torch.stack(none_logits) if include_none else None
        )


def mask_scores(score: torch.Tensor, mask: torch.Tensor, threshold: float) -> torch.Tensor:
    """What a mask of probabilities (..., h, w) with a score (...) gives its class at each pixel, in float32.

    That is the score where the mask is certain, and more than `threshold` just where the probability is more than a
    half, if the score is more, too. Below, it tells which of several classes would be the best guess.
    """
    score, mask = score.float()[..., None, None], mask.float()
    low = score.clamp(max=threshold)
    return low * (2 * mask).clamp(max=1) + (score - low) * (2 * mask - 1).clamp(min=0)
