"""Animals of the toy world, facing right."""

from __future__ import annotations

from .pencil import Pencil, band, ellipse, limb, polygon, smooth

_WHITE = (250, 250, 248)
_DARK = (28, 24, 26)


def _eye(pen: Pencil, x: float, y: float, size: float) -> None:
    pen.detail("head", ellipse(x, y, size), _WHITE)
    pen.detail("head", ellipse(x + size * 0.25, y, size * 0.6), _DARK)


def _legs(pen: Pencil, back: float, front: float, top: float, bottom: float, width: float, far: bool) -> None:
    """Two legs that stand or walk; the far pair is darker and drawn behind the torso."""
    for x in (back, front):
        swing = pen.between(-0.12, 0.12)
        shift = -0.14 if far else 0.0
        leg = limb((x + shift, top), (x + shift + swing, bottom), width * 1.15, width * 0.85)
        pen.draw("leg", leg, tone=0.8 if far else 1.0)


def dog(pen: Pencil) -> None:
    """A dog with hanging ears."""
    width, bottom, up = pen.between(0.17, 0.22), pen.between(0.72, 0.86), pen.between(-0.62, -0.3)
    pen.draw("tail", band([(-0.6, -0.02), (-0.8, up * 0.5), (-0.88, up), (-0.84, up - 0.16)], 0.18, 0.1))
    _legs(pen, -0.42, 0.42, 0.2, bottom, width, far=True)
    back = [(-0.68, -0.1), (-0.3, -0.24), (0.3, -0.24), (0.56, -0.2)]
    pen.draw("torso", smooth([*back, (0.6, 0.2), (0.3, 0.34), (-0.3, 0.28), (-0.66, 0.24)]))
    _legs(pen, -0.46, 0.44, 0.2, bottom, width, far=False)
    y = pen.between(-0.58, -0.42)
    skull = [(0.3, y - 0.16), (0.56, y - 0.3), (0.8, y - 0.12)]
    pen.draw("head", smooth([*skull, (1.04, y + 0.02), (1, y + 0.2), (0.7, y + 0.26), (0.42, y + 0.24)]))
    pen.detail("head", ellipse(1.02, y + 0.05, 0.07), _DARK)
    _eye(pen, 0.72, y - 0.06, 0.065)
    hang = pen.between(0.2, 0.36)
    pen.draw("ear", smooth([(0.4, y - 0.26), (0.54, y - 0.12), (0.48, y + hang), (0.3, y + hang - 0.02), (0.24, y)]))


def cat(pen: Pencil) -> None:
    """A cat with pointed ears and a raised tail, looking at us."""
    width, bottom, bend = pen.between(0.15, 0.19), pen.between(0.68, 0.8), pen.between(-0.3, 0.2)
    pen.draw("tail", band([(-0.58, 0.1), (-0.84, -0.1), (-0.86, -0.5), (-0.86 + bend, -0.82)], 0.16, 0.12))
    _legs(pen, -0.4, 0.4, 0.2, bottom, width, far=True)
    back = [(-0.64, 0), (-0.3, -0.2), (0.2, -0.16), (0.5, -0.2)]
    pen.draw("torso", smooth([*back, (0.56, 0.2), (0.2, 0.34), (-0.3, 0.34), (-0.62, 0.28)]))
    _legs(pen, -0.44, 0.4, 0.2, bottom, width, far=False)
    x, y = pen.between(0.5, 0.6), pen.between(-0.48, -0.34)
    for side in (-1, 1):
        pen.draw("ear", polygon((x + side * 0.36, y - 0.1), (x + side * 0.33, y - 0.54), (x + side * 0.04, y - 0.22)))
    pen.draw("head", ellipse(x, y, 0.39, 0.34))
    for side in (-1, 1):
        _eye(pen, x + side * 0.15, y - 0.05, 0.075)
    pen.detail("head", polygon((x - 0.05, y + 0.08), (x + 0.05, y + 0.08), (x, y + 0.15)), (226, 120, 130))


