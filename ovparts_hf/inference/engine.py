"""Running a model, to segment images or to evaluate it: from prepared images and competing classes to scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from ..errors import ConfigurationError
from ..models.modeling_utils import PartSegmentationModel
from ..models.post_processing import LabelMaps, ScoreMaps


class Request(NamedTuple):
    """One image, and which classes compete in it."""

    inputs: dict[str, torch.Tensor]  # what the model takes, with a batch dimension, see `prepare_image`
    candidates: Sequence[Sequence[int]]  # ids of competing classes, once for each object or once for the whole image
    include_none: bool = False  # whether "none" competes as well


def prepare_image(
    processor: LabelMaps, image: Image.Image, object_masks: np.ndarray | None = None, **options: Any
) -> dict[str, torch.Tensor]:
    """The model's inputs for an image and, if the model requires them, for the (objects, H, W) masks on it."""
    if object_masks is not None:
        options["object_masks"] = object_masks
    return dict(processor.image_processor([image], return_tensors="pt", **options))


@torch.no_grad()
def predict_scores(
    model: PartSegmentationModel, class_inputs: dict[str, torch.Tensor], requests: Sequence[Request]
) -> list[list[ScoreMaps]]:
    """The scores of each list of candidates of each image, at the size that the model chooses.

    Images of one shape go through the model together. `class_inputs` is what `model.encode_vocabulary` gives.
    """
    shapes = {request.inputs["pixel_values"].shape for request in requests}
    if model.requires_object_masks or len(shapes) > 1:
        return [maps for request in requests for maps in _predict(model, class_inputs, [request])]
    return _predict(model, class_inputs, requests)


def _predict(
    model: PartSegmentationModel, class_inputs: dict[str, torch.Tensor], requests: Sequence[Request]
) -> list[list[ScoreMaps]]:
    """Runs the model once. A row of its output is one image, or one object of the only image."""
    row_per_object = model.requires_object_masks
    rows = requests[0].candidates if row_per_object else [set().union(*request.candidates) for request in requests]
    if not any(rows):
        return [[ScoreMaps(torch.empty(0, 1, 1), ()) for _ in request.candidates] for request in requests]
    num_classes = len(next(iter(class_inputs.values())))
    class_mask = torch.zeros(len(rows), num_classes, dtype=torch.bool)  # on the CPU: see `forward`
    for row, ids in enumerate(rows):
        class_mask[row, list(ids)] = True

    inputs = {name: torch.cat([request.inputs[name] for request in requests]) for name in requests[0].inputs}
    outputs = model(
        **{name: _to_device(tensor, model) for name, tensor in inputs.items()},
        **class_inputs,
        class_mask=None if class_mask.all() else class_mask,
        include_none=any(request.include_none for request in requests),
    )
    score_maps: list[list[ScoreMaps]] = [[] for _ in requests]
    for number, request in enumerate(requests):
        for object_number, ids in enumerate(request.candidates):
            row = object_number if row_per_object else number
            logits = outputs.logits[row, list(ids)].float()
            if request.include_none:
                logits, ids = torch.cat([logits, outputs.none_logits[row].float()]), (*ids, -1)
            score_maps[number].append(ScoreMaps(logits, tuple(ids)))
    return score_maps


def _to_device(tensor: torch.Tensor, model: PartSegmentationModel) -> torch.Tensor:
    if model.device.type == "cuda":
        tensor = tensor.pin_memory()  # only then does the CPU go on while it is copied
    return tensor.to(model.device, model.dtype, non_blocking=True)


def check_whole_images(model: PartSegmentationModel) -> None:
    """Refuses a model that needs more than an image, namely the masks of objects."""
    if model.requires_object_masks:
        raise ConfigurationError(
            f"{type(model).__name__} requires the mask of each object, so it cannot segment whole images. Use the "
            "setting 'oracle_obj', or 'pred_obj' with the objects of another model."
        )
