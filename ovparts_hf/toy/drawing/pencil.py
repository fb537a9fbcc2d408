"""What the toy world is drawn with: colours by name, outlines, and a `Pencil` that collects coloured shapes with the
part that each belongs to.

Outlines are closed polygons as float arrays (n, 2), x to the right, y down.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

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


_ANGLES = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_QUARTER = _CIRCLE[:8:2]
_CORNERS = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=float)

_STEPS = np.linspace(0, 1, 5, endpoint=False)
_SPLINE = 0.5 * np.stack(  # Catmull-Rom weights of four neighbouring corners, (steps, 4)
    [
        -_STEPS + 2 * _STEPS**2 - _STEPS**3,
        2 - 5 * _STEPS**2 + 3 * _STEPS**3,
        _STEPS + 4 * _STEPS**2 - 3 * _STEPS**3,
        -(_STEPS**2) + _STEPS**3,
    ],
    axis=1,
)


def ellipse(x: float, y: float, radius_x: float, radius_y: float | None = None, angle: float = 0.0) -> np.ndarray:
    """Ellipse around (x, y), turned by `angle` degrees; a circle without `radius_y`."""
    points = _CIRCLE * (radius_x, radius_x if radius_y is None else radius_y)
    return (rotate(points, angle) if angle else points) + (x, y)


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> np.ndarray:
    """Axis-parallel rectangle with corners rounded by `radius`."""
    if radius <= 0:
        return np.array([[right, bottom], [left, bottom], [left, top], [right, top]], dtype=float)
    half = np.array([right - left, bottom - top]) / 2
    inner = np.maximum(half - radius, 0)
    corners = [rotate(_QUARTER, 90 * i) * radius + corner * inner for i, corner in enumerate(_CORNERS)]
    return np.concatenate(corners) + ((left + right) / 2, (top + bottom) / 2)


def limb(start: Sequence[float], end: Sequence[float], start_width: float, end_width: float) -> np.ndarray:
    """Straight strip from `start` to `end` with round ends; widths are full widths."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    turn = np.degrees(np.arctan2(*(end - start)[::-1]))
    arc = _CIRCLE[np.arange(-7, 8, 2)]
    return np.concatenate([end + rotate(arc, turn) * end_width / 2, start + rotate(arc, turn + 180) * start_width / 2])


def band(centre: Sequence[Sequence[float]], start_width: float, end_width: float) -> np.ndarray:
    """Smooth strip along a line of at least two points, e.g. a tail; widths are full widths."""
    centre = np.asarray(centre, dtype=float)
    along = np.gradient(centre, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    offset = normal * np.linspace(start_width, end_width, len(centre))[:, None] / 2
    return smooth(np.concatenate([centre + offset, (centre - offset)[::-1]]))


def smooth(corners: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """Closed Catmull-Rom curve through `corners`."""
    corners = np.asarray(corners, dtype=float)
    neighbours = np.stack([np.roll(corners, shift, axis=0) for shift in (1, 0, -1, -2)])
    return np.einsum("sk,knd->nsd", _SPLINE, neighbours).reshape(-1, 2)


def polygon(*corners: tuple[float, float]) -> np.ndarray:
    """Straight-edged polygon."""
    return np.array(corners, dtype=float)


def rotate(points: np.ndarray, angle: float) -> np.ndarray:
    """Turns points around the origin by `angle` degrees (clockwise on the screen, as y points down)."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return points @ np.array([[cos, sin], [-sin, cos]])


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
