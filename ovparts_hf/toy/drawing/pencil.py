"""Draws objects: a `Pencil` collects coloured shapes, each with the part that it belongs to."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from .palette import COLOURS, Colour, pick_colour, shade, vary


@dataclass(frozen=True)
class Shape:
    """One filled polygon: float points (n, 2), about -1 to 1 or, once placed, in pixels."""

    points: np.ndarray
    fill: Colour
    part: str | None  # None: it belongs to the object, but to none of its parts
    outlined: bool = True


@dataclass
class Pencil:
    """Draws one object: chooses a colour per part and collects shapes from back to front."""

    rng: random.Random
    kind: str  # "animal" prefers fur colours
    main_part: str  # whose colour is that of the object
    shapes: list[Shape] = field(default_factory=list)
    colours: dict[str, str] = field(default_factory=dict)
    _tones: dict[str, Colour] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._choose(self.main_part, pick_colour(self.rng, self.main_part, self.kind))

    def between(self, low: float, high: float) -> float:
        """A uniform random number."""
        return self.rng.uniform(low, high)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.rng.random() < probability

    def draw(self, part: str | None, points: np.ndarray, tone: float = 1.0, outlined: bool = True) -> None:
        """Adds a shape in its part's colour, made lighter or darker by `tone`; without a part it is dark grey."""
        fill = shade(self._tone(part) if part else (92, 84, 80), tone)
        self.shapes.append(Shape(points, fill, part, outlined))

    def detail(self, part: str, points: np.ndarray, fill: Colour) -> None:
        """Adds a decoration (an eye, a hub, a gleam) that belongs to `part` and has a colour of its own."""
        self.shapes.append(Shape(points, fill, part, outlined=False))

    def _tone(self, part: str) -> Colour:
        if part not in self._tones:
            own = self.rng.random() < (0.45 if self.kind == "animal" else 0.65)
            plain = self.colours[self.main_part]
            self._choose(part, pick_colour(self.rng, part, self.kind) if own else plain)
        return self._tones[part]

    def _choose(self, part: str, name: str) -> None:
        self.colours[part] = name
        self._tones[part] = vary(self.rng, COLOURS[name], 0.1)
