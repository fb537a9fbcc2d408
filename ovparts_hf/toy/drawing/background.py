"""The background of toy images: a place with clutter that has no labels."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageDraw

from .pencil import COLOURS, Colour, box, ellipse, polygon, shade, smooth, vary

_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((120, 180, 236), (222, 238, 250)),
    ((250, 178, 130), (250, 226, 190)),
    ((150, 160, 190), (214, 216, 226)),
    ((50, 58, 104), (122, 112, 150)),
)
_GROUNDS: tuple[Colour, ...] = ((134, 184, 100), (206, 188, 140), (150, 150, 150), (96, 150, 178), (230, 234, 240))
_ROOMS: tuple[Colour, ...] = ((232, 220, 200), (190, 208, 206), (214, 190, 200), (176, 186, 164), (226, 226, 226))
_FLOORS: tuple[Colour, ...] = ((168, 128, 92), (196, 176, 150), (130, 120, 124))


def draw_background(rng: random.Random, width: int, height: int) -> Image.Image:
    """Draws an outdoor place or a room, RGB."""
    if rng.random() < 0.65:
        return _outdoors(rng, width, height)
    return _room(rng, width, height)


def _outdoors(rng: random.Random, width: int, height: int) -> Image.Image:
    top, bottom = rng.choice(_SKIES)
    image = _gradient(vary(rng, top, 0.1), vary(rng, bottom, 0.1), width, height)
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.4:
        x, y, radius = rng.uniform(0, 1), rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.1)
        _fill(pen, ellipse(x * width, y * height, radius * width), (255, 240, 190))
    for _ in range(rng.randint(0, 3)):
        _cloud(rng, pen, width, height)
    horizon = rng.uniform(0.5, 0.75)
    ground = vary(rng, rng.choice(_GROUNDS), 0.12)
    for _ in range(rng.randint(0, 2)):
        _hill(rng, pen, width, height, horizon, shade(ground, rng.uniform(0.75, 0.95)))
    _fill(pen, box(0, horizon * height, width, height), ground)
    for _ in range(rng.randint(0, 4)):
        _bush(rng, pen, width, height, horizon)
    for _ in range(rng.randint(0, 8)):
        _pebble(rng, pen, width, height, horizon, ground)
    return image


def _room(rng: random.Random, width: int, height: int) -> Image.Image:
    wall = vary(rng, rng.choice(_ROOMS), 0.12)
    image = _gradient(wall, shade(wall, 0.9), width, height)
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.4:
        step = rng.uniform(0.08, 0.2) * width
        for i in range(int(width / step) + 1):
            _fill(pen, box(i * step, 0, (i + 0.4) * step, height), shade(wall, 0.94))
    for _ in range(rng.randint(0, 3)):
        _frame(rng, pen, width, height)
    floor = vary(rng, rng.choice(_FLOORS), 0.15)
    horizon = rng.uniform(0.6, 0.8)
    _fill(pen, box(0, horizon * height, width, height), floor)
    _fill(pen, box(0, (horizon - 0.02) * height, width, horizon * height), shade(floor, 0.8))
    if rng.random() < 0.4:
        rug = vary(rng, COLOURS[rng.choice(tuple(COLOURS))], 0.1)
        x, y = rng.uniform(0.3, 0.7) * width, rng.uniform(horizon + 0.08, 1) * height
        _fill(pen, ellipse(x, y, 0.35 * width, 0.08 * height), rug)
    return image


def _gradient(top: Colour, bottom: Colour, width: int, height: int) -> Image.Image:
    ramp = np.linspace(0, 1, height)[:, None]
    column = (np.array(top) * (1 - ramp) + np.array(bottom) * ramp).astype(np.uint8)
    return Image.fromarray(column[:, None]).resize((width, height))


def _cloud(rng: random.Random, pen: ImageDraw.ImageDraw, width: int, height: int) -> None:
    x, y, size = rng.uniform(0, 1) * width, rng.uniform(0.05, 0.4) * height, rng.uniform(0.05, 0.1) * width
    for shift, scale in ((-0.9, 0.6), (0, 0.9), (0.9, 0.65)):
        _fill(pen, ellipse(x + shift * size, y, size * scale, size * scale * 0.7), (246, 248, 250))


def _hill(rng: random.Random, pen: ImageDraw.ImageDraw, width: int, height: int, horizon: float, fill: Colour) -> None:
    x, half, top = rng.uniform(0, 1), rng.uniform(0.3, 0.6), horizon - rng.uniform(0.08, 0.25)
    corners = [(x - half, horizon + 0.1), (x - half / 2, (top + horizon) / 2), (x, top), (x + half, horizon + 0.1)]
    _fill(pen, smooth(np.array(corners) * (width, height)), fill)


def _bush(rng: random.Random, pen: ImageDraw.ImageDraw, width: int, height: int, horizon: float) -> None:
    x, y, size = rng.uniform(0, 1) * width, horizon * height, rng.uniform(0.03, 0.08) * width
    green = vary(rng, (70, 130, 70), 0.25)
    if rng.random() < 0.5:
        _fill(pen, box(x - size * 0.2, y - size, x + size * 0.2, y + size * 0.4), vary(rng, (120, 84, 60), 0.15))
        _fill(pen, polygon((x - size, y - size * 0.6), (x, y - size * 3), (x + size, y - size * 0.6)), green)
    else:
        _fill(pen, ellipse(x, y - size * 0.3, size * 1.3, size), green)


def _pebble(
    rng: random.Random, pen: ImageDraw.ImageDraw, width: int, height: int, horizon: float, ground: Colour
) -> None:
    x, y, size = rng.uniform(0, 1) * width, rng.uniform(horizon, 1) * height, rng.uniform(0.008, 0.025) * width
    stone = rng.random() < 0.7
    fill = shade(ground, rng.uniform(0.7, 1.2)) if stone else vary(rng, COLOURS[rng.choice(tuple(COLOURS))], 0.1)
    _fill(pen, ellipse(x, y, size, size * 0.6), fill)


def _frame(rng: random.Random, pen: ImageDraw.ImageDraw, width: int, height: int) -> None:
    x, y = rng.uniform(0, 0.9) * width, rng.uniform(0, 0.4) * height
    wide, high = rng.uniform(0.08, 0.2) * width, rng.uniform(0.1, 0.25) * height
    _fill(pen, box(x, y, x + wide, y + high), vary(rng, (130, 100, 76), 0.2))
    edge = 0.1 * wide
    inner = vary(rng, COLOURS[rng.choice(tuple(COLOURS))], 0.2)
    _fill(pen, box(x + edge, y + edge, x + wide - edge, y + high - edge), inner)


def _fill(pen: ImageDraw.ImageDraw, points: np.ndarray, fill: Colour) -> None:
    pen.polygon(points.ravel().tolist(), fill=fill)
