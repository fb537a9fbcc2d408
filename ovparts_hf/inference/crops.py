"""Parts of objects whose regions are known, scored in a crop around each object."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import torch
from PIL import Image

from ..models.modeling_utils import PartSegmentationModel
from ..models.post_processing import LabelMaps, ScoreMaps
from ..utils.crops import Box
from .engine import Request, predict_scores, prepare_image


def unscored(request: Request) -> list[ScoreMaps]:
    """Which classes compete in each region of a request, without scores."""
    none = (-1,) if request.include_none else ()
    return [ScoreMaps(torch.empty(0, 1, 1), (*ids, *none)) for ids in request.candidates]


def score_in_crops(
    model: PartSegmentationModel,
    processor: LabelMaps,
    class_inputs: dict[str, torch.Tensor],
    images: Sequence[Image.Image],
    maps: Sequence[Sequence[ScoreMaps]],
    batch_size: int,
) -> list[list[ScoreMaps]]:
    """The same classes as in the `maps` of each image, scored in the crop around their region; others stay as they are.

    So many crops go through the model together, whichever images they are of.
    """
    crops = [
        (image, group._replace(box=Box.around(group.region, model.object_crop_margin)))
        for image, of_image in zip(images, maps, strict=True)
        for group in of_image
        if group.region is not None
    ]
    requests = (
        Request(prepare_image(processor, image.crop(group.box)), [[i for i in group.ids if i >= 0]], -1 in group.ids)
        for image, group in crops
    )
    scored: list[ScoreMaps] = []
    while batch := list(islice(requests, batch_size)):
        scored += [of_crop for [of_crop] in predict_scores(model, class_inputs, batch)]
    placed = (new._replace(region=old.region, box=old.box) for new, (_, old) in zip(scored, crops, strict=True))
    return [[group if group.region is None else next(placed) for group in of_image] for of_image in maps]
