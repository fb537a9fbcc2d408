"""The numbers of the table: means over seeds, confidence intervals, and paired differences from the best row."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import ttest_rel

from ...evaluation.bootstrap import COUNTS_FILE, RESULT_FILE, bootstrap, compare
from ...evaluation.results import BenchmarkResult
from ...metrics import ImageCounts
from ...taxonomy import TOY_WORLD
from .jobs import PretrainingJob, RowJob, read_record

METRICS = ("mIoU_seen", "mIoU_unseen", "hIoU")
_HEADLINE = "hIoU"


def summarise(
    jobs: Sequence[RowJob], pretraining: Sequence[PretrainingJob], samples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """What `table.json` holds, of jobs that are done.

    Returns:
        `rows`: for each row its `title`, `starts_from` and `note`, `steps`, `cpu_seconds` (mean over seeds, by what
        took them), `seeds` (the metrics of each, percent), `mean` and `deviation` over seeds (None for one seed),
        `interval` (95 %, over images, of that mean) and `difference` (of the mean from that of the row `best`, paired
        over images, with `p_over_seeds` of a t-test paired over seeds; None for that row). `best` has the highest
        hIoU of the rows that learn no parts of unseen objects. `pretraining`: title, steps and CPU seconds.
        `versions` and `machine`.
    """
    names = list(dict.fromkeys(job.row.name for job in jobs))
    of_row = {name: [job for job in jobs if job.row.name == name] for name in names}
    rows = {name: _row(group) for name, group in of_row.items()}
    counts = {name: _counts(group) for name, group in of_row.items()}
    fair = [name for name in names if not rows[name]["learns_unseen_parts"]] or names
    best = max(fair, key=lambda name: rows[name]["mean"][_HEADLINE])
    options = {"samples": samples, "seed": seed}
    for name in names:
        drawn = bootstrap(counts[name], TOY_WORLD.seen_part_ids, **options)
        rows[name]["interval"] = {key: list(drawn[key]) for key in METRICS}
        if name != best:
            rows[name]["difference"] = _difference(counts[best], counts[name], options)
            for key, numbers in rows[name]["difference"].items():
                numbers["p_over_seeds"] = _p_over_seeds(rows[best]["seeds"], rows[name]["seeds"], key)
    learned = {job.pretraining.name: _spent(job) for job in pretraining}
    versions = read_record(jobs[0])["versions"]
    return {"rows": rows, "best": best, "pretraining": learned, "versions": versions, "machine": processor()}


def _row(jobs: Sequence[RowJob]) -> dict[str, Any]:
    row, records = jobs[0].row, [read_record(job) for job in jobs]
    results = {job.seed: BenchmarkResult.from_json(job.folder / RESULT_FILE).metrics for job in jobs}
    seeds = {seed: {key: float(metrics[key]) for key in METRICS} for seed, metrics in results.items()}
    values = {key: [numbers[key] for numbers in seeds.values()] for key in METRICS}
    spent = [record["cpu_seconds"] for record in records]
    return {
        "title": row.title,
        "starts_from": row.starts_from,
        "learns_unseen_parts": row.learns_unseen_parts,
        "note": row.note,
        "steps": records[0]["steps"],
        "batch_size": records[0]["settings"]["batch_size"],
        "cpu_seconds": {key: mean(seconds[key] for seconds in spent) for key in spent[0]},
        "seeds": seeds,
        "mean": {key: mean(numbers) for key, numbers in values.items()},
        "deviation": {key: stdev(numbers) if len(numbers) > 1 else None for key, numbers in values.items()},
        "difference": None,
    }


def _spent(job: PretrainingJob) -> dict[str, Any]:
    record = read_record(job)
    return {"title": job.pretraining.title, "steps": record["steps"], "cpu_seconds": record["cpu_seconds"]["training"]}


def _counts(jobs: Sequence[RowJob]) -> list[ImageCounts]:
    return [ImageCounts.load(job.folder / COUNTS_FILE) for job in jobs]


def _difference(
    first: Sequence[ImageCounts], second: Sequence[ImageCounts], options: Mapping[str, int]
) -> dict[str, Any]:
    differences = compare(first, second, TOY_WORLD.seen_part_ids, **options)
    return {key: asdict(differences[key]) for key in METRICS}


def _p_over_seeds(first: Mapping[int, Any], second: Mapping[int, Any], key: str) -> float | None:
    """Of "runs with other seeds would not differ in the mean", two-sided; None if too few runs differ to tell."""
    values = [[seeds[seed][key] for seed in first] for seeds in (first, second)]
    p = float(ttest_rel(*values).pvalue) if len(first) > 1 else math.nan
    return None if math.isnan(p) else p


def processor() -> str:
    """The name of this machine's processor, as far as the operating system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
