"""Captions of toy images, which `pretrain_toy.py` trains on: what an image shows, never where."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ovparts_hf.toy.drawing.scene import Figure

_SEVERAL = frozenset({"wheel", "window", "leg"})
_BETWEEN = ("and", "beside", "next to", "with", "near")


def caption(figures: Sequence[Figure], rng: random.Random) -> str:
    """One sentence about an image, e.g. "a red bus with black wheels and a yellow door beside a grey dog".

    Args:
        figures: The image's objects.
        rng: Chooses which parts are mentioned, their order and the connecting words.
    """
    sentences = [_describe(figure, rng) for figure in figures]
    return f" {rng.choice(_BETWEEN)} ".join(sentences)


def phrases(figures: Sequence[Figure]) -> list[str]:
    """The short phrases of the fullest caption: "red bus", "bus"; for each part "black wheel", "bus wheel", "wheel".

    Returns:
        Phrases without repetition, in order of first appearance.
    """
    found: dict[str, None] = {}  # an ordered set
    for figure in figures:
        if figure.colour:
            found |= dict.fromkeys((f"{figure.colour} {figure.name}", figure.name))
        for part, colour in figure.parts.items():
            found |= dict.fromkeys((f"{colour} {part}", f"{figure.name} {part}", part))
    return list(found)


def _describe(figure: Figure, rng: random.Random) -> str:
    parts = rng.sample(list(figure.parts.items()), k=min(rng.randint(1, 3), len(figure.parts)))
    mentioned = [_mention(part, colour) for part, colour in parts]
    if not figure.colour:
        return " and ".join([*mentioned, f"part of a {figure.name}"])
    return " with ".join([_mention(figure.name, figure.colour), " and ".join(mentioned)])


def _mention(noun: str, colour: str) -> str:
    if noun in _SEVERAL:
        return f"{colour} {noun}s"
    return f"{'an' if colour == 'orange' else 'a'} {colour} {noun}"
