"""What the web page does, without the page."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ..errors import OVPartsError
from ..inference.advice import is_toy as _is_toy
from ..inference.result import PartSegmentation
from ..inference.segmenter import PartSegmenter
from ..inference.visualization import hex_colors
from ..taxonomy import split_part_class
from ..taxonomy.vocabulary import parse_parts
from ..toy.world import TOY_WORLD, draw
from ..utils.deadline import check_deadline
from ..utils.files import template_environment
from ..utils.images import image_dimensions, load_image
from .limits import Limits

EXAMPLES = (0, 13, 19, 16, 17, 12)
"""Numbers of toy-world images, of a split of their own."""
DOWNLOADS = {
    "Label map (PNG)": "label_map.png",
    "Masks (ZIP)": "masks.zip",
    "Scores, masks (JSON)": "parts.json",
    "Overlay (PNG)": "overlay.png",
}
"""Label on the page -> file."""
_ENLARGED = 4
_PAGES = template_environment("ovparts_hf.app", autoescape=True)


class Example(NamedTuple):
    """An image to try, the names of the objects in it, and the text that names their parts."""

    image: Image.Image
    name: str
    text: str


def find_parts(
    segmenter: PartSegmenter,
    path: str | Path | None,
    text: str | None,
    empty_background: bool = True,
    threshold: float | None = None,
    top_k: float | None = None,
    limits: Limits = Limits(),  # noqa: B008 (it is frozen)
) -> PartSegmentation:
    """Segments an uploaded file; an error's message is for the visitor and names no path of the server.

    None or 0 is no `threshold` and no `top_k`; without `empty_background` every pixel gets a part.
    """
    if path is None:
        raise OVPartsError("There is no image yet. Upload one, or pick an example.")
    parts = _read_parts(text or "", limits)
    try:
        _check_size(Path(path), len(parts), limits)
        image = load_image(Path(path), limits.pixels)
    except OVPartsError as error:
        raise OVPartsError(str(error).replace(str(path), "The file")) from error
    check_deadline()
    background, top_k = None if empty_background else False, int(top_k) if top_k else None
    return segmenter(image, parts, background=background, threshold=threshold or None, top_k=top_k)


def _read_parts(text: str, limits: Limits) -> list[str]:
    if len(text) > limits.characters:
        raise OVPartsError(f"The text has {len(text):,} characters; at most {limits.characters:,} are allowed.")
    parts = parse_parts(text)
    if len(parts) > limits.parts:
        raise OVPartsError(f"{len(parts)} parts are named; at most {limits.parts} are allowed. Ask in several rounds.")
    return parts


def _check_size(path: Path, parts: int, limits: Limits) -> None:
    width, height = image_dimensions(path)
    if max(width, height) > limits.side:
        raise OVPartsError(
            f"The image has {width} x {height} pixels; no side may have more than {limits.side:,}. Give a smaller one."
        )
    if width * height * parts > limits.scores:
        raise OVPartsError(
            f"{width} x {height} pixels with {parts} parts make {width * height * parts:,} scores; at most "
            f"{limits.scores:,} are allowed. Name fewer parts, or give an image of at most {limits.scores // parts:,} "
            "pixels."
        )


def table(result: PartSegmentation) -> str:
    """Parts with scores and areas as HTML, everything in it escaped; and the colors of the page's switches."""
    areas, pixels = result.areas(), result.label_map.size
    rows = [
        {"name": name, "color": color, "score": float(score), "area": areas[name], "share": areas[name] / pixels}
        for name, color, score in zip(result.classes, hex_colors(result.classes), result.scores)
    ]
    found = [row["color"] for row in rows if row["area"]]
    return _PAGES.get_template("app_table.html.j2").render(rows=rows, found=found)


def write_files(result: PartSegmentation, folder: Path) -> None:
    """Writes the files of `DOWNLOADS`."""
    result.save(folder)
    with zipfile.ZipFile(folder / "masks.zip", "w") as archive:
        for number, name in enumerate(result.found, start=1):
            check_deadline()
            png = io.BytesIO()
            Image.fromarray(result.mask(name)).save(png, format="PNG")
            archive.writestr(f"{number:03d}_{_file_name(name)}.png", png.getvalue())


def _file_name(name: str) -> str:
    """Letters, digits and "_" only, whatever a visitor has typed."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name.replace("'s ", " ")).strip("_")[:40] or "part"


def examples() -> list[Example]:
    """Drawings of the toy world, enlarged, with the parts of the objects in them."""
    parts = parts_by_object(TOY_WORLD.part_classes)
    found = []
    for number in EXAMPLES:
        scene = draw("app", number)
        size = (scene.image.width * _ENLARGED, scene.image.height * _ENLARGED)
        names = dict.fromkeys(figure.name for figure in scene.figures)
        text = "\n".join(f"{name}: {', '.join(parts[name])}" for name in names)
        found.append(Example(scene.image.resize(size, Image.Resampling.LANCZOS), ", ".join(names), text))
    return found


def parts_by_object(class_names: Sequence[str]) -> dict[str, list[str]]:
    """["dog's head", "dog's ear"] as {"dog": ["head", "ear"]}; free words belong to ""."""
    parts: dict[str, list[str]] = {}
    for name in class_names:
        object_name, part = split_part_class(name) if "'s " in name else ("", name)
        parts.setdefault(object_name, []).append(part)
    return parts


def is_toy(segmenter: PartSegmenter) -> bool:
    """Whether the model came with the library, and so knows drawings only."""
    return _is_toy(segmenter.model)
