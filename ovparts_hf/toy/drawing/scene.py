"""Composes one toy image: a background, one or two objects, and their label maps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ...taxonomy import PartTaxonomy
from . import animals, garden, things
from .background import draw_background
from .pencil import Pencil, Shape, rotate, shade

SIZES = ((160, 128), (160, 120), (144, 128), (176, 128))
_SUPERSAMPLING = 2
_SMALLEST_PART = 12  # pixels; a part with fewer is not named
Keys = dict[tuple[int, str | None], int]  # number of an object and its part -> value in the index; 0 is the background


@dataclass(frozen=True)
class ObjectClass:
    """How an object class is drawn."""

    draw: Callable[[Pencil], None]
    kind: str  # "animal", "vehicle" or "thing"
    main_part: str  # its colour is that of the object
    size: float = 0.42  # largest half width, as a share of the image's width, when it is alone
    tilt: float = 6.0  # largest rotation, degrees


OBJECTS: dict[str, ObjectClass] = {
    "bird": ObjectClass(animals.bird, "animal", "torso", 0.38, 12),
    "boat": ObjectClass(things.boat, "vehicle", "hull", 0.38, 8),
    "bus": ObjectClass(things.bus, "vehicle", "body", 0.44),
    "car": ObjectClass(things.car, "vehicle", "body", 0.44),
    "cat": ObjectClass(animals.cat, "animal", "torso", 0.4),
    "chair": ObjectClass(things.chair, "thing", "seat", 0.38),
    "dog": ObjectClass(animals.dog, "animal", "torso", 0.4),
    "house": ObjectClass(things.house, "thing", "wall", 0.42, 3),
    "lamp": ObjectClass(things.lamp, "thing", "shade", 0.36),
    "plane": ObjectClass(things.plane, "vehicle", "body", 0.44, 16),
    "train": ObjectClass(things.train, "vehicle", "body", 0.44, 4),
    "bench": ObjectClass(things.bench, "thing", "seat", 0.44),
    "castle": ObjectClass(things.castle, "thing", "wall", 0.4, 3),
    "duck": ObjectClass(animals.duck, "animal", "torso", 0.4, 8),
    "horse": ObjectClass(animals.horse, "animal", "torso", 0.4),
    "truck": ObjectClass(things.truck, "vehicle", "body", 0.44),
    "butterfly": ObjectClass(garden.butterfly, "thing", "forewing", 0.4, 16),
    "flower": ObjectClass(garden.flower, "thing", "petal", 0.4),
    "gnome": ObjectClass(garden.gnome, "thing", "coat", 0.4),
    "mushroom": ObjectClass(garden.mushroom, "thing", "cap", 0.38),
    "snail": ObjectClass(garden.snail, "thing", "shell", 0.42),
    "teapot": ObjectClass(garden.teapot, "thing", "bowl", 0.42),
    "tree": ObjectClass(garden.tree, "thing", "crown", 0.4),
    "umbrella": ObjectClass(garden.umbrella, "thing", "canopy", 0.4, 12),
}


@dataclass(frozen=True)
class Figure:
    """One object of an image, in words."""

    name: str
    colour: str | None  # of its main part; None if that cannot be seen
    parts: dict[str, str]  # the colours of those that can be seen, largest part first


@dataclass(frozen=True)
class Scene:
    """An image with its uint8 (H, W) maps of the taxonomy's object and part ids, and its objects from left to right."""

    image: Image.Image
    object_map: np.ndarray
    part_map: np.ndarray
    figures: tuple[Figure, ...]


