"""The toy world: a dataset that is drawn, not downloaded.

Its objects are made of parts; some of them are never labelled in training. Unseen objects share part names and looks
with seen ones (a wheel is a wheel), and two part names belong to unseen objects only. Each image depends on nothing but
the seed, its split and its number.
"""

from __future__ import annotations

import io
import random
from collections import Counter
from typing import Any

import numpy as np
from PIL import Image

from ..taxonomy import TOY_WORLD, PartTaxonomy
from .drawing.scene import Scene, draw_scene

SPLIT_SIZES = {"train": 2000, "validation": 300}
SHOTS = 16


def draw(
    split: str,
    number: int,
    seed: int = 0,
    close_up: bool = False,
    incomplete: bool = False,
    taxonomy: PartTaxonomy = TOY_WORLD,
) -> Scene:
    """Draws one image; those of different splits, whatever they are called, are independent.

    `close_up` shows a piece of a single object that is larger than the image, `incomplete` only one to three parts of
    each object, as in an image of spare parts. `taxonomy` names the drawn objects.
    """
    rng = random.Random(f"{taxonomy.name}/{seed}/{split}/{number}")
    return draw_scene(rng, taxonomy, close_up, incomplete)


def row(split: str, number: int, seed: int = 0, taxonomy: PartTaxonomy = TOY_WORLD) -> dict[str, Any]:
    """Draws one image as a row of the semantic layout; image and maps are PNG files."""
    scene = draw(split, number, seed, taxonomy=taxonomy)
    objects = _ids(scene.object_map)
    return {
        "image_id": image_id(split, number),
        "image": _png(scene.image),
        "object_map": _png(Image.fromarray(scene.object_map)),
        "part_map": _png(Image.fromarray(scene.part_map)),
        "objects": objects,
        "object_parts": [_ids(scene.part_map[scene.object_map == i]) for i in objects],
        "parts": _ids(scene.part_map),
    }


def image_id(split: str, number: int) -> str:
    """The name of an image, e.g. "train_00042"."""
    return f"{split}_{number:05d}"


def few_shot_image_ids(
    count: int = SPLIT_SIZES["train"], shots: int = SHOTS, seed: int = 0, taxonomy: PartTaxonomy = TOY_WORLD
) -> list[str]:
    """The few-shot training images: in order, each that shows a part class still short of `shots` images."""
    taken: Counter[int] = Counter()
    chosen = []
    for number in range(count):
        parts = _ids(draw("train", number, seed, taxonomy=taxonomy).part_map)
        if any(taken[part] < shots for part in parts):
            taken.update(parts)
            chosen.append(image_id("train", number))
    return chosen


def _ids(label_map: np.ndarray) -> list[int]:
    return [int(i) for i in np.unique(label_map) if i != TOY_WORLD.ignore_index]


def _png(image: Image.Image) -> dict[str, Any]:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return {"bytes": buffer.getvalue(), "path": None}
