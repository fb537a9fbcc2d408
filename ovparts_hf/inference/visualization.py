"""Label maps as images: stable colors, overlays with contours and a legend, truth beside prediction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np
from PIL import Image, ImageDraw

from ..errors import ConfigurationError, TaxonomyError
from ..taxonomy import split_part_class
from .captions import GAP, INK, LINE, OUTLINE, PAPER, Entry, draw_legend, font, shorten, write_labels

SMALLEST_SIDE = 320
"""Images whose long side is shorter (pixels) are enlarged by a whole factor before anything is drawn on them."""

SMALLEST_SPOT = 12
"""A class with fewer colored pixels in the drawing than this is marked in the legend."""

_HUES = 24
_LIGHTNESS_AND_CHROMA = ((0.72, 0.16), (0.55, 0.17), (0.86, 0.11))
_STEP, _LEAST_CHROMA = 0.02, 0.05  # of the grid of further colors, in OKLab
_DISTINCT = 0.18  # distance in OKLab beyond which two colors are told apart at a glance


def class_colors(class_names: Sequence[str]) -> np.ndarray:
    """A color for each class, uint8 (K, 3) RGB, that depends on the set of names only and that no other class has.

    The hue follows the part name, unless the color would be hard to tell from one that is taken; then it moves on.
    Where there are too many classes for that, colors are as far apart as they can be, those of one object's parts twice
    as far. Beyond 2,800 classes, colors repeat.
    """
    return _class_colors(tuple(class_names)).copy()


def overlay(
    image: Image.Image,
    label_map: np.ndarray,
    class_names: Sequence[str],
    alpha: float = 0.65,
    legend: bool = True,
    labels: bool = False,
    found: Collection[int] = (),
) -> Image.Image:
    """Paints a label map over its image.

    Args:
        image: Any mode.
        label_map: (H, W) integer class ids, same size as the image; every id outside 0..K-1 (-1, an ignore index)
            is none and stays clear.
        class_names: K names.
        alpha: Opacity of the paint, 0 to 1.
        legend: Whether the classes in the map are listed below the image; those too small to be seen are marked.
        labels: Whether names are written on the regions.
        found: Ids of classes that are listed though the map may have no pixel of them left, as after shrinking.

    Returns:
        RGB image, enlarged if smaller than `SMALLEST_SIDE`.

    Raises:
        ConfigurationError: Map and image differ in size, the map is not of integers, or alpha is out of range.
    """
    ids = _drawn_ids(image, _checked(image, label_map, alpha), class_names)
    painted = _paint(image, ids, class_names, alpha)
    if labels:
        write_labels(painted, ids, class_names)
    return stack([painted, _legend([ids], class_names, painted.width, found)]) if legend else painted


def comparison(
    image: Image.Image,
    truth: np.ndarray,
    prediction: np.ndarray,
    class_names: Sequence[str],
    alpha: float = 0.65,
    legend: bool = True,
    titles: tuple[str, str, str] = ("Image", "Ground truth", "Prediction"),
) -> Image.Image:
    """The image, its ground truth and a prediction side by side, with one legend.

    Args:
        image, truth, prediction, class_names, alpha: As for `overlay`.
        legend: Whether the classes in either map are listed below.
        titles: Written above the three.

    Returns:
        RGB image.

    Raises:
        ConfigurationError: As `overlay`.
    """
    panels = comparison_panels(image, truth, prediction, class_names, alpha)
    width, height = panels[0].size
    row = Image.new("RGB", (3 * width + 2 * GAP, height + LINE), PAPER)
    draw = ImageDraw.Draw(row)
    for i, (panel, title) in enumerate(zip(panels, titles)):
        left = i * (width + GAP)
        draw.text((left, 2), shorten(title, width), fill=INK, font=font())
        row.paste(panel, (left, LINE))
    if not legend:
        return row
    maps = [_drawn_ids(image, np.asarray(label_map), class_names) for label_map in (truth, prediction)]
    return stack([row, _legend(maps, class_names, row.width)])


def comparison_panels(
    image: Image.Image, truth: np.ndarray, prediction: np.ndarray, class_names: Sequence[str], alpha: float = 0.65
) -> tuple[Image.Image, Image.Image, Image.Image]:
    """The three images of `comparison` at equal size. Where a map has no label, the image retreats to a light gray."""
    maps = [_drawn_ids(image, _checked(image, each, alpha), class_names) for each in (truth, prediction)]
    painted = (_paint(image, ids, class_names, alpha, fade=0.6) for ids in maps)
    return _enlarge(image.convert("RGB")), *painted


def hex_colors(class_names: Sequence[str]) -> list[str]:
    """`class_colors` as "#rrggbb"."""
    return ["#" + bytes(color).hex() for color in class_colors(class_names).tolist()]


def all_classes_legend(class_names: Sequence[str], width: int) -> Image.Image:
    """The legend of all classes, which is the same for every image."""
    colors = class_colors(class_names).tolist()
    return draw_legend([Entry(name, tuple(color)) for name, color in zip(class_names, colors)], width)


def stack(images: Sequence[Image.Image]) -> Image.Image:
    """RGB images below each other, as one."""
    size = max(image.width for image in images), sum(image.height for image in images)
    result = Image.new("RGB", size, PAPER)
    top = 0
    for image in images:
        result.paste(image, (0, top))
        top += image.height
    return result


# ---- colors ----------------------------------------------------------------------------------------------------------


def _split(name: str) -> tuple[str, str]:
    try:
        return split_part_class(name)
    except TaxonomyError:
        return "", name  # free text counts as a part of one nameless object


@lru_cache(maxsize=8)
def _class_colors(class_names: tuple[str, ...]) -> np.ndarray:
    rgb, lab, hues = _palette()
    chosen: dict[tuple[str, str], int] = {}
    distance = np.full(len(lab), np.inf)  # of each color of the palette to those that are taken
    siblings = distance.copy()  # likewise to those of the same object
    last_object = None
    for object_name, part_name in sorted({_split(name) for name in class_names}):
        if object_name != last_object:
            siblings[:], last_object = np.inf, object_name
        color = _choose(crc32(part_name.encode()) % _HUES, hues, distance, siblings)
        to_this = np.linalg.norm(lab - lab[color], axis=1)
        distance, siblings = np.minimum(distance, to_this), np.minimum(siblings, to_this)
        chosen[object_name, part_name] = color
    return rgb[[chosen[_split(name)] for name in class_names]].reshape(-1, 3)


def _choose(hue: int, hues: np.ndarray, distance: np.ndarray, siblings: np.ndarray) -> int:
    """The main color nearest to a hue that differs enough from those taken, else the most different one of all."""
    turn = (hues[: len(_LIGHTNESS_AND_CHROMA) * _HUES] - hue) % _HUES
    order = np.argsort(np.minimum(turn, _HUES - turn), kind="stable")  # level by level at each hue
    enough = distance[order] >= _DISTINCT
    if enough.any():
        return int(order[enough.argmax()])
    return int(np.minimum(distance, siblings / 2).argmax())


@lru_cache(maxsize=1)
def _palette() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The main colors, each lightness in `_HUES` hues, then a grid of all: uint8 sRGB, float OKLab (N, 3) and hues."""
    angle = np.arange(_HUES) * 2 * np.pi / _HUES
    main = [
        np.stack([np.full(_HUES, light), chroma * np.cos(angle), chroma * np.sin(angle)], axis=1)
        for light, chroma in _LIGHTNESS_AND_CHROMA
    ]
    steps = np.arange(-0.3, 0.31, _STEP)
    grid = np.stack(np.meshgrid(np.arange(0.35, 0.92, 2 * _STEP), steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[np.hypot(grid[:, 1], grid[:, 2]) > _LEAST_CHROMA]
    linear = _linear_rgb(grid)
    lab = np.concatenate([*main, grid[((linear >= 0) & (linear <= 1)).all(axis=1)]])
    linear = np.clip(_linear_rgb(lab), 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    hues = np.round(np.arctan2(lab[:, 2], lab[:, 1]) / (2 * np.pi) * _HUES).astype(int) % _HUES
    return (encoded * 255).round().astype(np.uint8), lab, hues


def _linear_rgb(lab: np.ndarray) -> np.ndarray:
    """From OKLab by way of cone responses (Ottosson 2020, "A perceptual color space for image processing")."""
    to_cones = np.array([[1, 0.39633778, 0.21580376], [1, -0.10556135, -0.06385417], [1, -0.08948418, -1.29148555]])
    to_rgb = np.array(
        [
            [4.07674166, -3.30771159, 0.23096993],
            [-1.26843800, 2.60975740, -0.34131940],
            [-0.00419609, -0.70341861, 1.70761470],
        ]
    )
    return (lab @ to_cones.T) ** 3 @ to_rgb.T


# ---- painting --------------------------------------------------------------------------------------------------------


def _checked(image: Image.Image, label_map: np.ndarray, alpha: float) -> np.ndarray:
    label_map = np.asarray(label_map)
    if label_map.shape != (image.height, image.width):
        raise ConfigurationError(
            f"The label map has shape {label_map.shape}, the image (height, width) {(image.height, image.width)}; "
            "they must be equal. Resize the map with ovparts_hf.utils.resize.resize_nearest."
        )
    if label_map.dtype.kind not in "iu":
        raise ConfigurationError(f"The label map is of dtype {label_map.dtype}; class ids must be integers.")
    if not 0 <= alpha <= 1:
        raise ConfigurationError(f"alpha is {alpha}; it must lie between 0 (no paint) and 1 (opaque).")
    return label_map


def _enlarge(image: Image.Image) -> Image.Image:
    factor = _factor(image)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC)


def _factor(image: Image.Image) -> int:
    return max(1, round(SMALLEST_SIDE / max(image.size)))


def _drawn_ids(image: Image.Image, label_map: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """int64 at the size of the drawing, -1 for everything that is no class."""
    ids = np.where((label_map >= 0) & (label_map < len(class_names)), label_map.astype(np.int64), -1)
    return ids.repeat(_factor(image), axis=0).repeat(_factor(image), axis=1)


def _paint(
    image: Image.Image, ids: np.ndarray, class_names: Sequence[str], alpha: float, fade: float = 0.0
) -> Image.Image:
    """Paint goes on a gray version of the image, so that a color means its class whatever was below it."""
    clear = np.asarray(_enlarge(image.convert("RGB")), dtype=np.float32)
    gray = np.asarray(_enlarge(image.convert("L")), dtype=np.float32)[..., None]
    paint = alpha * np.concatenate([class_colors(class_names), np.zeros((1, 3), dtype=np.uint8)])  # row -1: none
    around = clear * (1 - fade) + (0.5 * gray + 127.5) * fade if fade else clear
    pixels = np.where(ids[..., None] >= 0, gray * (1 - alpha) + paint[ids], around)
    contour = _contours(ids)
    pixels[contour] = 0.3 * pixels[contour] + 0.7 * np.array(OUTLINE)
    return Image.fromarray(pixels.round().astype(np.uint8))


def _contours(ids: np.ndarray) -> np.ndarray:
    """bool (H, W): pixels that differ from their right or lower neighbor."""
    edge = np.zeros(ids.shape, dtype=bool)
    edge[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    edge[:-1] |= ids[:-1] != ids[1:]
    return edge


def _legend(
    maps: Sequence[np.ndarray], class_names: Sequence[str], width: int, found: Collection[int] = ()
) -> Image.Image:
    """Of the classes in the drawn ids, and of those that were found, in their order."""
    seen = np.zeros(len(class_names), dtype=np.int64)
    present = set(found)
    for ids in maps:
        present |= set(np.unique(ids[ids >= 0]).tolist())
        colored = ids[(ids >= 0) & ~_contours(ids)]
        seen = np.maximum(seen, np.bincount(colored, minlength=len(class_names)))
    colors = class_colors(class_names).tolist()
    entries = [Entry(class_names[i], tuple(colors[i]), bool(seen[i] < SMALLEST_SPOT)) for i in sorted(present)]
    return draw_legend(entries, width)
