"""From facts to the settings of a training run, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .facts import DataFacts, MachineFacts, ModelFacts

FEW = 200
"""Labelled training images below which more is frozen and augmentation is stronger."""
LEAST_SCORED = 8
"""Validation images below which a score would be chance; training images are held out instead, if they are more."""
LEAST_FOR_STOPPING = 100
"""Labelled training images from which some can be spared to decide when to stop."""
_SMALL_MODEL = 20_000_000  # parameters
_STEPS_PER_ROOT = 70
_FEWEST_STEPS, _MOST_STEPS = 200, 20_000
_SCORED_SHARE = 0.2
_STOPPING_SHARE, _MOST_STOPPING = 0.1, 200
_EVALUATIONS, _PATIENCE = 20, 5
_CLASSES_PER_IMAGE = 12
_BATCH_SIZE = 8

Settings = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """A group of settings and the reason for them; without settings, something to be said."""

    topic: str
    reason: str
    settings: Settings


def choose_settings(
    data: DataFacts,
    model: ModelFacts,
    machine: MachineFacts,
    shots: int | None = None,
    shot_images: int | None = None,
    steps: int | None = None,
) -> list[Choice]:
    """The settings of a run, as fields of `TrainArguments`, in the order in which a person reads about them.

    Args:
        data: What there is to learn from.
        model: What training starts from.
        machine: Where it runs.
        shots: K of K-shot training, or None.
        shot_images: How many images that takes.
        steps: How many are given; None for what suits the number of images.
    """
    images = data.images if shot_images is None else shot_images
    scored = scored_on(data)
    held = scored.settings.get("held_out", 0.0)
    images = images if shots is not None else images - round(held * images)
    steps = steps or min(max(round(_STEPS_PER_ROOT * math.sqrt(images)), _FEWEST_STEPS), _MOST_STEPS)
    return [
        _task(data, shots),
        scored,
        _stopping(data, images, steps, shots, bool(held)),
        _trained(model, images),
        _length(model, images, steps),
        *_augmentation(data, model, images),
        *_classes(data),
        _machine(model, machine),
    ]


def _task(data: DataFacts, shots: int | None) -> Choice:
    if shots is not None:
        return Choice("task", f"few_shot: images drawn so that each part is in at least {shots}", {"task": "few_shot"})
    if data.has_unseen:
        return Choice("task", "zero_shot: the dataset keeps the parts of some objects for testing only", {})
    return Choice("task", f"supervised: all {data.parts} parts are learned", {"task": "supervised"})


def scored_on(data: DataFacts) -> Choice:
    """Which images are scored before and after training; `held_out` is a share of the training images, or missing."""
    if data.scored >= LEAST_SCORED:
        return Choice("scored on", f"the validation split ({data.scored} images), before and after training", {})
    found = f"the validation split has {data.scored} labelled image{'' if data.scored == 1 else 's'}"
    if data.has_unseen or round(_SCORED_SHARE * data.images) <= data.scored > 0:
        return Choice("scored on", f"{found}, which is few: the score is uncertain", {})
    reason = f"{_SCORED_SHARE:.0%} of the training images, which are held out, since {found}"
    return Choice("scored on", reason, {"held_out": _SCORED_SHARE})


def stopping_every(steps: int) -> int:
    """Steps between the evaluations that decide when to stop."""
    return max(1, steps // _EVALUATIONS)


def _stopping(data: DataFacts, images: int, steps: int, shots: int | None, is_held: bool) -> Choice:
    """Images that decide when to stop are never those that are scored."""
    always = {"eval_every": 0}
    if shots is not None:
        return Choice("early stopping", "none: K-shot training has no images to spare", always)
    if is_held:
        return Choice("early stopping", "none: the images that are held out are for the score", always)
    if data.has_unseen:
        return Choice(
            "early stopping", "none: training images show unseen objects, whose labels must not decide", always
        )
    if images < LEAST_FOR_STOPPING:
        return Choice("early stopping", f"none: of {images} images none can be spared to decide by", always)
    count = min(round(_STOPPING_SHARE * images), _MOST_STOPPING)
    reason = f"after {_PATIENCE} evaluations without gain on {count} training images that are held out for this alone"
    share = round(count / images, 4)
    return Choice(
        "early stopping", reason, {"held_out": share, "eval_every": stopping_every(steps), "patience": _PATIENCE}
    )


def _trained(model: ModelFacts, images: int) -> Choice:
    few = images < FEW
    trainable = model.trainable_with_few if few else model.trainable_with_many
    reason = f"{trainable}, the rest is frozen"
    if model.trainable_with_few != model.trainable_with_many:
        reason += f", as there are {'few' if few else 'many'} images"
    return Choice("trained", reason, {"trainable": trainable, **({"loss": "ce_dice"} if model.takes_dice else {})})


def _length(model: ModelFacts, images: int, steps: int) -> Choice:
    is_small = model.parameters < _SMALL_MODEL
    rate = 2e-3 if is_small else 1e-4
    times = steps * _BATCH_SIZE / max(1, images)
    reason = (
        f"{steps} of {_BATCH_SIZE} images, each of the {images} about {times:.3g} times; learning rate {rate:g}, cosine"
    )
    settings: Settings = {"steps": steps, "batch_size": _BATCH_SIZE, "learning_rate": rate, "schedule": "cosine"}
    if model.lr_multipliers and not is_small:
        factors = [f"{factor:g} times that for {name.rstrip('.')}" for name, factor in model.lr_multipliers.items()]
        reason += f"; {', '.join(factors)}, which is pretrained"
        settings["lr_multipliers"] = dict(model.lr_multipliers)
    return Choice("steps", reason, {**settings, "warmup_steps": steps // 20, "max_grad_norm": 1.0})


def _augmentation(data: DataFacts, model: ModelFacts, images: int) -> Iterator[Choice]:
    flip = 0.0 if data.is_sided else 0.5
    mirrored = "none is mirrored, as parts are called left and right" if data.is_sided else "half of them mirrored"
    side = model.side
    if images < FEW:
        edges = sorted({round(side * scale) for scale in (1.0, 1.15, 1.3, 1.5)})
        reason = f"crops of {side} pixels from images of {edges[0]} to {edges[-1]}, colours changed, {mirrored}"
        settings = {"crop_size": side, "short_edges": edges, "color_jitter": True}
    elif model.is_square:
        reason, settings = f"whole images, {mirrored}", {"short_edges": [side]}
    else:
        reason, settings = f"crops of {side} pixels, {mirrored}", {"crop_size": side, "short_edges": [side]}
    yield Choice("images", reason, {**settings, "max_size": 4 * max(settings["short_edges"]), "flip": flip})


def _classes(data: DataFacts) -> Iterator[Choice]:
    if data.parts > _CLASSES_PER_IMAGE:
        reason = f"{_CLASSES_PER_IMAGE} of {data.parts} per image: the parts of its objects and random others"
        yield Choice("classes", reason, {"classes_per_image": _CLASSES_PER_IMAGE})


def _machine(model: ModelFacts, machine: MachineFacts) -> Choice:
    is_small, on_cpu = model.parameters < _SMALL_MODEL, machine.device == "cpu"
    settings: Settings = {"mixed_precision": "no" if on_cpu or is_small else "bf16"}
    settings["workers"] = min(4, machine.cores - 1)
    if is_small:
        settings["threads"] = 1
    elif on_cpu:
        settings["micro_batch_size"] = 2
    if model.requires_object_masks:
        settings["level"] = "object"
    return Choice("machine", f"{machine.device}, {machine.cores} CPU cores", settings)
