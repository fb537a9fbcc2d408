"""Results beside the published numbers, in the layout of the paper's tables (OV-PARTS, NeurIPS 2023)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ..evaluation.results import BenchmarkResult

SETTINGS = {"oracle_obj": "Oracle-Obj", "pred_obj": "Pred-Obj"}
_KEYS = {"mIoU_seen": "Seen", "mIoU_unseen": "Unseen", "hIoU": "Harmonic"}


@dataclass(frozen=True)
class PaperRow:
    """One model."""

    model: str
    details: str  # backbone and what is fine-tuned, as the paper says it; empty for a result of ours
    published: bool  # whether the numbers are the paper's
    numbers: Sequence[float]  # in percent, in the order of the columns; NaN where unknown


@dataclass(frozen=True)
class PaperTable:
    """One table."""

    title: str
    groups: Sequence[tuple[str, Sequence[str]]]  # headings, with the headings of the columns below them
    rows: Sequence[PaperRow]  # results first, then the paper's


@cache
def published() -> dict[str, Any]:
    """The paper's numbers, as `paper_results.json` holds them."""
    return json.loads((resources.files(__package__) / "paper_results.json").read_text(encoding="utf-8"))


def paper_tables(results: Sequence[BenchmarkResult], labels: Sequence[str]) -> list[PaperTable]:
    """Puts results into the paper's tables; those of one label share a row, and empty tables are left out."""
    # Only numbers of these definitions, decoded as there, are comparable with the paper's.
    comparable = [
        (label, result)
        for label, result in zip(labels, results)
        if result.flavour == "ov_parts" and not result.unofficial
    ]
    tables = [_zero_shot(dataset, rows, comparable) for dataset, rows in published()["zero_shot"].items()]
    tables.append(_cross_dataset(comparable))
    return [table for table in tables if any(not row.published for row in table.rows)]


def _zero_shot(
    dataset: str, rows: Iterable[dict[str, Any]], results: Sequence[tuple[str, BenchmarkResult]]
) -> PaperTable:
    columns = [(setting, key) for setting in SETTINGS for key in _KEYS]
    found: dict[str, dict[Any, float]] = {}
    for label, result in results:
        if result.task == "zero_shot" and result.dataset["name"] == dataset and result.setting in SETTINGS:
            found.setdefault(label, {}).update({(result.setting, key): result.metrics[key] for key in _KEYS})
    paper_rows = [_published_row(row, [number for setting in SETTINGS for number in row[setting]]) for row in rows]
    groups = [(setting, list(_KEYS.values())) for setting in SETTINGS.values()]
    return PaperTable(f"Zero-shot, {dataset}", groups, [*_own_rows(found, columns), *paper_rows])


def _cross_dataset(results: Sequence[tuple[str, BenchmarkResult]]) -> PaperTable:
    facts = published()["cross_dataset"]
    roles = {"source": facts["train"], "target": facts["test"]}
    columns = [(role, setting) for role in roles for setting in SETTINGS]
    found: dict[str, dict[Any, float]] = {}
    for label, result in results:
        for role, dataset in roles.items():
            if result.task == "cross_dataset" and result.dataset["name"] == dataset and result.setting in SETTINGS:
                found.setdefault(label, {})[role, result.setting] = result.metrics["mIoU"]
    paper_rows = [_published_row(row, [row[role][setting] for role, setting in columns]) for row in facts["rows"]]
    groups = [(f"{role.title()}: {dataset}", list(SETTINGS.values())) for role, dataset in roles.items()]
    return PaperTable("Cross-dataset, mIoU", groups, [*_own_rows(found, columns), *paper_rows])


def _own_rows(found: dict[str, dict[Any, float]], columns: Sequence[Any]) -> list[PaperRow]:
    rows = {label: [numbers.get(column, math.nan) for column in columns] for label, numbers in found.items()}
    return [PaperRow(label, "", False, numbers) for label, numbers in rows.items()]


def _published_row(row: dict[str, Any], numbers: Sequence[float | None]) -> PaperRow:
    details = ", ".join(row[key] for key in ("backbone", "finetuning") if row.get(key))
    return PaperRow(row["model"], details, True, [math.nan if number is None else number for number in numbers])
