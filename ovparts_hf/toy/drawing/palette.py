"""Colours of the toy world by name, and which parts prefer which of them."""

from __future__ import annotations

import random

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (214, 52, 48),
    "orange": (240, 136, 42),
    "yellow": (246, 206, 62),
    "green": (72, 160, 76),
    "blue": (58, 112, 206),
    "purple": (138, 82, 176),
    "pink": (240, 146, 178),
    "brown": (136, 88, 54),
    "white": (242, 240, 234),
    "grey": (142, 146, 152),
    "black": (52, 50, 54),
}

_FUR = ("brown", "grey", "white", "black", "orange", "yellow")
_ANIMAL_PARTS = ("torso", "head", "ear", "leg", "tail", "mane", "wing")
_PREFERRED: dict[str, tuple[str, ...]] = {
    "wheel": ("black", "black", "grey", "brown", "blue", "red"),
    "window": ("blue", "blue", "white", "yellow", "black"),
    "beak": ("orange", "yellow", "red", "black"),
    "pole": ("grey", "black", "brown", "white"),
}


def pick_colour(rng: random.Random, part: str, kind: str) -> str:
    """Draws a colour name for a part of an object of this kind ("animal" or anything else)."""
    if part in _PREFERRED:
        return rng.choice(_PREFERRED[part])
    if kind == "animal" and part in _ANIMAL_PARTS and rng.random() < 0.75:
        return rng.choice(_FUR)
    return rng.choice(tuple(COLOURS))


def vary(rng: random.Random, colour: Colour, amount: float) -> Colour:
    """Moves brightness by up to `amount` (0 to 1) and every channel by a little."""
    factor = 1 + rng.uniform(-amount, amount)
    return shade(tuple(channel + rng.uniform(-8, 8) for channel in colour), factor)


def shade(colour: tuple[float, float, float], factor: float) -> Colour:
    """Multiplies a colour by `factor`, clipped to 0..255."""
    return tuple(min(255, max(0, round(channel * factor))) for channel in colour)
