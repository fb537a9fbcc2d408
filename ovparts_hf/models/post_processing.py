"""From score maps to label maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from transformers.image_processing_outputs import SemanticSegmentationPostProcessorOutput
from transformers.utils import ModelOutput

from ..errors import OVPartsError
from ..utils.crops import Box
from ..utils.deadline import check_deadline

SCORES = ("logits", "probabilities", "plain")
"""What is resized to an image's size: scores, from which probabilities are then made; probabilities; or scores that
are compared as they are."""
BAND = 2**24
"""How many scores of a large image are held at once, about."""


def upsample_scores(
    logits: torch.Tensor, size: tuple[int, int] | None = None, scores: str = "logits", rows: slice | None = None
) -> torch.Tensor:
    """(classes, h, w) at the image's size, in the form in which scores are compared, not below zero.

    `rows` of it only, where all would not fit into memory, are equal to those of the whole up to rounding.
    """
    maps = logits.sigmoid() if scores == "probabilities" else logits
    if size is not None:
        height, width = size
        if rows is not None and rows != slice(0, height):
            maps = _source_rows(maps, height, rows)
            height = rows.stop - rows.start
        if not len(maps):
            return maps.new_zeros(0, height, width)
        maps = F.interpolate(maps[None], size=(height, width), mode="bilinear", align_corners=False)[0]
    return maps.sigmoid() if scores == "logits" else maps


def _source_rows(maps: torch.Tensor, height: int, rows: slice) -> torch.Tensor:
    """(classes, h, w) -> (classes, rows, w): some of the rows that bilinear interpolation to `height` gives."""
    target = torch.arange(rows.start, rows.stop, device=maps.device, dtype=torch.float64)
    source = ((target + 0.5) * (maps.shape[1] / height) - 0.5).clamp(min=0)
    above = source.long()
    below = (above + 1).clamp(max=maps.shape[1] - 1)
    return torch.lerp(maps[:, above], maps[:, below], (source - above).to(maps)[:, None])


def row_bands(size: tuple[int, int], num_classes: int) -> Iterator[slice]:
    """Cuts an image (height, width) into bands of rows whose scores fit into memory together."""
    height, width = size
    count = max(1, BAND // (num_classes * width))
    for start in range(0, height, count):
        yield slice(start, min(start + count, height))


def best_position(scores: torch.Tensor) -> torch.Tensor:
    """(n, H, W) -> (H, W) int64, where each pixel's highest score is, of equals the first.

    As `argmax(0)`, which on a CPU takes six times as long.
    """
    return scores.max(0).indices


def best_class(scores: torch.Tensor, ids: Sequence[int] | torch.Tensor) -> torch.Tensor:
    """(n, H, W) scores of n classes -> (H, W) int64, the best one (of equals the first); -1 if there is none."""
    if len(ids) == 0:
        return torch.full(scores.shape[-2:], -1, device=scores.device)
    return torch.as_tensor(ids, device=scores.device)[best_position(scores)]


def label_map(
    logits: torch.Tensor,
    size: tuple[int, int] | None = None,
    candidates: Sequence[int] | None = None,
    none_logits: torch.Tensor | None = None,
    scores: str = "logits",
) -> torch.Tensor:
    """The best class (height, width) int64 of every pixel of one image; -1 for "none", or without any candidate.

    Scores, not labels, are resized. Logits (classes, h, w) are compared as sigmoids, as in the benchmark: where several
    saturate to 1 the lowest id wins. `none_logits` are (1, h, w).
    """
    ids = torch.arange(len(logits), device=logits.device)
    if candidates is not None:
        ids = torch.as_tensor(candidates, dtype=torch.long, device=logits.device)
    maps = logits[ids]
    if none_logits is not None:
        maps, ids = torch.cat([maps, none_logits]), torch.cat([ids, ids.new_full((1,), -1)])
    return best_class(upsample_scores(maps, size, scores), ids)


class ScoreMaps(NamedTuple):
    """Scores (n, h, w) float32 of classes `ids`, -1 being none, that compete for a region (H, W) or the whole image.

    They are those of a window of the image, `box`, which the region does not leave; None: of the whole image.
    """

    logits: torch.Tensor
    ids: tuple[int, ...]
    region: np.ndarray | None = None
    box: Box | None = None

    def only(self, classes: set[int]) -> ScoreMaps:
        """The same without the other classes; none stays."""
        positions = [i for i, class_id in enumerate(self.ids) if class_id in classes or class_id < 0]
        return self._replace(logits=self.logits[positions], ids=tuple(self.ids[i] for i in positions))

    def upsampled(self, size: tuple[int, int], scores: str, rows: slice) -> torch.Tensor:
        """`upsample_scores` of some rows of an image; 0 outside of the window."""
        if self.box is None:
            return upsample_scores(self.logits, size, scores, rows)
        left, top, right, bottom = self.box
        whole = self.logits.new_zeros(len(self.logits), rows.stop - rows.start, size[1])
        first, last = max(rows.start, top), min(rows.stop, bottom)
        if first < last:
            inside = upsample_scores(self.logits, self.box.size, scores, slice(first - top, last - top))
            whole[:, first - rows.start : last - rows.start, left:right] = inside
        return whole


def merge_score_maps(
    maps: Sequence[ScoreMaps],
    size: tuple[int, int],
    num_classes: int,
    scores: str = "logits",
    threshold: float | None = None,
    top_k: int | None = None,
    score_map: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Gives each pixel the class that scores best there, in bounded memory; where regions overlap, the best of all.

    A class must score more than `threshold`; `top_k` keeps the classes with the highest mean scores. Returns the label
    map, `size` int16 with -1 for none, and the mean score of each class over its pixels, (num_classes,) float32. A
    `score_map` of this size is filled with the score of each pixel's class, from 0 to 1; 0 for none.
    """
    labels = np.full(size, -1, dtype=np.int16)
    sums, counts = np.zeros((2, num_classes + 1))
    for rows in row_bands(size, max((len(group.ids) for group in maps), default=1)):
        band = labels[rows]
        best = np.full(band.shape, -np.inf if threshold is None else threshold, dtype=np.float32)
        for group in maps:
            check_deadline()
            values, positions = (t.cpu().numpy() for t in group.upsampled(size, scores, rows).max(0))
            candidates = np.array(group.ids)[positions]
            wins = (candidates >= 0) & (values > best)
            if group.region is not None:
                wins &= group.region[rows]
            band[wins], best[wins] = candidates[wins], values[wins]
        if score_map is not None:
            score_map[rows] = np.where(band >= 0, best.clip(0, 1), 0)
        shifted = band.ravel().astype(np.int64) + 1  # none is 0
        sums += np.bincount(shifted, np.maximum(best, 0).ravel(), num_classes + 1)
        counts += np.bincount(shifted, minlength=num_classes + 1)
    means = np.minimum(sums[1:] / np.maximum(counts[1:], 1), 1).astype(np.float32)
    if top_k is None or np.count_nonzero(means) <= top_k:
        return labels, means
    kept = set(np.argsort(-means, kind="stable")[:top_k].tolist())
    remaining = [group for group in (group.only(kept) for group in maps) if group.ids]
    return merge_score_maps(remaining, size, num_classes, scores, threshold, score_map=score_map)


