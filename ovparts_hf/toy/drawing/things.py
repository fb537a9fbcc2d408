"""Vehicles of the toy world, facing right, its buildings and furniture."""

from __future__ import annotations

import numpy as np

from .pencil import Pencil, band, box, ellipse, limb, polygon, smooth

_GLEAM = (250, 252, 255)


def _pane(pen: Pencil, x: float, y: float, half: float) -> None:
    pen.draw("window", box(x - half, y - half, x + half, y + half))
    pen.detail("window", box(x - half * 0.75, y - half * 0.7, x - half * 0.2, y + half * 0.1), _GLEAM)


def _legs(pen: Pencil, left: float, right: float, top: float, bottom: float, width: float) -> None:
    """Four furniture legs, the far ones darker and shorter."""
    half, end = width / 2, bottom - 0.16
    for x in (left + 0.16, right + 0.14):
        pen.draw("leg", polygon((x - half, top), (x + half, top), (x + half, end), (x - half, end)), tone=0.75)
    for x in (left, right):
        pen.draw("leg", box(x - half, top, x + half, bottom))


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
    rim = polygon((-wide * 0.97, -0.2), (wide * 0.97, -0.2), (wide, -0.12), (-wide, -0.12))
    pen.draw("shade", rim, tone=0.8, outlined=False)


def house(pen: Pencil) -> None:
    """A house with a gable roof."""
    eaves, width = pen.between(-0.22, -0.08), pen.between(0.72, 0.86)
    if pen.chance(0.8):
        x = pen.between(0.3, 0.46)
        pen.draw("chimney", box(x - 0.13, pen.between(-0.98, -0.86), x + 0.13, eaves))
    pen.draw("wall", box(-width, eaves, width, 0.8))
    roof = polygon((-width - 0.18, eaves + 0.04), (pen.between(-0.3, 0.1), -0.86), (width + 0.18, eaves + 0.04))
    pen.draw("roof", roof)
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


_HUB = (206, 208, 210)


def _wheel(pen: Pencil, x: float, y: float, radius: float) -> None:
    pen.draw("wheel", ellipse(x, y, radius))
    pen.detail("wheel", ellipse(x, y, radius * 0.45), _HUB)


def _window(pen: Pencil, points: np.ndarray) -> None:
    pen.draw("window", points)
    centre = points.mean(axis=0)
    gleam = (points - centre) * (0.28, 0.5) + centre + (0.3 * (points[:, 0].min() - centre[0]), 0)
    pen.detail("window", gleam, _GLEAM)


def _door(pen: Pencil, left: float, top: float, right: float, bottom: float) -> None:
    pen.draw("door", box(left, top, right, bottom, 0.03))
    pen.detail("door", ellipse(right - 0.2 * (right - left), (top + bottom) / 2, 0.025), _GLEAM)


def car(pen: Pencil) -> None:
    """A car with one or two windows and often a door."""
    roof, back, front = pen.between(-0.62, -0.48), pen.between(-0.5, -0.25), pen.between(0.25, 0.45)
    outline = [(-0.98, 0.28), (-1, -0.05), (-0.62, -0.14), (back, roof), (front, roof), (front + 0.32, -0.12)]
    pen.draw("body", smooth([*outline, (0.96, -0.04), (1, 0.28), (0.5, 0.32), (-0.5, 0.32)]))
    middle = (back + front) / 2
    top = roof + 0.1
    _window(pen, polygon((back - 0.1, -0.14), (back + 0.06, top), (middle - 0.04, top), (middle - 0.04, -0.14)))
    _window(pen, polygon((middle + 0.05, -0.14), (middle + 0.05, top), (front - 0.03, top), (front + 0.18, -0.14)))
    if pen.chance(0.7):
        _door(pen, middle - 0.2, -0.1, middle + 0.2, 0.28)
    radius = pen.between(0.2, 0.26)
    _wheel(pen, -0.58, 0.32, radius)
    _wheel(pen, 0.6, 0.32, radius)


def bus(pen: Pencil) -> None:
    """A long box with a row of windows and often a door."""
    top = pen.between(-0.68, -0.5)
    pen.draw("body", box(-1, top, 1, 0.36, 0.12))
    with_door = pen.chance(0.8)
    count, right = pen.rng.randint(3, 4), 0.5 if with_door else 0.92
    width = (right + 0.92) / count
    for i in range(count):
        left = -0.92 + i * width
        _window(pen, box(left, top + 0.12, left + width * 0.82, top + 0.44, 0.03))
    if with_door:
        _door(pen, 0.54, top + 0.16, 0.86, 0.34)
    radius = pen.between(0.17, 0.22)
    _wheel(pen, -0.6, 0.37, radius)
    _wheel(pen, 0.34, 0.37, radius)


