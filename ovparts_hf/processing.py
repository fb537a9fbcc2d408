"""From pictures and words to tensors, and from score maps back to label maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from transformers import BatchEncoding, BatchFeature, ProcessorMixin
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from .errors import OVPartsError
from .models.catseg.image_processing_catseg import CATSegImageProcessor
from .models.outputs import PartSegmentationOutput

SCORES = ("logits", "probabilities", "plain")
"""What is resized to a picture's size: scores, from which probabilities are then made; probabilities; or scores that
are compared as they are."""


def label_map(
    logits: torch.Tensor,
    size: tuple[int, int] | None = None,
    candidates: Sequence[int] | None = None,
    none_logits: torch.Tensor | None = None,
    scores: str = "logits",
) -> torch.Tensor:
    """The best class of every pixel of one picture.

    Scores, not labels, are resized. Logits are compared as sigmoids, as in the benchmark: where several saturate to 1
    the lowest id wins.

    Args:
        logits: (classes, h, w).
        size: Target (height, width), or None for the size of `logits`.
        candidates: Class ids that may be answered; all when None.
        none_logits: (1, h, w); where "none" wins, the answer is -1.
        scores: One of `SCORES`.

    Returns:
        (height, width) int64 class ids; -1 everywhere when there is no candidate.
    """
    ids = torch.arange(len(logits), device=logits.device)
    if candidates is not None:
        ids = torch.as_tensor(candidates, dtype=torch.long, device=logits.device)
    if len(ids) == 0:
        return torch.full(size or logits.shape[-2:], -1, device=logits.device)
    maps = logits[ids] if none_logits is None else torch.cat([logits[ids], none_logits])
    if scores == "probabilities":
        maps = maps.sigmoid()
    if size is not None:
        maps = F.interpolate(maps[None], size=tuple(size), mode="bilinear", align_corners=False)[0]
    if none_logits is not None:
        ids = torch.cat([ids, ids.new_full((1,), -1)])
    if scores == "logits":
        maps = maps.sigmoid()
    return ids[maps.argmax(0)]


class PartSegmentationImageProcessor(ViTImageProcessorPil):
    """Resizes a picture to a square with Pillow, rescales and normalises it.

    Always Pillow, whatever is installed: torchvision's resize differs by up to one grey level, which moves scores.
    """

    def __call__(self, images: Any, augmented: bool = False, **kwargs: Any) -> BatchFeature:
        """Prepares pictures; those from training augmentation (`augmented`) are treated like any other."""
        return super().__call__(images, **kwargs)


IMAGE_PROCESSORS = (PartSegmentationImageProcessor, CATSegImageProcessor)


class PartSegmentationProcessor(ProcessorMixin):
    """Image processor and tokenizer of a part segmentation model, and the way back to label maps.

    Args:
        image_processor: One of `IMAGE_PROCESSORS`. From another of transformers', the settings are kept and the backend
            becomes Pillow.
        tokenizer: The tokenizer of the model's text encoder.
        templates: Sentences with "{}" for a class name, or None to encode the name alone.
        possessive: Whether "dog's ear" stays as it is; otherwise it becomes "dog ear", as for the benchmark's CLIPSeg.
        scores: One of `SCORES`.
    """

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        templates: Sequence[str] | None = None,
        possessive: bool = False,
        scores: str = "logits",
        **kwargs: Any,
    ):
        if image_processor is not None and not isinstance(image_processor, IMAGE_PROCESSORS):
            settings = image_processor.to_dict()
            settings.pop("image_processor_type", None)
            image_processor = PartSegmentationImageProcessor.from_dict(settings)
        if scores not in SCORES:
            raise OVPartsError(f"scores is {scores!r}; choose one of {list(SCORES)}.")
        self.templates = None if templates is None else list(templates)
        self.possessive = possessive
        self.scores = scores
        super().__init__(image_processor, tokenizer, **kwargs)

    def __call__(
        self,
        images: Image.Image | Sequence[Any] | None = None,
        classes: Sequence[str] | None = None,
        augmented: bool = False,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """Prepares pictures, class names or both.

        Args:
            images: A picture or a list: PIL, or uint8 arrays or tensors (channels, height, width).
            classes: Part classes ("dog's ear"), or any words.
            augmented: Whether the pictures come from training augmentation and already have the scale of training.
            return_tensors: "pt", or another of transformers' tensor types.

        Returns:
            `pixel_values` (batch, 3, size, size) float32, and what else the model takes, for pictures; `input_ids` and
            `attention_mask` (classes, length) int64 for classes, padded to the longest, or (classes, templates, length)
            if there are templates.

        Raises:
            OVPartsError: Nothing was given, or a class name is empty or too long for the text encoder.
        """
        if images is None and classes is None:
            raise OVPartsError("Pass images, classes or both; neither was given.")
        data: dict[str, Any] = {}
        if images is not None:
            data.update(self.image_processor(images, augmented=augmented, return_tensors=return_tensors))
        if classes is not None:
            data.update(self._tokenize(classes, return_tensors))
        return BatchFeature(data)

    def _tokenize(self, classes: Sequence[str], return_tensors: str) -> dict[str, Any]:
        if (
            isinstance(classes, str)
            or not classes
            or not all(isinstance(name, str) and name.strip() for name in classes)
        ):
            raise OVPartsError(f"classes must be a list of at least one non-empty string, but is {classes!r}.")
        names = classes if self.possessive else [name.replace("'s", "") for name in classes]
        prompts = [template.replace("{}", name) for name in names for template in self.templates or ("{}",)]
        tokens = self.tokenizer(prompts, padding="longest")
        limit, longest = self.tokenizer.model_max_length, len(tokens["input_ids"][0])
        if longest > limit:
            lengths = [sum(mask) for mask in tokens["attention_mask"]]
            prompt = prompts[lengths.index(max(lengths))]
            raise OVPartsError(
                f"Class {prompt!r} has {longest} tokens; the text encoder takes at most {limit}. Shorten it."
            )
        if self.templates is not None:
            count = len(self.templates)
            tokens = BatchEncoding(
                {key: [rows[i : i + count] for i in range(0, len(rows), count)] for key, rows in tokens.items()}
            )
        return dict(tokens.convert_to_tensors(return_tensors))

    def label_map(
        self,
        logits: torch.Tensor,
        size: tuple[int, int] | None = None,
        candidates: Sequence[int] | None = None,
        none_logits: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """`label_map` of one picture, comparing scores in the form that this processor's model needs."""
        return label_map(logits, size, candidates, none_logits, self.scores)

    def post_process_part_segmentation(
        self,
        outputs: PartSegmentationOutput,
        target_sizes: Sequence[tuple[int, int]] | None = None,
        candidates: Sequence[Sequence[int] | None] | None = None,
        include_none: bool = False,
    ) -> list[torch.Tensor]:
        """Turns a model's scores into one label map per picture.

        Args:
            outputs: What the model returned.
            target_sizes: (height, width) per picture, usually that of the original; None keeps the model's.
            candidates: Per picture the class ids that may be answered, e.g. the parts of the objects in it, or None.
            include_none: Whether "none" may win; its pixels become -1.

        Returns:
            Per picture (height, width) int64, class ids.

        Raises:
            OVPartsError: There are not as many sizes or candidate lists as pictures, or "none" was not scored.
        """
        count = len(outputs.logits)
        for name, values in (("target_sizes", target_sizes), ("candidates", candidates)):
            if values is not None and len(values) != count:
                raise OVPartsError(f"{len(values)} {name} were given for {count} pictures; give one for each.")
        if include_none and outputs.none_logits is None:
            raise OVPartsError("The outputs hold no scores for 'none'; run the model with include_none=True.")
        return [
            self.label_map(
                outputs.logits[i],
                target_sizes[i] if target_sizes is not None else None,
                candidates[i] if candidates is not None else None,
                outputs.none_logits[i] if include_none else None,
            )
            for i in range(count)
        ]

    def post_process_semantic_segmentation(
        self, outputs: PartSegmentationOutput, target_sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[torch.Tensor]:
        """`post_process_part_segmentation` under the name that transformers' pipelines call."""
        return self.post_process_part_segmentation(outputs, target_sizes)
