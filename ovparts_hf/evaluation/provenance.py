"""Which model a result is of, what that was trained on, and whether a task fits it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from transformers import PreTrainedModel

from ..taxonomy import PartTaxonomy
from ..taxonomy.tasks import TASKS, Task
from ..utils.files import public_name

_ON_ALL_PARTS = [task.name for task in TASKS.values() if task.train_vocabulary == "all"]


def describe_model(model: PreTrainedModel) -> dict[str, Any]:
    """`BenchmarkResult.model`, without paths of this machine: with the `revision` if it is from the Hub."""
    config = model.config
    name, revision = config.name_or_path or type(model).__name__, getattr(config, "_commit_hash", None)
    return {
        "name": public_name(name),
        "type": config.model_type,
        "revision": revision,
        "fingerprint": weights_fingerprint(name if revision is None else _snapshot(name, revision)),
        **{f"training_{key}": value for key, value in (config.trained_on or {}).items()},
    }


def _snapshot(repo_id: str, revision: str) -> Path:
    """The folder of a downloaded model."""
    return Path(str(try_to_load_from_cache(repo_id, "config.json", revision=revision))).parent


def weights_fingerprint(folder: str | Path) -> str | None:
    """Of the weights in a folder; None if there are none."""
    files = sorted(Path(folder).glob("*.safetensors")) if Path(folder).is_dir() else []
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return f"sha256-{digest.hexdigest()[:16]}" if files else None


def objection(trained_on: dict[str, Any] | None, taxonomy: PartTaxonomy, task: Task) -> str | None:
    """Why a model should be scored as another task; None if the task fits, or the model does not say its training."""
    if trained_on is None:
        return None
    trained, dataset, seen = trained_on["task"], trained_on["dataset"], set(trained_on["seen_classes"])
    if dataset != taxonomy.name:
        if task.name == "cross_dataset":
            return None
        return f"The model was trained on {dataset}, not on {taxonomy.name}: score it with `--task cross_dataset`."
    held_out = {taxonomy.part_classes[i] for i in taxonomy.unseen_part_ids}
    fitting = trained if trained in _ON_ALL_PARTS else "supervised" if seen & held_out else "zero_shot"
    advice = f"Score it with `--task {fitting}`."
    counted_seen = {taxonomy.part_classes[i] for i in task.seen_ids(taxonomy)}
    leaked = [name for name in taxonomy.part_classes if name in seen - counted_seen]
    unlearned = [name for name in taxonomy.part_classes if name in counted_seen - seen]
    if leaked and task.train_vocabulary == "seen":
        parts = f"{len(leaked)} parts that {task.name} counts as unseen, such as {leaked[0]!r}"
        return f"The model was trained with the labels of {parts}. {advice}"
    if unlearned or (not leaked and task.train_vocabulary == "all" and len(seen) < len(taxonomy.part_classes)):
        return f"The model was trained by the task {trained}, without the labels of all parts. {advice}"
    if task.name in _ON_ALL_PARTS and fitting in _ON_ALL_PARTS and task.name != fitting:
        return f"The model was trained by the task {trained}, on other images than {task.name} takes. {advice}"
    return None