def truck(pen: Pencil) -> None:
    """A cargo body with a cab in front."""
    top, split = pen.between(-0.72, -0.5), pen.between(0.28, 0.4)
    pen.draw(None, box(-0.95, 0.24, 0.95, 0.36))
    pen.draw("body", box(-1, top, split - 0.04, 0.27, 0.04))
    roof = pen.between(-0.42, -0.3)
    pen.draw("cab", smooth([(split, 0.3), (split, roof), (0.72, roof), (0.84, -0.08), (1, 0), (1, 0.32), (0.7, 0.34)]))
    _window(pen, polygon((split + 0.12, -0.06), (split + 0.12, roof + 0.09), (0.68, roof + 0.09), (0.79, -0.06)))
    radius = pen.between(0.18, 0.22)
    for x in (-0.72, -0.26, 0.66) if pen.chance(0.5) else (-0.6, 0.66):
        _wheel(pen, x, 0.36, radius)


def train(pen: Pencil) -> None:
    """A steam engine."""
    top, chimney = pen.between(-0.68, -0.5), pen.between(0.5, 0.7)
    if pen.chance(0.85):
        height = pen.between(-0.66, -0.5)
        corners = [(chimney - 0.1, -0.1), (chimney - 0.17, height), (chimney + 0.17, height), (chimney + 0.1, -0.1)]
        pen.draw("chimney", polygon(*corners))
    pen.draw("body", box(-0.4, -0.22, 0.95, 0.32, 0.16))
    pen.draw("body", box(-1, top, -0.3, 0.32, 0.05), tone=0.92)
    pen.draw("body", box(-1.06, top - 0.06, -0.22, top + 0.06, 0.05), tone=0.8)
    _window(pen, box(-0.84, top + 0.16, -0.46, top + 0.5, 0.04))
    count = pen.rng.randint(3, 4)
    for x in np.linspace(-0.74, 0.72, count):
        _wheel(pen, float(x), 0.36, 0.2 if count == 3 else 0.17)


def plane(pen: Pencil) -> None:
    """An aeroplane in flight, seen from the side and a little from above."""
    lift = pen.between(0.5, 0.72)
    pen.draw("wing", polygon((-0.05, -0.08), (-0.42, -lift * 0.8), (-0.16, -lift * 0.8), (0.34, -0.08)), tone=0.85)
    pen.draw("tail", polygon((-0.96, -0.02), (-1.06, -lift), (-0.8, -lift), (-0.5, -0.05)))
    back = [(-1, -0.06), (-0.5, -0.2), (0.4, -0.22), (0.86, -0.1)]
    pen.draw("body", smooth([*back, (1, 0.06), (0.8, 0.17), (0.2, 0.2), (-0.5, 0.12)]))
    for x in np.linspace(-0.35, 0.7, pen.rng.randint(4, 5)):
        pen.draw("window", ellipse(float(x), -0.05, 0.075, 0.085))
    pen.draw("wing", polygon((-0.12, 0.08), (-0.56, lift), (-0.24, lift), (0.36, 0.1)))


def boat(pen: Pencil) -> None:
    """A sailing boat."""
    mast, top = pen.between(-0.12, 0.12), pen.between(-1, -0.85)
    pen.draw(None, box(mast - 0.03, top, mast + 0.03, 0.4))
    if pen.chance(0.8):
        tip = mast - pen.between(0.34, 0.46)
        pen.draw("flag", polygon((mast, top - 0.06), (tip, top + 0.06), (mast, top + 0.2)))
    top += 0.24
    pen.draw("sail", smooth([(mast + 0.06, top), (mast + 0.4, -0.2), (mast + 0.78, 0.26), (mast + 0.06, 0.26)]))
    if pen.chance(0.6):
        pen.draw("sail", smooth([(mast - 0.06, top + 0.16), (mast - 0.06, 0.26), (mast - 0.6, 0.26)]), tone=0.92)
    depth = pen.between(0.68, 0.8)
    pen.draw("hull", smooth([(-1, 0.34), (0, 0.38), (1, 0.3), (0.72, depth), (0, depth + 0.03), (-0.7, depth)]))
    pen.draw("hull", band([(-0.84, 0.5), (0, 0.53), (0.86, 0.47)], 0.06, 0.06), tone=0.75, outlined=False)
