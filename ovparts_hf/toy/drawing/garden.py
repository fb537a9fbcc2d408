"""Objects of the toy garden, none of which the toy world has, nor any of their parts."""

from __future__ import annotations

import numpy as np

from .pencil import Pencil, band, box, ellipse, limb, polygon, rotate, smooth

_LIGHT = (248, 244, 232)
_DARK = (40, 34, 36)


def butterfly(pen: Pencil) -> None:
    """A butterfly from above, its wings spread."""
    reach, droop = pen.between(0.8, 1.0), pen.between(0.55, 0.75)
    for side in (-1, 1):
        hind = [(0.04, 0.05), (0.5, 0.04), (reach * 0.8, droop * 0.7), (0.42, droop), (0.08, 0.36)]
        pen.draw("hindwing", smooth([(side * x, y) for x, y in hind]))
        fore = [(0.04, 0.08), (0.2, -0.5), (reach * 0.8, -0.8), (reach, -0.3), (0.6, 0.08)]
        pen.draw("forewing", smooth([(side * x, y) for x, y in fore]))
        pen.detail("forewing", ellipse(side * reach * 0.7, -0.42, 0.1), _LIGHT)
    pen.draw("abdomen", ellipse(0, 0.06, 0.11, 0.5))


def flower(pen: Pencil) -> None:
    """A flower with a ring of petals."""
    centre, radius = pen.between(-0.5, -0.38), pen.between(0.3, 0.36)
    pen.draw("stem", band([(0, centre), (pen.between(-0.12, 0.12), 0.3), (0, 0.98)], 0.1, 0.12))
    for side in (-1, 1) if pen.chance(0.6) else (1,):
        base = pen.between(0.4, 0.66)
        leaf = [(0, base), (0.3, base - 0.3), (0.66, base - 0.34), (0.5, base - 0.02), (0.2, base + 0.06)]
        pen.draw("leaf", smooth([(side * x, y) for x, y in leaf]))
    count = pen.rng.randint(5, 7)
    for angle in np.arange(count) * 360 / count + pen.between(0, 60):
        pen.draw("petal", rotate(ellipse(0.34, 0, 0.27, radius * 0.55), angle) + (0, centre))
    pen.draw("disc", ellipse(0, centre, radius * 0.62))


def gnome(pen: Pencil) -> None:
    """A garden gnome."""
    wide, tip, hem = pen.between(0.4, 0.5), pen.between(-0.25, 0.25), pen.between(0.62, 0.72)
    for side in (-1, 1):
        pen.draw("boot", smooth([(side * 0.08, hem), (side * 0.42, hem), (side * 0.52, 0.94), (side * 0.08, 0.94)]))
    pen.draw("coat", smooth([(-0.28, -0.2), (0.28, -0.2), (wide + 0.08, hem), (0, hem + 0.08), (-wide - 0.08, hem)]))
    pen.draw(None, ellipse(0, -0.3, 0.27, 0.24))
    beard = [(-0.28, -0.3), (0, -0.2), (0.28, -0.3), (0.2, 0.1), (0, pen.between(0.28, 0.46)), (-0.2, 0.1)]
    pen.draw("beard", smooth(beard))
    pen.draw("hat", smooth([(-0.4, -0.38), (-0.24, -0.7), (tip, -1.05), (0.24, -0.7), (0.4, -0.38), (0, -0.44)]))


def mushroom(pen: Pencil) -> None:
    """A mushroom with a spotted cap."""
    rim, wide, thick = pen.between(-0.02, 0.14), pen.between(0.78, 0.95), pen.between(0.2, 0.28)
    pen.draw("stalk", smooth([(-thick, rim - 0.1), (thick, rim - 0.1), (thick * 1.25, 0.9), (-thick * 1.25, 0.9)]))
    top = pen.between(-0.86, -0.7)
    pen.draw("cap", smooth([(-wide, rim), (-wide * 0.75, top * 0.6), (0, top), (wide * 0.75, top * 0.6), (wide, rim)]))
    for x in (-0.42, 0.02, 0.44) if pen.chance(0.7) else ():
        pen.detail("cap", ellipse(x, pen.between(top * 0.55, top * 0.3), 0.1), _LIGHT)


