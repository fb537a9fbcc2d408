"""Label maps as images: stable colors, overlays with contours and a legend, truth beside prediction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import ConfigurationError, TaxonomyError
from ..taxonomy import split_part_class

SMALLEST_SIDE = 320
"""Images whose long side is shorter (pixels) are enlarged by a whole factor before anything is drawn on them."""

_HUES = 24
_LIGHTNESS_AND_CHROMA = ((0.72, 0.16), (0.55, 0.17), (0.86, 0.11))
_DISTINCT = 0.18  # distance in OKLab beyond which two colors are told apart at a glance
_INK, _PAPER, _CONTOUR = (28, 30, 33), (255, 255, 255), (20, 20, 24)
_GAP, _LINE, _NARROWEST_LEGEND = 8, 20, 200


def class_colors(class_names: Sequence[str]) -> np.ndarray:
    """A color for each class, uint8 (K, 3) RGB from a palette of 72, that depends only on its object's part names.

    The hue follows the part name, so "dog's ear" and "cat's ear" look alike, unless two parts of one object would be
    hard to tell apart; then one of them moves on. An object with the same parts has the same colors in every
    vocabulary.
    """
    objects: dict[str, dict[str, list[int]]] = {}
    for class_id, name in enumerate(class_names):
        object_name, part_name = _split(name)
        objects.setdefault(object_name, {}).setdefault(part_name, []).append(class_id)
    rgb, lab = _palette()
    colors = np.zeros((len(class_names), 3), dtype=np.uint8)
    for parts in objects.values():
        used: list[int] = []
        for part_name in sorted(parts):
            used.append(_choose(part_name, lab, used))
            colors[parts[part_name]] = rgb[used[-1]]
    return colors


def overlay(
    image: Image.Image, label_map: np.ndarray, class_names: Sequence[str], alpha: float = 0.65, legend: bool = True
) -> Image.Image:
    """Paints a label map over its image.

    Args:
        image: Any mode.
        label_map: (H, W) integer class ids, same size as the image; every id outside 0..K-1 (-1, an ignore index)
            is none and stays clear.
        class_names: K names.
        alpha: Opacity of the paint, 0 to 1.
        legend: Whether the classes in the map are listed below the image.

    Returns:
        RGB image, enlarged if smaller than `SMALLEST_SIDE`.

    Raises:
        ConfigurationError: Map and image differ in size, the map is not of integers, or alpha is out of range.
    """
    painted = _paint(image, _checked(image, label_map, alpha), class_names, alpha)
    return stack([painted, _legend([label_map], class_names, painted.width)]) if legend else painted


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
    row = Image.new("RGB", (3 * width + 2 * _GAP, height + _LINE), _PAPER)
    draw = ImageDraw.Draw(row)
    for i, (panel, title) in enumerate(zip(panels, titles)):
        left = i * (width + _GAP)
        draw.text((left, 2), _shorten(title, width), fill=_INK, font=_font())
        row.paste(panel, (left, _LINE))
    return stack([row, _legend([truth, prediction], class_names, row.width)]) if legend else row


def comparison_panels(
    image: Image.Image, truth: np.ndarray, prediction: np.ndarray, class_names: Sequence[str], alpha: float = 0.65
) -> tuple[Image.Image, Image.Image, Image.Image]:
    """The three images of `comparison` at equal size. Where a map has no label, the image retreats to a light gray."""
    maps = [_checked(image, label_map, alpha) for label_map in (truth, prediction)]
    painted = (_paint(image, label_map, class_names, alpha, fade=0.6) for label_map in maps)
    return _enlarge(image.convert("RGB")), *painted


def hex_colors(class_names: Sequence[str]) -> list[str]:
    """`class_colors` as "#rrggbb"."""
    return ["#" + bytes(color).hex() for color in class_colors(class_names).tolist()]


def stack(images: Sequence[Image.Image]) -> Image.Image:
    """RGB images below each other, as one."""
    size = max(image.width for image in images), sum(image.height for image in images)
    result = Image.new("RGB", size, _PAPER)
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


def _choose(part_name: str, lab: np.ndarray, used: list[int]) -> int:
    """The color nearest to the hue of a part name that differs enough from those used, else the most different one."""
    hue = np.arange(len(lab)) % _HUES
    turn = (hue - crc32(part_name.encode()) % _HUES) % _HUES
    order = np.argsort(np.minimum(turn, _HUES - turn), kind="stable")  # level by level at each hue
    if not used:
        return int(order[0])
    distance = np.linalg.norm(lab[:, None] - lab[used], axis=-1).min(axis=1)[order]
    enough = distance >= _DISTINCT
    return int(order[enough.argmax() if enough.any() else distance.argmax()])


@lru_cache(maxsize=1)
def _palette() -> tuple[np.ndarray, np.ndarray]:
    """Each lightness in `_HUES` hues: uint8 sRGB and float OKLab, both (N, 3), index = level * hues + hue."""
    angle = np.arange(_HUES) * 2 * np.pi / _HUES
    lab = np.concatenate(
        [
            np.stack([np.full(_HUES, light), chroma * np.cos(angle), chroma * np.sin(angle)], axis=1)
            for light, chroma in _LIGHTNESS_AND_CHROMA
        ]
    )
    # OKLab -> cone responses -> linear sRGB (Ottosson 2020, "A perceptual color space for image processing")
    to_cones = np.array([[1, 0.39633778, 0.21580376], [1, -0.10556135, -0.06385417], [1, -0.08948418, -1.29148555]])
    to_rgb = np.array(
        [
            [4.07674166, -3.30771159, 0.23096993],
            [-1.26843800, 2.60975740, -0.34131940],
            [-0.00419609, -0.70341861, 1.70761470],
        ]
    )
    linear = np.clip((lab @ to_cones.T) ** 3 @ to_rgb.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255).round().astype(np.uint8), lab


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


def _paint(
    image: Image.Image, label_map: np.ndarray, class_names: Sequence[str], alpha: float, fade: float = 0.0
) -> Image.Image:
    """Paint goes on a gray version of the image, so that a color means its class whatever was below it."""
    clear = np.asarray(_enlarge(image.convert("RGB")), dtype=np.float32)
    gray = np.asarray(_enlarge(image.convert("L")), dtype=np.float32)[..., None]
    ids = np.where((label_map >= 0) & (label_map < len(class_names)), label_map.astype(np.int64), -1)
    ids = np.kron(ids, np.ones((_factor(image), _factor(image)), dtype=np.int64))
    colors = np.concatenate([class_colors(class_names), np.zeros((1, 3), dtype=np.uint8)])  # row -1: none
    around = clear * (1 - fade) + (0.5 * gray + 127.5) * fade
    pixels = np.where(ids[..., None] >= 0, gray * (1 - alpha) + colors[ids] * alpha, around)
    contour = _contours(ids)
    pixels[contour] = 0.3 * pixels[contour] + 0.7 * np.array(_CONTOUR)
    return Image.fromarray(pixels.round().astype(np.uint8))


def _contours(ids: np.ndarray) -> np.ndarray:
    """bool (H, W): pixels that differ from their right or lower neighbor."""
    edge = np.zeros(ids.shape, dtype=bool)
    edge[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    edge[:-1] |= ids[:-1] != ids[1:]
    return edge


# ---- text ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=13)


def _shorten(text: str, width: int) -> str:
    """`text`, or as much of its beginning as fits `width` pixels with an ellipsis."""
    if _font().getlength(text) <= width:
        return text
    while text and _font().getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


def _legend(label_maps: Sequence[np.ndarray], class_names: Sequence[str], width: int) -> Image.Image:
    """Swatches and names of the classes that occur, in id order, flowing over as many lines as they need."""
    width = max(width, _NARROWEST_LEGEND)
    present = sorted({int(i) for label_map in label_maps for i in np.unique(label_map) if 0 <= i < len(class_names)})
    colors, swatch, places = class_colors(class_names), 12, []
    x, y = 0, _GAP
    for class_id in present:
        text = _shorten(class_names[class_id], width - swatch - 6)
        advance = swatch + 6 + int(_font().getlength(text) + 0.5)
        if x and x + advance > width:
            x, y = 0, y + _LINE
        places.append((x, y, text, tuple(colors[class_id].tolist())))
        x += advance + 14
    legend = Image.new("RGB", (width, y + _LINE if present else 0), _PAPER)
    draw = ImageDraw.Draw(legend)
    for x, y, text, color in places:
        draw.rectangle((x, y + 2, x + swatch, y + 2 + swatch), fill=color, outline=_CONTOUR)
        draw.text((x + swatch + 6, y), text, fill=_INK, font=_font())
    return legend
