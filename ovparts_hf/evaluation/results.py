"""What one evaluation produced: numbers, where they come from, and how to write them down."""

from __future__ import annotations

import csv
import json
import math
import platform
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..metrics import ImageCounts, PartSegmentationMetric
from ..metrics.breakdowns import confusions, mean_by, mean_iou_by_size
from ..metrics.flavours import FlavourName
from ..taxonomy import PartTaxonomy
from ..utils.files import atomic_write
from .stored_result import SCHEMA_VERSION, map_leaves, read_result

COLUMNS = {"mIoU": "mIoU", "mIoU_seen": "seen", "mIoU_unseen": "unseen", "hIoU": "harmonic", "fwIoU": "fwIoU"}
"""Metric keys in the order of tables, with their headings."""
_DECODINGS = {"rankseg": "RankSEG"}


def current_versions() -> dict[str, str]:
    """Versions of this library, of what it computes with, and of Python."""
    versions = {"ovparts_hf": sys.modules["ovparts_hf"].__version__, "python": platform.python_version()}
    for name in ("torch", "transformers", "datasets", "accelerate", "numpy", "pillow"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def describe_classes(taxonomy: PartTaxonomy, seen_ids: Iterable[int] | None = None) -> list[dict[str, Any]]:
    """`BenchmarkResult.classes` of a vocabulary; by default the taxonomy's own seen parts count as seen."""
    seen = set(taxonomy.seen_part_ids if seen_ids is None else seen_ids)
    return [
        {
            "name": name,
            "object": taxonomy.object_classes[taxonomy.object_of(i)],
            "part": taxonomy.part_name(i),
            "seen": i in seen,
        }
        for i, name in enumerate(taxonomy.part_classes)
    ]


def describe_breakdowns(
    metric: PartSegmentationMetric, classes: list[dict[str, Any]], images: ImageCounts | None = None
) -> dict[str, Any]:
    """`BenchmarkResult.breakdowns` of what was counted, without `sizes` if `images` is None."""
    numbers = metric.compute()
    iou = numbers.get("strict", numbers)["IoU"]
    breakdowns = {
        "objects": mean_by("object", iou, classes),
        "parts": mean_by("part", iou, classes),
        "confusions": confusions(metric.confusion_matrix, metric.class_names),
    }
    return breakdowns if images is None else {**breakdowns, "sizes": mean_iou_by_size(images)}


@dataclass
class BenchmarkResult:
    """The numbers of one evaluation with everything needed to tell what they mean.

    Attributes:
        metrics: What `PartSegmentationMetric.compute` returns: percent, NaN where undefined. If they were asked for,
            `extra_scores`: those of other papers by name (docs/scores.md).
        classes: A dict for each part class, in id order: `name` ("dog's ear"), `object` ("dog"), `part` ("ear") and
            `seen`.
        task: Name of the task, e.g. "zero_shot".
        setting: Name of the setting, e.g. "oracle_obj".
        dataset: `name`, `fingerprint`, `num_images`, `num_records`, and `total_images`, of which `num_images` were
            scored.
        model: `name` and `type`; `fingerprint` of the weights of a folder, `revision` of the Hub; and if it was trained
            here, `training_task`, `training_dataset` and `training_seen_classes`.
        seed: Random seed of the run.
        flavour: Whose definitions `metrics` follows, e.g. "ov_parts"; see docs/protocol.md.
        intervals: 95 % confidence intervals of numbers of `metrics`, by name: (low, high).
        breakdowns: Where the score comes from. `objects` and `parts`: strict mean IoU by object and by part name;
            `sizes`: of small, medium and large parts; `confusions`: the 20 most frequent pairs of a part and what it
            was taken for.
        config: All other options that the numbers depend on.
        hardware: What it ran on.
        timings: `seconds`, `images_per_second` and the like.
        versions: Of the library and what it computes with.
        created: UTC time, ISO 8601.
        schema_version: Of this layout.
    """

    metrics: dict[str, Any]
    classes: list[dict[str, Any]]
    task: str
    setting: str
    dataset: dict[str, Any]
    model: dict[str, Any]
    seed: int
    flavour: FlavourName = "ov_parts"
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    breakdowns: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=current_versions)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    schema_version: int = SCHEMA_VERSION

    def to_json(self, path: str | Path) -> None:
        """Writes everything as strict JSON; NaN becomes null. An existing file is replaced at once or not at all."""
        data = map_leaves(asdict(self), lambda leaf: None if isinstance(leaf, float) and math.isnan(leaf) else leaf)
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
        with atomic_write(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_json(cls, path: str | Path) -> BenchmarkResult:
        """Reads what `to_json` wrote, in this or an earlier layout; null among the numbers becomes NaN again.

        Raises:
            ConfigurationError: The file is not such a JSON, or of a newer layout.
        """
        return cls(**read_result(path))

    @property
    def partial(self) -> str:
        """How much was scored if that was not everything, as "1 of 4 images"; otherwise empty."""
        scored, total = (self.dataset.get(key) for key in ("num_images", "total_images"))
        return "" if total is None or scored == total else f"{scored} of {total} images"

    def caveats(self) -> list[str]:
        """A sentence each for what keeps the numbers from being the benchmark's: `partial`, `unofficial`."""
        found = {"Partial": self.partial, "Not official": self.unofficial}
        return [f"{name}: {text}." for name, text in found.items() if text]

    @property
    def unofficial(self) -> str:
        """Why the numbers are none of the benchmark, as "decoded by RankSEG"; otherwise empty."""
        decode = str(self.config.get("decode", ""))
        return f"decoded by {_DECODINGS.get(decode, decode)}" if decode else ""

    def numbers(self) -> dict[str, dict[str, Any]]:
        """The sets of numbers that `metrics` holds, by their label in tables.

        "official" stands for the benchmark's own definitions; "strict" and "boundary" follow if they were computed.
        """
        official = self.flavour == "ov_parts" and not self.unofficial
        label = "official" if official else self.flavour
        others: dict[str, dict[str, Any]] = {
            key: self.metrics[key] for key in ("strict", "boundary") if key in self.metrics
        }
        return {label: self.metrics, **others}

    def to_csv(self, path: str | Path) -> None:
        """Writes a line for each class: name, object, part, seen, IoU and, if computed, strict and boundary IoU.

        Percent, empty if undefined.
        """
        sets = self.numbers()
        headings = ["IoU", *(f"{label} IoU" for label in list(sets)[1:])]
        with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["name", "object", "part", "seen", *headings])
            for row in self.classes:
                ious = (numbers["IoU"][row["name"]] for numbers in sets.values())
                numbers = ("" if math.isnan(iou) else repr(iou) for iou in ious)
                writer.writerow([row["name"], row["object"], row["part"], str(row["seen"]).lower(), *numbers])

    def table(self, per_class: bool = False) -> str:
        """The numbers as a Markdown table that reads as plain text too.

        Args:
            per_class: Whether a second table lists every class.

        Returns:
            Lines without a final newline. Percent; "-" where undefined.
        """
        lines = [["IoU in percent", *COLUMNS.values()]]
        for label, numbers in self.numbers().items():
            lines.append([label, *(format_percent(numbers.get(key, math.nan)) for key in COLUMNS)])
        if self.intervals:
            intervals = (self.intervals.get(key, (math.nan, math.nan)) for key in COLUMNS)
            lines.insert(2, ["95 % interval", *map(format_interval, intervals)])
        tables = [markdown_table(lines)]
        if per_class:
            lines = [["class", "seen", *self.numbers()]]
            for row in self.classes:
                ious = (format_percent(numbers["IoU"][row["name"]]) for numbers in self.numbers().values())
                lines.append([row["name"], "yes" if row["seen"] else "no", *ious])
            tables.append(markdown_table(lines))
        if extra := self.metrics.get("extra_scores"):
            tables.append(markdown_table([["extra scores", *extra], ["", *map(format_percent, extra.values())]]))
        return "\n\n".join([*self.caveats(), *tables])


def format_percent(value: float) -> str:
    """A percentage with one decimal, or "-" for NaN."""
    return "-" if math.isnan(value) else f"{value:.1f}"


def format_interval(ends: Sequence[float]) -> str:
    """Two percentages as "33.1-35.2", or "-" for NaN."""
    return "-" if any(map(math.isnan, ends)) else "-".join(map(format_percent, ends))


def format_p_value(p: float) -> str:
    """ "0.012", or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def markdown_table(lines: list[list[str]], text_columns: int = 1) -> str:
    """Aligns cells; the first line is the header, and all columns but the first `text_columns` are flush right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    texts, numbers = widths[:text_columns], widths[text_columns:]
    rule = ["-" * width for width in texts] + ["-" * (width - 1) + ":" for width in numbers]
    rows = [
        [
            cell.ljust(width) if i < text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        ]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def _plain(value: Any) -> Any:
    """Values that JSON has no type for: numpy scalars as numbers, paths and the like as text."""
    return value.item() if hasattr(value, "item") else str(value)