def snail(pen: Pencil) -> None:
    """A snail that creeps to the right."""
    size, raised = pen.between(0.48, 0.58), pen.between(-0.1, 0.1)
    for x in (0.72, 0.9):
        pen.draw("feeler", limb((x - 0.04, raised + 0.1), (x + pen.between(-0.06, 0.1), raised - 0.42), 0.09, 0.13))
    neck = [(0.5, 0.3), (0.62, raised), (0.84, raised - 0.06), (1, raised + 0.16), (0.86, 0.62)]
    pen.draw("foot", smooth([(-1.0, 0.66), (-0.5, 0.42), (0.3, 0.42), *neck, (0.3, 0.72), (-0.6, 0.72)]))
    pen.draw("shell", ellipse(-0.12, 0.0, size))
    pen.detail("shell", ellipse(-0.08, 0.02, size * 0.55), _LIGHT)
    pen.draw("shell", ellipse(-0.05, 0.03, size * 0.36), tone=0.85)


def teapot(pen: Pencil) -> None:
    """A teapot that pours to the right."""
    wide, top = pen.between(0.52, 0.6), pen.between(-0.26, -0.16)
    pen.draw("handle", band([(-0.4, -0.16), (-0.86, -0.24), (-0.94, 0.22), (-0.4, 0.42)], 0.15, 0.15))
    spout = [(0.4, 0.1), (0.72, -0.04), (0.82, -0.36), (1.02, -0.4), (0.94, 0.08), (0.46, 0.46)]
    pen.draw("spout", smooth(spout))
    pen.draw("bowl", smooth([(-0.34, top), (0.34, top), (wide, 0.2), (0.36, 0.62), (-0.36, 0.62), (-wide, 0.2)]))
    pen.draw("lid", smooth([(-0.4, top + 0.02), (-0.26, top - 0.2), (0.26, top - 0.2), (0.4, top + 0.02)]))
    pen.draw("lid", ellipse(0, top - 0.26, 0.1), tone=0.85)


def tree(pen: Pencil) -> None:
    """A fruit tree."""
    spread, thick, top = pen.between(0.66, 0.84), pen.between(0.13, 0.19), pen.between(-1.0, -0.86)
    pen.draw("trunk", polygon((-thick, -0.1), (thick, -0.1), (thick * 1.5, 0.95), (-thick * 1.5, 0.95)))
    left = [(-0.3, 0.22), (-spread, 0.06), (-spread, -0.5), (-0.4, top + 0.1)]
    pen.draw("crown", smooth([*left, (0, top), *((-x, y) for x, y in reversed(left))]))
    for x in np.linspace(-0.42, 0.42, pen.rng.randint(3, 4)):
        pen.draw("fruit", ellipse(float(x), pen.between(-0.6, -0.06), 0.13))


def umbrella(pen: Pencil) -> None:
    """An open umbrella."""
    wide, rim, top = pen.between(0.82, 0.98), pen.between(-0.14, 0.0), pen.between(-0.9, -0.76)
    pen.draw("shaft", box(-0.05, top, 0.05, 0.66))
    pen.draw("grip", band([(0, 0.52), (0, 0.84), (0.16, 0.98), (0.32, 0.84)], 0.14, 0.14))
    scallops = [(x, rim - 0.1 * (i % 2)) for i, x in enumerate(np.linspace(wide, -wide, 7))]
    pen.draw("canopy", np.array([*_arch(wide, rim, top), *scallops]))
    stripe = [(-0.04, top + 0.06), (0.04, top + 0.06), (0.2, rim - 0.06), (-0.2, rim - 0.06)]
    pen.detail("canopy", polygon(*stripe), _LIGHT)
    pen.detail("canopy", ellipse(0, top, 0.05), _DARK)


def _arch(wide: float, rim: float, top: float) -> np.ndarray:
    """Half an ellipse over the rim, from left to right."""
    angles = np.linspace(np.pi, 2 * np.pi, 15)
    return np.stack([wide * np.cos(angles), rim + (rim - top) * np.sin(angles)], axis=1)