def horse(pen: Pencil) -> None:
    """A horse with a mane along its neck."""
    width, bottom, nod = pen.between(0.14, 0.18), pen.between(0.88, 1.0), pen.between(-0.08, 0.12)
    pen.draw("tail", band([(-0.6, -0.12), (-0.84, 0.02), (-0.88, 0.4), (-0.8, 0.62)], 0.14, 0.2))
    _legs(pen, -0.44, 0.36, 0.1, bottom, width, far=True)
    back = [(-0.68, -0.12), (-0.4, -0.26), (0, -0.2), (0.4, -0.28)]
    pen.draw("torso", smooth([*back, (0.54, 0), (0.36, 0.24), (-0.2, 0.24), (-0.62, 0.2)]))
    _legs(pen, -0.46, 0.4, 0.1, bottom, width, far=False)
    y = -0.74 + nod
    mane = [(0.14, -0.1), (0.06, -0.4), (0.3, y - 0.12), (0.6, y - 0.2), (0.6, y + 0.1), (0.4, -0.14)]
    pen.draw("mane", smooth(mane))
    pen.draw("ear", polygon((0.46, y - 0.08), (0.5, y - 0.36), (0.64, y - 0.08)))
    neck = [(0.28, -0.1), (0.36, y + 0.16), (0.52, y - 0.12), (0.72, y - 0.1)]
    pen.draw("head", smooth([*neck, (1.02, y + 0.2), (0.96, y + 0.36), (0.7, y + 0.26), (0.6, -0.02)]))
    pen.detail("head", ellipse(0.95, y + 0.22, 0.03), _DARK)
    _eye(pen, 0.68, y + 0.04, 0.05)


def bird(pen: Pencil) -> None:
    """A song bird with raised or folded wing."""
    for x in (-0.08, 0.14):
        pen.draw(None, limb((x, 0.3), (x + 0.04, 0.72), 0.06, 0.06))
    spread = pen.between(-0.1, 0.2)
    pen.draw("tail", smooth([(-0.42, -0.02), (-1, spread - 0.12), (-1.06, spread + 0.14), (-0.44, 0.24)]))
    pen.draw("torso", ellipse(0, 0.06, 0.6, 0.4, pen.between(-16, 0)))
    y = pen.between(-0.42, -0.3)
    pen.draw("beak", polygon((0.72, y - 0.12), (1.06, y + 0.04), (0.7, y + 0.15)))
    pen.draw("head", ellipse(0.5, y, 0.3))
    _eye(pen, 0.6, y - 0.06, 0.07)
    if pen.chance(0.5):
        pen.draw("wing", smooth([(0.2, -0.02), (-0.1, -0.7), (-0.46, -0.86), (-0.36, -0.3), (-0.24, 0.12)]))
    else:
        pen.draw("wing", smooth([(0.26, -0.04), (0, -0.2), (-0.4, -0.04), (-0.66, 0.2), (-0.2, 0.3), (0.16, 0.2)]))


def duck(pen: Pencil) -> None:
    """A swimming duck with a long neck and a flat beak."""
    y, x = pen.between(-0.7, -0.56), pen.between(0.5, 0.58)
    pen.draw("tail", smooth([(-0.6, 0.1), (-1, -0.24), (-0.98, 0.02), (-0.8, 0.4), (-0.5, 0.4)]))
    tip = [(x + 0.42, y + 0.02), (x + 0.54, y + 0.1), (x + 0.4, y + 0.18)]
    pen.draw("beak", smooth([(x + 0.2, y - 0.08), *tip, (x + 0.18, y + 0.14)]))
    nape = [(x - 0.22, 0.14), (x - 0.2, y + 0.24), (x - 0.26, y), (x - 0.02, y - 0.26)]
    pen.draw("head", smooth([*nape, (x + 0.25, y - 0.06), (x + 0.14, y + 0.24), (x + 0.2, 0.16)]))
    _eye(pen, x + 0.06, y - 0.04, 0.06)
    back = [(-0.86, 0.04), (-0.3, 0), (0.3, 0.02), (0.72, -0.02)]
    pen.draw("torso", smooth([*back, (0.76, 0.36), (0.4, 0.58), (-0.3, 0.6), (-0.76, 0.4)]))
    pen.draw("wing", smooth([(0.34, 0.12), (-0.1, 0.02), (-0.66, pen.between(-0.1, 0.1)), (-0.3, 0.38), (0.16, 0.4)]))
