"""The table as Markdown, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...evaluation.results import format_interval, format_p_value, markdown_table
from ..report import Section
from .summary import METRICS

TITLE = "Toy versions of all families at equal compute"

TEXT_COLUMNS = 2
"""The first columns of each table, which hold words."""
_HEADINGS = {"mIoU_seen": "seen", "mIoU_unseen": "unseen", "hIoU": "harmonic"}


def table_markdown(summary: Mapping[str, Any]) -> str:
    """`table.md`: how the table was made, and its sections."""
    parts = [f"# {TITLE}", introduction(summary)]
    for section in sections(summary):
        parts += [f"## {section.title}", section.text]
        if section.lines:
            parts.append(markdown_table([list(line) for line in section.lines], TEXT_COLUMNS))
    return "\n\n".join(parts) + "\n"


def sections(summary: Mapping[str, Any]) -> list[Section]:
    """Scores with intervals, compute, paired differences, and what is known of each row."""
    found = [
        Section("Scores", _SCORES, scores_lines(summary)),
        Section("Compute", _compute(summary), compute_lines(summary)),
    ]
    if len(summary["rows"]) > 1:
        best = summary["rows"][summary["best"]]
        text = _DIFFERENCES.format(title=best["title"], start=best["starts_from"])
        found.append(Section("Differences", text, differences_lines(summary)))
    notes = [
        [f"{row['title']}, from {row['starts_from']}", row["note"]] for row in summary["rows"].values() if row["note"]
    ]
    if notes:
        found.append(Section("What holds them back", _NOTES, [["model", "what is known"], *notes]))
    return found


_SCORES = (
    "IoU in percent on the 300 validation images of the toy world, objects given: mean over seeds, ± their standard "
    "deviation, and in brackets the 95 % interval of that mean, by a bootstrap over images."
)
_DIFFERENCES = (
    "Harmonic and unseen IoU less those of {title} (from {start}), the best row that learns no parts of unseen "
    "objects: means over seeds, paired over images, as by `ovparts compare`. Intervals and the first p cover the "
    "choice of images; p over seeds is that of a paired t-test of the runs."
)


_NOTES = "By short runs with seed 0; their numbers are in docs/training.md."


def scores_lines(summary: Mapping[str, Any]) -> list[list[str]]:
    """A line for each row: scores with deviation and interval."""
    lines = [["model", "starts from", *_HEADINGS.values()]]
    for row in summary["rows"].values():
        lines.append([row["title"], row["starts_from"], *(_score(row, key) for key in METRICS)])
    return lines


def compute_lines(summary: Mapping[str, Any]) -> list[list[str]]:
    """A line for each row: steps, images of a step, and CPU seconds."""
    lines = [["model", "starts from", "steps", "batch", "CPU s of training", "of prompts", "of scoring"]]
    for row in summary["rows"].values():
        spent = row["cpu_seconds"]
        seconds = ["-" if name not in spent else f"{spent[name]:.0f}" for name in ("training", "prompts", "scoring")]
        lines.append([row["title"], row["starts_from"], str(row["steps"]), str(row["batch_size"]), *seconds])
    return lines


def differences_lines(summary: Mapping[str, Any]) -> list[list[str]]:
    """A line for each row but the best: difference, interval and both p."""
    numbers = ["95 % interval", "p", "p over seeds"]
    lines = [["model", "starts from", "harmonic", *numbers, "unseen", *numbers]]
    for row in summary["rows"].values():
        if row["difference"] is None:
            continue
        cells = [cell for key in ("hIoU", "mIoU_unseen") for cell in _difference(row["difference"][key])]
        lines.append([row["title"], row["starts_from"], *cells])
    return lines


def _score(row: Mapping[str, Any], key: str) -> str:
    deviation = row["deviation"][key]
    spread = "" if deviation is None else f" ± {deviation:.1f}"
    return f"{row['mean'][key]:.1f}{spread} [{format_interval(row['interval'][key])}]"


def _difference(numbers: Mapping[str, Any]) -> list[str]:
    interval = f"{numbers['low']:+.1f} to {numbers['high']:+.1f}"
    ps = ("-" if numbers[key] is None else format_p_value(numbers[key]) for key in ("p_value", "p_over_seeds"))
    return [f"{numbers['second'] - numbers['first']:+.1f}", interval, *ps]


def introduction(summary: Mapping[str, Any]) -> str:
    """What all rows have in common."""
    seeds = sorted({seed for row in summary["rows"].values() for seed in row["seeds"]}, key=int)
    return (
        f"Written by `{summary['command']}`. Each row is a recipe of `ovparts_hf/toy` (docs/training.md) with a fixed "
        f"number of steps, which take about {summary['budget']} CPU seconds of training, prompts included, on the "
        f"machine by which they were chosen ({summary['budget_machine']}). Steps are fixed, so that the weights do not "
        f"depend on what else a machine does. Seeds: {', '.join(map(str, seeds))}. What CLIPSeg's decoder knows of "
        "whole objects comes with the library; others learn it first, see below. All rows start from the same toy "
        "CLIP, but for MaskFormer, which has none. They show what toy versions learn in so little time from 2,000 "
        "drawn images, not which model is better on photographs."
    )


def _compute(summary: Mapping[str, Any]) -> str:
    versions = summary["versions"]
    text = (
        f"Measured on {summary['machine']} with torch {versions.get('torch', 'unknown')}, one thread a process, "
        f"{summary['processes']} at a time; mean over seeds."
    )
    for spent in summary["pretraining"].values():
        text += (
            f" Before, {spent['title']} learned whole objects in {spent['cpu_seconds']:.0f} CPU seconds "
            f"({spent['steps']} steps), once for all seeds and rows that start from there."
        )
    return text
