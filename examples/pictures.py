"""Draws the pictures of README and docs with the toy model that comes with the library: docs/images/truck.png,
truck_parts.png and parts.png.

    python examples/pictures.py

Of the toy world's validation images that show an object, each picture has the one with the highest mean IoU over the
parts that are named. In `parts.png` the object is given as a mask, as in the benchmark's headline setting; for
`truck.png` nothing but words is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ovparts_hf import PartSegmentation, PartSegmenter
from ovparts_hf.inference.visualization import class_colors, comparison_panels
from ovparts_hf.taxonomy import TOY_WORLD
from ovparts_hf.toy.drawing.scene import Scene
from ovparts_hf.toy.world import SPLIT_SIZES, draw

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
TRUCK_PARTS = ("body", "wheel", "window")
GROUPS = {"Parts labelled in training": ("cat",), "Parts never labelled in training": ("bench", "truck", "castle")}
LEFT_OUT = ("horse", "duck")
"""The other objects whose parts were never labelled; their numbers are printed."""
WIDTH, GAP = 1660, 20  # pixels; shown at half of that, so that text stays sharp
_TEXT, _LINE, _SWATCH = 24, 34, 20
_INK, _PAPER, _RULE = (28, 30, 33), (255, 255, 255), (150, 153, 158)


class Example(NamedTuple):
    """An image, and what was found of one object in it."""

    number: int  # of the validation image
    object_name: str
    iou: float  # mean over the parts that occur, 0 to 1
    image: Image.Image
    result: PartSegmentation


def main() -> None:
    segmenter = PartSegmenter.from_pretrained()
    truck = _best(find_examples(segmenter, "truck", TRUCK_PARTS, with_mask=False))
    truck.image.save(IMAGES / "truck.png")
    truck.result.overlay(labels=True).save(IMAGES / "truck_parts.png")
    groups = {title: [_best(find_examples(segmenter, name)) for name in names] for title, names in GROUPS.items()}
    for name in LEFT_OUT:
        _best(find_examples(segmenter, name))
    compose(groups).save(IMAGES / "parts.png", optimize=True)


def _best(examples: Iterable[Example]) -> Example:
    best = max(examples, key=lambda example: example.iou)
    print(f"{', '.join(best.result.classes)}: validation image {best.number}, mean IoU {100 * best.iou:.1f} %")
    return best


def find_examples(
    segmenter: PartSegmenter,
    name: str,
    parts: Sequence[str] = (),
    with_mask: bool = True,
    count: int = SPLIT_SIZES["validation"],
) -> Iterator[Example]:
    """What is found of some parts of an object, or of all, in each of the first validation images that show it."""
    object_id = TOY_WORLD.object_classes.index(name)
    words = {name: list(parts) or [TOY_WORLD.part_name(part) for part in TOY_WORLD.parts_of(object_id)]}
    for number in range(count):
        scene = draw("validation", number)
        mask = scene.object_map == object_id
        if mask.any():
            result = segmenter(scene.image, words, object_masks={name: mask} if with_mask else None)
            yield Example(number, name, mean_iou(scene, result), scene.image, result)


def mean_iou(scene: Scene, result: PartSegmentation) -> float:
    """Over the classes of a result that the drawing shows, 0 to 1."""
    values = []
    for index, name in enumerate(result.classes):
        shown, found = scene.part_map == TOY_WORLD.part_classes.index(name), result.label_map == index
        if shown.any():
            values.append((shown & found).sum() / (shown | found).sum())
    return float(np.mean(values))


def compose(groups: dict[str, Sequence[Example]]) -> Image.Image:
    """Columns, each an image above what was found in it, its number and a legend; a title stands over each group."""
    examples = [example for group in groups.values() for example in group]
    ratios = [example.image.width / example.image.height for example in examples]
    height = round((WIDTH - GAP * (len(examples) - 1)) / sum(ratios))
    columns = [_column(example, height) for example in examples]
    top = _LINE + GAP
    width = sum(column.width for column in columns) + GAP * (len(columns) - 1)
    sheet = Image.new("RGB", (width, top + max(column.height for column in columns)), _PAPER)
    drawing, left = ImageDraw.Draw(sheet), 0
    for title, group in groups.items():
        start = left
        for _ in group:
            column = columns.pop(0)
            sheet.paste(column, (left, top))
            left += column.width + GAP
        drawing.text((start, 0), title, fill=_INK, font=_font())
        drawing.line((start, _LINE + 4, left - GAP - 1, _LINE + 4), fill=_RULE, width=3)
    return sheet


def _column(example: Example, height: int) -> Image.Image:
    names, nothing = example.result.classes, np.full_like(example.result.label_map, -1)
    plain, _, painted = comparison_panels(example.image, nothing, example.result.label_map, names)
    size = round(height * plain.width / plain.height), height
    parts = [(name.split("'s ")[1], tuple(color)) for name, color in zip(names, class_colors(names).tolist())]
    legend = _legend(f"{example.object_name}, mean IoU {100 * example.iou:.0f} %", parts, size[0])
    column = Image.new("RGB", (size[0], 2 * height + GAP // 2 + legend.height), _PAPER)
    for top, panel in ((0, plain), (height + GAP // 2, painted)):
        column.paste(panel.resize(size, Image.Resampling.LANCZOS), (0, top))
    column.paste(legend, (0, 2 * height + GAP // 2))
    return column


def _legend(title: str, entries: Sequence[tuple[str, tuple[int, ...]]], width: int) -> Image.Image:
    """A title, then swatches with names, over as many lines as they need."""
    places, x, line = [], 0, 1
    for name, color in entries:
        advance = _SWATCH + 8 + round(_font().getlength(name)) + 16
        if x and x + advance - 16 > width:
            x, line = 0, line + 1
        places.append((x, line * _LINE + 8, name, color))
        x += advance
    image = Image.new("RGB", (width, (line + 1) * _LINE + 8), _PAPER)
    drawing = ImageDraw.Draw(image)
    drawing.text((0, 6), title, fill=_INK, font=_font())
    for x, y, name, color in places:
        drawing.rectangle((x, y + 6, x + _SWATCH, y + 6 + _SWATCH), fill=color, outline=_INK)
        drawing.text((x + _SWATCH + 8, y), name, fill=_INK, font=_font())
    return image


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=_TEXT)


if __name__ == "__main__":
    main()
