"""Buildings and furniture of the toy world."""

from __future__ import annotations

import numpy as np

from .pencil import Pencil
from .shapes import box, ellipse, limb, polygon, smooth

_GLEAM = (250, 252, 255)


def _pane(pen: Pencil, x: float, y: float, half: float) -> None:
    pen.draw("window", box(x - half, y - half, x + half, y + half))
    pen.detail("window", box(x - half * 0.75, y - half * 0.7, x - half * 0.2, y + half * 0.1), _GLEAM)


def _legs(pen: Pencil, left: float, right: float, top: float, bottom: float, width: float) -> None:
    """Four furniture legs, the far ones darker and shorter."""
    for x, end, tone in ((left + 0.16, bottom - 0.16, 0.75), (right + 0.14, bottom - 0.16, 0.75)):
        pen.draw(
            "leg", polygon((x - width / 2, top), (x + width / 2, top), (x + width / 2, end), (x - width / 2, end)), tone
        )
    for x in (left, right):
        pen.draw("leg", box(x - width / 2, top, x + width / 2, bottom))


def _slats(pen: Pencil, left: float, top: float, right: float, bottom: float) -> None:
    """A back rest: one board, or several."""
    if pen.chance(0.5):
        pen.draw("back", box(left, top, right, bottom, 0.08))
        return
    pen.draw("back", box(left, top, right, top + 0.26, 0.05))
    for x in np.linspace(left + 0.07, right - 0.07, 3 if right - left < 1.2 else 5):
        pen.draw("back", box(x - 0.07, top + 0.1, x + 0.07, bottom), tone=0.92)


def chair(pen: Pencil) -> None:
    """A chair, a little from above."""
    top, seat, width = pen.between(-1, -0.85), pen.between(0.02, 0.14), pen.between(0.13, 0.18)
    _legs(pen, -0.48, 0.42, seat, 0.95, width)
    _slats(pen, -0.52, top, 0.5, seat + 0.02)
    pen.draw("seat", polygon((-0.6, seat + 0.22), (-0.46, seat - 0.08), (0.64, seat - 0.08), (0.56, seat + 0.22)))


def bench(pen: Pencil) -> None:
    """A wide garden bench."""
    top, seat, width = pen.between(-0.72, -0.56), pen.between(0.02, 0.12), pen.between(0.14, 0.18)
    _legs(pen, -0.84, 0.76, seat, 0.72, width)
    _slats(pen, -0.92, top, 0.96, seat + 0.02)
    pen.draw("seat", polygon((-1.02, seat + 0.24), (-0.9, seat - 0.06), (1.02, seat - 0.06), (0.94, seat + 0.24)))


def lamp(pen: Pencil) -> None:
    """A standing lamp."""
    pole, base, wide = pen.between(0.05, 0.08), pen.between(0.36, 0.5), pen.between(0.5, 0.68)
    pen.draw("pole", box(-pole, -0.2, pole, 0.86))
    pen.draw("base", smooth([(-base, 0.94), (-base * 0.8, 0.76), (0, 0.64), (base * 0.8, 0.76), (base, 0.94), (0, 1)]))
    narrow = pen.between(0.22, 0.4)
    pen.draw("shade", polygon((-narrow, -0.95), (narrow, -0.95), (wide, -0.12), (-wide, -0.12)))
    pen.draw(
        "shade", polygon((-wide * 0.97, -0.2), (wide * 0.97, -0.2), (wide, -0.12), (-wide, -0.12)), 0.8, outlined=False
    )


def house(pen: Pencil) -> None:
    """A house with a gable roof."""
    eaves, width = pen.between(-0.22, -0.08), pen.between(0.72, 0.86)
    if pen.chance(0.8):
        x = pen.between(0.3, 0.46)
        pen.draw("chimney", box(x - 0.13, pen.between(-0.98, -0.86), x + 0.13, eaves))
    pen.draw("wall", box(-width, eaves, width, 0.8))
    pen.draw(
        "roof", polygon((-width - 0.18, eaves + 0.04), (pen.between(-0.3, 0.1), -0.86), (width + 0.18, eaves + 0.04))
    )
    door = pen.between(-0.3, 0.3)
    pen.draw("door", box(door - 0.17, 0.22, door + 0.17, 0.8))
    pen.detail("door", ellipse(door + 0.1, 0.52, 0.03), _GLEAM)
    for x in (door - 0.42, door + 0.42):
        if abs(x) < width - 0.16 and pen.chance(0.9):
            _pane(pen, x, eaves + 0.38, 0.16)


def castle(pen: Pencil) -> None:
    """A wall with battlements between two roofed towers."""
    tower, top, wall = pen.between(0.24, 0.3), pen.between(-0.4, -0.25), pen.between(0, 0.14)
    if pen.chance(0.85):
        side = pen.rng.choice((-0.7, 0.7))
        pen.draw(None, limb((side, -1.1), (side, -0.8), 0.04, 0.04))
        pen.draw("flag", polygon((side, -1.14), (side - 0.42, -1.0), (side, -0.84)))
    pen.draw("wall", box(-0.6, wall, 0.6, 0.85))
    for x in np.linspace(-0.36, 0.36, 3):
        pen.draw("wall", box(x - 0.1, wall - 0.14, x + 0.1, wall + 0.02), outlined=False)
    for x in (-0.7, 0.7):
        pen.draw("wall", box(x - tower, top, x + tower, 0.85), tone=0.93)
        pen.draw("roof", polygon((x - tower - 0.1, top + 0.04), (x, top - 0.52), (x + tower + 0.1, top + 0.04)))
        _pane(pen, x, top + 0.36, 0.12)
    arch = pen.between(0.2, 0.26)
    pen.draw("door", smooth([(-arch, 0.84), (-arch, 0.42), (0, 0.26), (arch, 0.42), (arch, 0.84), (0, 0.85)]))
