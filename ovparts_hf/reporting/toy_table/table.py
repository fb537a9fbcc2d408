"""From rows and seeds to `table.json`, `table.md` and a report."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...data.preparation.repository import write_repository
from ...errors import ConfigurationError
from ...evaluation.bootstrap import RESULT_FILE
from ...evaluation.results import BenchmarkResult
from ...training.signals import TrainingInterrupted
from ...utils.arguments import check_not_negative, check_positive
from ...utils.files import atomic_write, public_name
from ...utils.locks import writer_lock
from ..report import write_report
from .document import TITLE, sections, table_markdown
from .jobs import PretrainingJob, RowJob, is_done
from .rows import chosen_rows, table_overrides, table_plan
from .side_by_side import carry_out
from .summary import summarise

logger = logging.getLogger(__name__)

TABLE, DOCUMENT = "table.json", "table.md"
SEEDS = (0, 1, 2)
_LOCK = ".lock"


def make_table(
    out: Path,
    rows: Sequence[str] | None = None,
    seeds: Sequence[int] = SEEDS,
    processes: int = 2,
    overrides: Sequence[str] = (),
    command: str = "ovparts demo --table",
) -> dict[str, Any]:
    """Trains toy versions of all families at equal compute, and compares them in one table.

    Runs that were finished with the same settings are not repeated, interrupted ones continue.

    Args:
        out: Folder of everything that is written: `data`, a folder for each row with one for each seed, `table.json`,
            `table.md` and `report/index.html`.
        rows: Names of the rows; None for all.
        seeds: Seeds of training.
        processes: Runs at the same time, each with one CPU thread.
        overrides: "key=value" for every recipe that has the key.
        command: What the table says it was made by.

    Returns:
        What `table.json` holds, see `summarise`.

    Raises:
        OVPartsError: Something cannot be used, and nothing has been written; or a run failed.
        TrainingInterrupted: SIGINT or SIGTERM was received; the same call continues.
    """
    from dataset_builders import ToyWorld

    chosen, changes = chosen_rows(rows), table_overrides(overrides)
    _check(seeds, processes)
    jobs = [RowJob(row, seed, out, changes) for seed in seeds for row in chosen]
    names = {row.pretraining for row in chosen if row.pretraining is not None}
    plan = table_plan()
    first = [PretrainingJob(plan["pretraining"][name], out, changes) for name in sorted(names)]
    waiting = [[job for job in stage if not is_done(job)] for stage in (first, jobs)]
    with writer_lock(out / _LOCK, out):
        if any(waiting):
            write_repository(ToyWorld(), out / "data", overwrite=True)
        _carry_out(waiting, len(first) + len(jobs), processes, out)
        summary = {
            "command": command,
            "budget": plan["budget"],
            "budget_machine": plan["machine"],
            "processes": processes,
            **summarise(jobs, first),
        }
        _write(out, summary, jobs)
    return summary


def _check(seeds: Sequence[int], processes: int) -> None:
    check_positive(processes=processes)
    for seed in seeds:
        check_not_negative(seed=seed)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigurationError(f"The seeds are {list(seeds)}; give one or more, each once.")


def _carry_out(stages: Sequence[Sequence[Any]], total: int, processes: int, out: Path) -> None:
    """One stage after the other: what rows start from must be there first."""
    done = total - sum(map(len, stages))
    with tqdm(total=total, initial=done, desc="Table", unit="run") as bar:
        try:
            for stage in stages:
                carry_out(stage, min(processes, max(1, len(stage))), bar)
        except TrainingInterrupted:
            logger.warning("The same command continues the table in %s.", out)
            raise


def _write(out: Path, summary: Mapping[str, Any], jobs: Sequence[RowJob]) -> None:
    with atomic_write(out / TABLE) as temporary:
        temporary.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with atomic_write(out / DOCUMENT) as temporary:
        temporary.write_text(table_markdown(summary), encoding="utf-8")
    _report(out, summary, jobs)


def _report(out: Path, summary: Mapping[str, Any], jobs: Sequence[RowJob]) -> None:
    """The table, and the first seed's result of each row, the best first."""
    shown = {job.row.name: job for job in reversed(jobs)}  # of the first seed
    names = sorted(shown, key=lambda name: -summary["rows"][name]["mean"]["hIoU"])
    names.remove(summary["best"])
    names.insert(0, summary["best"])
    results = [BenchmarkResult.from_json(shown[name].folder / RESULT_FILE) for name in names]
    labels = [f"{shown[name].row.title} from {shown[name].row.starts_from}, seed {shown[name].seed}" for name in names]
    root = Path(public_name(str(out)))
    folders = [root / shown[name].folder.relative_to(out) for name in names]
    commands = [str(summary["command"]), f"ovparts evaluate {folders[0]}/run/last {root}/data"]
    commands += [f"ovparts compare {folders[0]} {folder}" for folder in folders[1:]]
    run = shown[names[0]].folder / "run"
    page = out / "report" / "index.html"
    write_report(page, results, (), commands, TITLE, labels, run, sections(summary))
