"""Results as the Hub's leaderboards read them: `.eval_results/<dataset>.yaml` in a model's folder.

One entry stands for a task, a setting and the definitions of the numbers; the dataset's `eval.yaml` names them all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml, parse_eval_result_entries

from ...data.benchmark_file import FRAMEWORK, task_id
from ...errors import ConfigurationError
from ...evaluation.results import BenchmarkResult
from ...taxonomy.tasks import get_task
from ...utils.files import atomic_write
from .facts import DATASETS

FOLDER = ".eval_results"


def eval_result_entries(results: Sequence[BenchmarkResult]) -> dict[str, list[EvalResultEntry]]:
    """The entries by dataset. Of two results for one entry the newer counts.

    Only whole and official results of the benchmark's datasets have entries, of numbers that are defined.
    """
    entries: dict[str, dict[str, EvalResultEntry]] = {}
    for result in sorted(results, key=lambda result: result.created):
        name = result.dataset["name"]
        if name in DATASETS and not result.partial and not result.unofficial:
            entries.setdefault(name, {}).update({entry.task_id: entry for entry in _entries(result)})
    return {name: list(found.values()) for name, found in entries.items() if found}


def write_eval_results(folder: Path, results: Sequence[BenchmarkResult], overwrite: bool = False) -> list[Path]:
    """Writes a file for each dataset and returns their paths; one with others' entries is replaced by `overwrite` only.

    Raises:
        ConfigurationError: Such a file exists, and nothing was written.
    """
    entries = {folder / FOLDER / f"{name}.yaml": found for name, found in eval_result_entries(results).items()}
    for path in entries:
        if path.exists() and not overwrite and not _is_ours(path):
            advice = "Move it elsewhere, or overwrite it (--overwrite)."
            raise ConfigurationError(f"{path} exists and holds results that this library did not write. {advice}")
    for path, found in entries.items():
        text = yaml.safe_dump(eval_result_entries_to_yaml(found), sort_keys=False, allow_unicode=True, width=120)
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(entries)


def _entries(result: BenchmarkResult) -> Iterator[EvalResultEntry]:
    name, headline = result.dataset["name"], get_task(result.task).headline
    for label, numbers in result.numbers().items():
        flavour = result.flavour if label == "official" else label
        value = numbers.get(headline, math.nan)
        if label != "boundary" and not math.isnan(value):
            yield EvalResultEntry(
                dataset_id=f"ovparts/{name}",
                task_id=task_id(result.task, result.setting, flavour),
                value=round(value, 4),
                date=result.created,
                notes=f"{headline} in percent, {result.dataset.get('num_images', '?')} images, {FRAMEWORK} "
                f"{result.versions.get(FRAMEWORK, '?')}",
            )


def _is_ours(path: Path) -> bool:
    try:
        entries = parse_eval_result_entries(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError, KeyError, AttributeError, yaml.YAMLError):
        return False
    return all(FRAMEWORK in str(entry.notes) for entry in entries)