class SemanticLabelMaps:
    """Mixin of image processors and processors: what transformers' pipeline "image-segmentation" calls. `scores` is one
    of `SCORES`; of an image processor, that of the processor which it is part of. `has_sliding_window` says whether it
    can cut windows (`sliding_window`).
    """

    scores: str
    has_sliding_window: ClassVar[bool] = False

    def post_process_semantic_segmentation(
        self,
        outputs: ModelOutput,
        target_sizes: Sequence[tuple[int, int]] | None = None,
        return_segmentation_scores: bool = False,
    ) -> list[torch.Tensor] | list[SemanticSegmentationPostProcessorOutput]:
        """Turns a model's scores into one map of labels per image, in bounded memory unless all scores are returned.

        Args:
            outputs: What the model returned, a `PartSegmentationOutput`.
            target_sizes: (height, width) per image, usually that of the original; None keeps the model's.
            return_segmentation_scores: Whether to return the scores as well.

        Returns:
            Per image (height, width) int64, keys of the model's `config.id2label`: positions of classes, and after
            them that of "none", if the model scored it. With scores, an output with this `segmentation`, and
            `segmentation_scores` (labels, height, width) float32, which are compared to find the best: probabilities,
            or any numbers where `scores` is "plain".

        Raises:
            OVPartsError: There are not as many sizes as images.
        """
        _check_one_per_image(len(outputs.logits), target_sizes=target_sizes)
        none_logits = outputs.get("none_logits")  # pipelines make another `ModelOutput`, without what is None
        maps = outputs.logits if none_logits is None else torch.cat([outputs.logits, none_logits], dim=1)
        sizes = [maps.shape[-2:]] * len(maps) if target_sizes is None else target_sizes
        results = []
        for logits, size in zip(maps.float(), sizes):
            bands = (upsample_scores(logits, size, self.scores, rows) for rows in row_bands(size, len(logits)))
            if return_segmentation_scores:
                scores = torch.cat(list(bands), dim=1)
                data = {"segmentation": best_position(scores), "segmentation_scores": scores}
                results.append(SemanticSegmentationPostProcessorOutput(data))
            else:
                results.append(torch.cat([best_position(scores) for scores in bands]))
        return results


class LabelMaps(SemanticLabelMaps):
    """Mixin of processors: what they do with a model's outputs."""

    def post_process_part_segmentation(
        self,
        outputs: ModelOutput,
        target_sizes: Sequence[tuple[int, int]] | None = None,
        candidates: Sequence[Sequence[int] | None] | None = None,
        include_none: bool = False,
    ) -> list[torch.Tensor]:
        """Turns a model's scores into one map (height, width) int64 of class ids per image.

        Args:
            outputs: As for `post_process_semantic_segmentation`.
            target_sizes: Likewise.
            candidates: Per image the class ids to choose from, e.g. the parts of the objects in it, or None.
            include_none: Whether "none" may win; its pixels become -1.

        Raises:
            OVPartsError: There are not as many sizes or candidate lists as images, or "none" was not scored.
        """
        count = len(outputs.logits)
        _check_one_per_image(count, target_sizes=target_sizes, candidates=candidates)
        if include_none and outputs.none_logits is None:
            raise OVPartsError("The outputs hold no scores for 'none'; run the model with include_none=True.")
        return [
            label_map(
                outputs.logits[i],
                target_sizes[i] if target_sizes is not None else None,
                candidates[i] if candidates is not None else None,
                outputs.none_logits[i] if include_none else None,
                self.scores,
            )
            for i in range(count)
        ]


def _check_one_per_image(count: int, **options: Sequence[object] | None) -> None:
    for name, values in options.items():
        if values is not None and len(values) != count:
            raise OVPartsError(f"{len(values)} {name} were given for {count} images; give one for each.")
