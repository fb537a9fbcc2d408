"""`eval.yaml`, by which the Hub takes a dataset repository for a benchmark: its tasks, which results of models name.

The format is the Hub's: https://huggingface.co/docs/hub/eval-results.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from ..metrics.flavours import FLAVOURS
from ..taxonomy import PartTaxonomy
from ..taxonomy.tasks import TASKS, Setting, Task
from ..utils.files import atomic_write
from .dataset_card import FEW_SHOT_SHARDS, shard_paths, split_card

BENCHMARK_FILE = "eval.yaml"
FRAMEWORK = "ovparts_hf"
_DESCRIPTION = (
    "Open-vocabulary part segmentation: {parts} part classes of {objects} objects. A task is named "
    "<task>-<setting>-<definitions>; its value is {headlines}, in percent, of the whole evaluation by "
    "`ovparts evaluate --task <task> --setting <setting> --metrics <definitions>`."
)


def task_id(task: str, setting: str, flavour: str) -> str:
    """The name of a task, a setting and the definitions of its numbers in `eval.yaml`."""
    return f"{task}-{setting}-{flavour}"


def write_benchmark_file(folder: Path, taxonomy: PartTaxonomy) -> Path:
    """Writes the file of a prepared dataset, beside its card, and returns its path."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    title = split_card(card, str(folder / "README.md"))[0].get("pretty_name", taxonomy.name)
    few_shot = bool(shard_paths(folder, FEW_SHOT_SHARDS))
    path = folder / BENCHMARK_FILE
    with atomic_write(path) as temporary:
        temporary.write_text(render_benchmark_file(taxonomy, str(title), few_shot), encoding="utf-8")
    return path


def render_benchmark_file(taxonomy: PartTaxonomy, title: str, few_shot: bool) -> str:
    """The text of the file; tasks that a dataset lacks the parts or images for are left out."""
    tasks = [task for task in TASKS.values() if _fits(task, taxonomy, few_shot)]
    headlines = ", ".join(f"{task.headline} for {task.name}" for task in tasks)
    content = {
        "name": title,
        "description": _DESCRIPTION.format(
            parts=len(taxonomy.part_classes), objects=len(set(taxonomy.part_object_ids)), headlines=headlines
        ),
        "evaluation_framework": FRAMEWORK,
        "tasks": [
            {"id": name, "config": "default", "split": "validation"} for task in tasks for name in _task_ids(task)
        ],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _fits(task: Task, taxonomy: PartTaxonomy, few_shot: bool) -> bool:
    if task.headline == "hIoU":
        return 0 < len(taxonomy.seen_part_ids) < len(taxonomy.part_classes)
    return few_shot or task.train_config == "default"


def _task_ids(task: Task) -> Iterator[str]:
    for setting in Setting:
        for flavour in FLAVOURS.values():
            if setting is not Setting.PRED_ALL or flavour.pred_all is not None:
                yield task_id(task.name, setting.value, flavour.name)
