"""What the web page does, without the page."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from PIL import Image

from ..errors import OVPartsError
from ..inference.result import PartSegmentation
from ..inference.visualization import hex_colors
from ..taxonomy.vocabulary import Vocabulary, parse_parts
from ..utils.deadline import check_deadline
from ..utils.files import template_environment
from ..utils.images import image_dimensions, load_image
from .boxes import read_boxes
from .limits import Limits

DOWNLOADS = {
    "Label map (PNG)": "label_map.png",
    "Masks (ZIP)": "masks.zip",
    "Scores, masks (JSON)": "parts.json",
    "Overlay (PNG)": "overlay.png",
}
"""Label on the page -> file."""
_PAGES = template_environment("ovparts_hf.app", autoescape=True)


def find_parts(
    segmenter: Callable[..., PartSegmentation],
    path: str | Path | None,
    text: str | None,
    empty_background: bool = True,
    threshold: float | None = None,
    top_k: float | None = None,
    boxes: str | None = None,
    limits: Limits = Limits(),  # noqa: B008 (it is frozen)
) -> PartSegmentation:
    """Segments an uploaded file; an error's message is for the visitor and names no path of the server.

    None or 0 is no `threshold` and no `top_k`; without `empty_background` every pixel gets a part. `segmenter` is a
    `PartSegmenter`, or what calls one elsewhere.
    """
    if path is None:
        raise OVPartsError("There is no image yet. Upload one, or pick an example.")
    vocabulary = Vocabulary.of(_read_parts(text or "", limits))
    marked = read_boxes(boxes or "", vocabulary, limits)
    maps = len(vocabulary.classes)
    if marked is not None:  # each box has a mask, and scores of its object's parts
        maps = sum(len(places) * (1 + len(vocabulary.parts_of(name))) for name, places in marked.items())
    try:
        _check_size(Path(path), maps, limits)
        image = load_image(Path(path), limits.pixels)
    except OVPartsError as error:
        raise OVPartsError(str(error).replace(str(path), "The file")) from error
    check_deadline()
    options = {"threshold": threshold or None, "top_k": int(top_k) if top_k else None, "boxes": marked}
    background = None if empty_background else False
    return segmenter(image, list(vocabulary.classes), background=background, keep_ranking=True, **options)


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


def table(results: Mapping[str, PartSegmentation]) -> str:
    """Parts with scores and areas of each model as HTML, all escaped; and the colors of the page's switches."""
    colors: dict[str, str] = {}
    tables = {}
    for model, result in results.items():
        areas, pixels = result.areas(), result.label_map.size
        tables[model] = [
            {"name": name, "color": color, "score": float(score), "area": areas[name], "share": areas[name] / pixels}
            for name, color, score in zip(result.classes, hex_colors(result.classes), result.scores)
        ]
        colors |= {row["name"]: row["color"] for row in tables[model]}
    found = [colors[name] for name in found_by_any(results.values())]
    return _PAGES.get_template("app_table.html.j2").render(tables=tables, found=found)


def found_by_any(results: Iterable[PartSegmentation]) -> list[str]:
    """The classes that at least one of several results, which are of the same classes, has found, in their order."""
    results = list(results)
    return [name for name in results[0].classes if any(name in result.found for result in results)]


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
