"""Evaluation results and images as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from PIL import Image

from ..errors import ConfigurationError
from ..evaluation.results import COLUMNS, BenchmarkResult, format_interval, format_percent
from ..inference.visualization import comparison_panels, hex_colors
from ..taxonomy.tasks import TASKS
from ..utils.files import atomic_write, template_environment
from ..utils.resize import resize_nearest
from .paper import paper_tables, published
from .training_run import read_charts, read_samples

_LONGEST_SIDE = 480  # of an embedded image, in pixels
_HEADLINES = {
    "hIoU": {"hIoU": "Harmonic mean of seen and unseen", "mIoU_seen": "Seen objects", "mIoU_unseen": "Unseen objects"},
    "mIoU": {"mIoU": "All parts", "fwIoU": "All parts, weighted by frequency"},
}


@dataclass(frozen=True)
class GalleryItem:
    """One row of images; ids in the maps that are no class stay clear."""

    image: Image.Image
    truth: np.ndarray  # (H, W) integer class ids at the image's size
    prediction: np.ndarray  # likewise
    caption: str  # what it shows, e.g. "truck"
    iou: float | None = None  # of this record in percent; None or NaN: not shown


@dataclass(frozen=True)
class Gallery:
    """Rows of images under one heading."""

    title: str
    class_names: Sequence[str]  # in id order
    items: Sequence[GalleryItem] = ()
    note: str = ""  # below the heading


@dataclass(frozen=True)
class Section:
    """A table of text under a heading; the first of its lines is the header."""

    title: str
    text: str
    lines: Sequence[Sequence[str]] = ()


def write_report(
    path: str | Path,
    results: Sequence[BenchmarkResult],
    galleries: Sequence[Gallery] = (),
    commands: Sequence[str] = (),
    title: str = "Part segmentation report",
    labels: Sequence[str] | None = None,
    run: Path | None = None,
    sections: Sequence[Section] = (),
) -> None:
    """Writes one self-contained HTML file, without requests, about the first result; the others stand beside it.

    `run` is the folder of a training run whose curves and pictures are shown, too; `sections` come before the results.
    """
    if not results:
        raise ConfigurationError("A report needs at least one result; none was given.")
    labels = [result.model["name"] for result in results] if labels is None else list(labels)
    if len(labels) != len(results):
        raise ConfigurationError(f"{len(labels)} labels were given for {len(results)} results; give one for each.")
    details = _details(results)
    environment = _environment()
    script = environment.loader.get_source(environment, "sort.js")[0]
    html = environment.get_template("report.html.j2").render(
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        title=title,
        result=results[0],
        headline=_headline(results, labels),
        sections=sections,
        has_unseen=not all(row["seen"] for row in results[0].classes),
        columns=list(COLUMNS.values()),
        table=_table(results, labels, details),
        paper_tables=paper_tables(results, labels),
        paper_source=published()["source"],
        labels=list(zip(labels, details)),
        classes=_classes(results),
        breakdowns=results[0].breakdowns,
        extra_scores=_extra_scores(results, labels, details),
        galleries=[_gallery(gallery) for gallery in galleries],
        charts=[] if run is None else read_charts(run),
        samples=[] if run is None else read_samples(run),
        bars=_bars(results),
        other=labels[1] if len(results) > 1 else None,
        commands=commands,
        settings=_settings(results[0]),
    )
    with atomic_write(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _environment() -> Environment:
    environment = template_environment("ovparts_hf.reporting", autoescape=True)
    environment.filters["percent"] = lambda value: format_percent(value).replace("-", "–")
    environment.filters["number"] = lambda value: f"{value:.4g}"
    environment.filters["interval"] = lambda ends: format_interval(ends).replace("-", "–")
    return environment


def _headline(results: Sequence[BenchmarkResult], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The numbers that the task compares first, each with its value in the other results."""
    headings = [f"{label} ({detail})" if detail else label for label, detail in zip(labels, _details(results))]
    task = TASKS.get(results[0].task)
    names = _HEADLINES[task.headline if task else "hIoU"]
    return [
        {
            "key": key,
            "name": name,
            "value": results[0].metrics[key],
            "others": [(label, result.metrics[key]) for label, result in zip(headings[1:], results[1:])],
        }
        for key, name in names.items()
    ]


def _details(results: Sequence[BenchmarkResult]) -> list[str]:
    """Dataset, task, setting and completeness of each result; empty texts if they are all the same."""
    about = [", ".join(filter(None, (r.dataset["name"], r.task, r.setting, r.partial, r.unofficial))) for r in results]
    return about if len(set(about)) > 1 else [""] * len(results)