def draw_scene(rng: random.Random, taxonomy: PartTaxonomy, close_up: bool = False, incomplete: bool = False) -> Scene:
    """Draws one or two objects of `taxonomy`, see `world.draw`; equal generator states give equal images."""
    width, height = rng.choice(SIZES)
    names = [rng.choice(taxonomy.object_classes) for _ in range(1 if close_up or rng.random() < 0.5 else 2)]
    zoom = rng.uniform(1.4, 2.4) if close_up else 1.0
    placed = [_place(rng, name, i, len(names), (width, height), zoom, incomplete) for i, name in enumerate(names)]
    large = (width * _SUPERSAMPLING, height * _SUPERSAMPLING)
    canvas = draw_background(rng, *large)
    index = Image.new("L", large, 0)
    keys: Keys = {(-1, None): 0}
    order = list(range(len(names)))
    rng.shuffle(order)
    for i in order:
        _paint(canvas, index, [(shape, keys.setdefault((i, shape.part), len(keys))) for shape in placed[i].shapes])
    image = canvas.reduce(_SUPERSAMPLING)
    label = np.asarray(index.resize((width, height), Image.Resampling.NEAREST))
    return _label(image, label, keys, names, placed, taxonomy)


def _place(
    rng: random.Random, name: str, slot: int, slots: int, size: tuple[int, int], zoom: float, incomplete: bool
) -> Pencil:
    """Draws an object, flips, turns and scales it, and moves it into its share of the image, in large pixels."""
    style = OBJECTS[name]
    pen = Pencil(rng, style.kind, style.main_part)
    style.draw(pen)
    if incomplete:
        parts = sorted(pen.colours)
        kept = set(rng.sample(parts, k=min(rng.choice((1, 1, 2, 3)), len(parts) - 1)))
        pen.shapes = [shape for shape in pen.shapes if shape.part in kept]
    scale = zoom * size[0] * style.size * (rng.uniform(0.72, 1.0) if slots == 1 else rng.uniform(0.5, 0.66))
    stretch = (scale * rng.choice((-1, 1)) * rng.uniform(0.92, 1.08), scale * rng.uniform(0.9, 1.05))
    tilt = rng.uniform(-style.tilt, style.tilt)
    points = rotate(np.concatenate([shape.points for shape in pen.shapes]) * stretch, tilt)
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.array(size) / (slots, 1)
    spare = room - (high - low)  # negative where it is too wide for its share: then it reaches into the other's
    across = rng.uniform(-0.1, 1.1) if spare[0] > 0 or slots == 1 else float(slot)
    points = (points - low + spare * (across, rng.uniform(0.3, 1.0)) + (slot * room[0], 0)) * _SUPERSAMPLING
    ends = np.cumsum([len(shape.points) for shape in pen.shapes])
    pieces = np.split(points, ends[:-1])
    pen.shapes = [Shape(p, shape.fill, shape.part, shape.outlined) for p, shape in zip(pieces, pen.shapes)]
    return pen


def _paint(canvas: Image.Image, index: Image.Image, shapes: list[tuple[Shape, int]]) -> None:
    colour, label = ImageDraw.Draw(canvas), ImageDraw.Draw(index)
    for shape, key in shapes:
        points = shape.points.ravel().tolist()
        colour.polygon(points, fill=shape.fill)
        label.polygon(points, fill=key)
        if shape.outlined:
            colour.line(points + points[:4], fill=shade(shape.fill, 0.62), width=_SUPERSAMPLING, joint="curve")


def _label(
    image: Image.Image, label: np.ndarray, keys: Keys, names: list[str], placed: list[Pencil], taxonomy: PartTaxonomy
) -> Scene:
    objects = np.full(len(keys), taxonomy.ignore_index, dtype=np.uint8)
    parts = objects.copy()
    visible: list[dict[str, int]] = [{} for _ in names]
    counts = np.bincount(label.ravel(), minlength=len(keys))
    for (i, part), value in list(keys.items())[1:]:
        objects[value] = taxonomy.object_classes.index(names[i])
        if part is not None:
            parts[value] = taxonomy.part_classes.index(f"{names[i]}'s {part}")
            visible[i][part] = int(counts[value])
    figures = tuple(_figure(name, pen, seen) for name, pen, seen in zip(names, placed, visible))
    return Scene(image, objects[label], parts[label], figures)


def _figure(name: str, pen: Pencil, pixels: dict[str, int]) -> Figure:
    visible = (part for part, count in pixels.items() if count >= _SMALLEST_PART)
    parts = {part: pen.colours[part] for part in sorted(visible, key=lambda part: -pixels[part])}
    return Figure(name, parts.get(pen.main_part), parts)
