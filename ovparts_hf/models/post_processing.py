"""From score maps to label maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from ..errors import OVPartsError

if TYPE_CHECKING:
    from .outputs import PartSegmentationOutput

SCORES = ("logits", "probabilities", "plain")
"""What is resized to an image's size: scores, from which probabilities are then made; probabilities; or scores that
are compared as they are."""
BAND = 2**24
"""How many scores of a large image are held at once, about."""


def label_map(
    logits: torch.Tensor,
    size: tuple[int, int] | None = None,
    candidates: Sequence[int] | None = None,
    none_logits: torch.Tensor | None = None,
    scores: str = "logits",
) -> torch.Tensor:
    """The best class of every pixel of one image.

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
    if none_logits is not None:
        ids = torch.cat([ids, ids.new_full((1,), -1)])
    return ids[score_maps(maps, size, scores).argmax(0)]


def score_maps(logits: torch.Tensor, size: tuple[int, int] | None = None, scores: str = "logits") -> torch.Tensor:
    """The scores of one image in the form in which they are compared.

    Args:
        logits: (classes, h, w).
        size: Target (height, width), or None for the size of `logits`.
        scores: One of `SCORES`.

    Returns:
        (classes, height, width), not below zero.
    """
    maps = logits.sigmoid() if scores == "probabilities" else logits
    if size is not None:
        if not len(maps):
            return maps.new_zeros(0, *size)
        maps = F.interpolate(maps[None], size=tuple(size), mode="bilinear", align_corners=False)[0]
    return maps.sigmoid() if scores == "logits" else maps


def row_bands(size: tuple[int, int], num_classes: int) -> Iterator[slice]:
    """Cuts an image (height, width) into bands of rows whose scores fit into memory together, for `score_band`."""
    height, width = size
    count = max(1, BAND // (num_classes * width))
    for start in range(0, height, count):
        yield slice(start, min(start + count, height))


def score_band(logits: torch.Tensor, size: tuple[int, int], rows: slice, scores: str = "logits") -> torch.Tensor:
    """Some rows of what `score_maps` gives, for images whose scores would not fit into memory at once.

    Args:
        logits: (classes, h, w).
        size: Target (height, width).
        rows: Which rows, with both ends.
        scores: One of `SCORES`.

    Returns:
        (classes, rows, width), equal to `score_maps` up to rounding, and exactly if all rows are asked for.
    """
    height, width = size
    if rows == slice(0, height):
        return score_maps(logits, size, scores)
    maps = logits.sigmoid() if scores == "probabilities" else logits
    wanted = torch.arange(rows.start, rows.stop, device=maps.device, dtype=torch.float64)
    source = ((wanted + 0.5) * (maps.shape[1] / height) - 0.5).clamp(min=0)  # where bilinear interpolation looks
    above = source.long()
    below = (above + 1).clamp(max=maps.shape[1] - 1)
    band = torch.lerp(maps[:, above], maps[:, below], (source - above).to(maps)[:, None])
    band = F.interpolate(band[None], size=(len(wanted), width), mode="bilinear", align_corners=False)[0]
    return band.sigmoid() if scores == "logits" else band


class LabelMaps:
    """What processors do with a model's outputs.

    Attributes:
        scores: One of `SCORES`.
    """

    scores: str

    def label_map(
        self,
        logits: torch.Tensor,
        size: tuple[int, int] | None = None,
        candidates: Sequence[int] | None = None,
        none_logits: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """`label_map` of one image, comparing scores in the form that this processor's model needs."""
        return label_map(logits, size, candidates, none_logits, self.scores)

    def score_maps(self, logits: torch.Tensor, size: tuple[int, int] | None = None) -> torch.Tensor:
        """`score_maps` of one image, in the form that this processor's model needs."""
        return score_maps(logits, size, self.scores)

    def score_band(self, logits: torch.Tensor, size: tuple[int, int], rows: slice) -> torch.Tensor:
        """`score_band` of one image, in the form that this processor's model needs."""
        return score_band(logits, size, rows, self.scores)

    def post_process_part_segmentation(
        self,
        outputs: PartSegmentationOutput,
        target_sizes: Sequence[tuple[int, int]] | None = None,
        candidates: Sequence[Sequence[int] | None] | None = None,
        include_none: bool = False,
    ) -> list[torch.Tensor]:
        """Turns a model's scores into one label map per image.

        Args:
            outputs: What the model returned.
            target_sizes: (height, width) per image, usually that of the original; None keeps the model's.
            candidates: Per image the class ids that may be answered, e.g. the parts of the objects in it, or None.
            include_none: Whether "none" may win; its pixels become -1.

        Returns:
            Per image (height, width) int64, class ids.

        Raises:
            OVPartsError: There are not as many sizes or candidate lists as images, or "none" was not scored.
        """
        count = len(outputs.logits)
        for name, values in (("target_sizes", target_sizes), ("candidates", candidates)):
            if values is not None and len(values) != count:
                raise OVPartsError(f"{len(values)} {name} were given for {count} images; give one for each.")
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
        """`SemanticLabelMaps.post_process_semantic_segmentation`."""
        return semantic_maps(outputs, target_sizes, self.scores)


class SemanticLabelMaps:
    """Mixin of image processors: what transformers' pipeline "image-segmentation" calls.

    Attributes:
        scores: One of `SCORES`, that of the processor which the image processor is part of.
    """

    scores: str

    def post_process_semantic_segmentation(
        self, outputs: PartSegmentationOutput, target_sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[torch.Tensor]:
        """Turns a model's scores into one map of labels per image.

        Args:
            outputs: What the model returned.
            target_sizes: (height, width) per image, usually that of the original; None keeps the model's.

        Returns:
            Per image (height, width) int64, keys of the model's `config.id2label`: positions of classes, and after
            them that of "none", if the model scored it.

        Raises:
            OVPartsError: There are not as many sizes as images.
        """
        return semantic_maps(outputs, target_sizes, self.scores)


def semantic_maps(
    outputs: PartSegmentationOutput, target_sizes: Sequence[tuple[int, int]] | None, scores: str
) -> list[torch.Tensor]:
    """See `SemanticLabelMaps.post_process_semantic_segmentation`; in bounded memory.

    Args:
        outputs: What the model returned.
        target_sizes: (height, width) per image, or None.
        scores: One of `SCORES`.
    """
    if target_sizes is not None and len(target_sizes) != len(outputs.logits):
        raise OVPartsError(
            f"{len(target_sizes)} target_sizes were given for {len(outputs.logits)} images; give one for each."
        )
    none_logits = outputs.get("none_logits")  # pipelines make another `ModelOutput`, without what is None
    maps = outputs.logits if none_logits is None else torch.cat([outputs.logits, none_logits], dim=1)
    sizes = [maps.shape[-2:]] * len(maps) if target_sizes is None else target_sizes
    return [
        torch.cat([score_band(each, size, rows, scores).argmax(0) for rows in row_bands(size, len(each))])
        for each, size in zip(maps.float(), sizes)
    ]