def _table(results: Sequence[BenchmarkResult], labels: Sequence[str], details: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "label": "" if position else label,
            "details": "" if position else detail,
            "flavour": flavour,
            "numbers": [numbers.get(key, math.nan) for key in COLUMNS],
            "intervals": [None if position else result.intervals.get(key) for key in COLUMNS],
            "first": not position,
        }
        for label, detail, result in zip(labels, details, results)
        for position, (flavour, numbers) in enumerate(result.numbers().items())
    ]


def _extra_scores(
    results: Sequence[BenchmarkResult], labels: Sequence[str], details: Sequence[str]
) -> dict[str, Any] | None:
    """Names and rows of the table of other papers' scores; None if no result has any."""
    found = [
        (label, detail, result.setting, result.metrics["extra_scores"])
        for label, detail, result in zip(labels, details, results)
        if "extra_scores" in result.metrics
    ]
    names = list(dict.fromkeys(name for *_, scores in found for name in scores))
    rows = [(*about, [scores.get(name, math.nan) for name in names]) for *about, scores in found]
    return {"names": names, "rows": rows} if found else None


def _classes(results: Sequence[BenchmarkResult]) -> list[dict[str, Any]]:
    """Every class with its IoU in each result and its strict IoU in the first."""
    ious = [result.metrics["IoU"] for result in results]
    ious.append(results[0].metrics.get("strict", results[0].metrics)["IoU"])
    return [{**row, "ious": [iou.get(row["name"], math.nan) for iou in ious]} for row in results[0].classes]


def _bars(results: Sequence[BenchmarkResult]) -> list[dict[str, Any]]:
    """Seen and unseen classes, grouped by object; the second result's IoU as a mark."""
    ious = results[0].metrics["IoU"]
    marks = results[1].metrics["IoU"] if len(results) > 1 else {}
    sections = []
    for seen, title in ((True, "Seen objects"), (False, "Unseen objects")):
        objects: dict[str, list[dict[str, Any]]] = {}
        for row in results[0].classes:
            if row["seen"] == seen:
                bar = {"part": row["part"], "iou": ious[row["name"]], "mark": marks.get(row["name"], math.nan)}
                objects.setdefault(row["object"], []).append(bar)
        if objects:
            sections.append({"title": title, "seen": seen, "objects": list(objects.items())})
    return sections


def _gallery(gallery: Gallery) -> dict[str, Any]:
    colors = hex_colors(gallery.class_names)
    items = []
    for item in gallery.items:
        panels = comparison_panels(*_shrink(item), gallery.class_names)
        present = sorted({*np.unique(item.truth).tolist(), *np.unique(item.prediction).tolist()})
        items.append(
            {
                "caption": item.caption,
                "iou": None if item.iou is None or math.isnan(item.iou) else item.iou,
                "panels": list(zip(("Image", "Ground truth", "Prediction"), map(_embed, panels))),
                "legend": [(gallery.class_names[i], colors[i]) for i in present if 0 <= i < len(colors)],
            }
        )
    return {"title": gallery.title, "note": gallery.note, "items": items}


def _shrink(item: GalleryItem) -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """Image and maps at no more than `_LONGEST_SIDE`, so that contours are drawn at the size they are shown at."""
    scale = min(1, _LONGEST_SIDE / max(item.image.size))
    width, height = (max(1, round(side * scale)) for side in item.image.size)
    maps = (resize_nearest(np.asarray(label_map), (height, width)) for label_map in (item.truth, item.prediction))
    return item.image.convert("RGB").resize((width, height)), *maps


def _embed(image: Image.Image) -> dict[str, Any]:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85, subsampling=0, optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return {"source": f"data:image/jpeg;base64,{data}", "width": image.width, "height": image.height}


def _settings(result: BenchmarkResult) -> list[tuple[str, dict[str, str]]]:
    groups = {
        "Run": {"task": result.task, "setting": result.setting, "seed": result.seed, "created": result.created},
        "Model": result.model,
        "Dataset": result.dataset,
        "Timings": {key: f"{value:.4g}" for key, value in result.timings.items()},
        "Hardware": result.hardware,
        "Versions": result.versions,
        "Configuration": result.config,
    }
    return [(name, {key: _text(value) for key, value in group.items()}) for name, group in groups.items() if group]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)
