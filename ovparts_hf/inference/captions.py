"""Text in drawings: legends, and names written on regions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

INK, PAPER, OUTLINE = (28, 30, 33), (255, 255, 255), (20, 20, 24)
GAP, LINE = 8, 20  # pixels
_FAINT = (110, 113, 118)
_NARROWEST_LEGEND = 200
_SWATCH = 12
_SMALLEST_LABELLED = 120
"""A region with fewer pixels in the drawing gets no name."""

Box: TypeAlias = "tuple[float, float, float, float]"
"""Left, top, right and bottom in pixels."""


class Entry(NamedTuple):
    """A line of a legend; `is_faint` if its class can hardly be seen."""

    name: str
    color: tuple[int, int, int]
    is_faint: bool = False


@lru_cache(maxsize=1)
def font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Of all text."""
    return ImageFont.load_default(size=13)


def shorten(text: str, width: int) -> str:
    """`text`, or as much of its beginning as fits `width` pixels with an ellipsis."""
    if font().getlength(text) <= width:
        return text
    fitting = bisect_right(range(1, len(text) + 1), width, key=lambda count: font().getlength(text[:count] + "..."))
    return text[:fitting] + "..."


def draw_legend(entries: Sequence[Entry], width: int) -> Image.Image:
    """Swatches and names, flowing over as many lines as they need."""
    width = max(width, _NARROWEST_LEGEND)
    places, x, y = [], 0, GAP
    for name, color, is_faint in entries:
        text = shorten(f"{name} (too small to see)" if is_faint else name, width - _SWATCH - 6)
        advance = _SWATCH + 6 + int(font().getlength(text) + 0.5)
        if x and x + advance > width:
            x, y = 0, y + LINE
        places.append((x, y, text, color, _FAINT if is_faint else INK))
        x += advance + 14
    image = Image.new("RGB", (width, y + LINE if places else 0), PAPER)
    draw = ImageDraw.Draw(image)
    for x, y, text, color, ink in places:
        draw.rectangle((x, y + 2, x + _SWATCH, y + 2 + _SWATCH), fill=color, outline=OUTLINE)
        draw.text((x + _SWATCH + 6, y), text, fill=ink, font=font())
    return image


def write_labels(image: Image.Image, ids: np.ndarray, names: Sequence[str]) -> None:
    """Writes the name of its class on each region of a drawing whose pixels have these ids (H, W), -1 for none.

    The largest regions come first; a name that finds no free place near the middle of its region is left out.
    """
    draw = ImageDraw.Draw(image)
    taken: list[Box] = []
    for _, x, y, class_id in sorted(find_regions(ids), reverse=True):
        text = shorten(names[class_id], image.width)
        half = font().getlength(text) / 2 + 2
        x = min(max(x, half), max(image.width - half, half))
        for line in (0, -1, 1):
            middle = min(max(y + line * LINE, LINE / 2), max(image.height - LINE / 2, LINE / 2))
            box = (x - half, middle - LINE / 2, x + half, middle + LINE / 2)
            stays = line == 0 or ids[int(middle), int(x)] == class_id
            if stays and not any(_overlap(box, other) for other in taken):
                draw.text((x, middle), text, fill=INK, font=font(), anchor="mm", stroke_width=2, stroke_fill=PAPER)
                taken.append(box)
                break


def find_regions(ids: np.ndarray) -> Iterator[tuple[int, float, float, int]]:
    """Area, place well inside (x, y) and class of the regions that are large enough for a name."""
    for class_id, where in enumerate(ndimage.find_objects(ids + 1)):
        if where is None:
            continue
        regions, _ = ndimage.label(ids[where] == class_id)
        for number, (rows, columns) in enumerate(ndimage.find_objects(regions), start=1):
            mask = regions[rows, columns] == number
            area = int(np.count_nonzero(mask))
            if area >= _SMALLEST_LABELLED:
                depth = ndimage.distance_transform_edt(np.pad(mask, 1))
                row, column = np.unravel_index(depth.argmax(), depth.shape)
                left, top = where[1].start + columns.start, where[0].start + rows.start
                yield area, float(left + column - 1), float(top + row - 1), class_id


def _overlap(box: Box, other: Box) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
