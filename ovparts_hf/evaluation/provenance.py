"""Which model a result is of, what that was trained on, and whether a task fits it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from ..models.loading import TOY_FOLDER
from ..taxonomy import PartTaxonomy
from ..taxonomy.tasks import TASKS, Task


def describe_model(model: PreTrainedModel) -> dict[str, Any]:
    """`BenchmarkResult.model`, without paths of this machine: `revision` if from the Hub, `fingerprint` of a folder."""
    config = model.config
    name = config.name_or_path or type(model).__name__
    return {
        "name": public_name(name),
        "type": config.model_type,
        "revision": getattr(config, "_commit_hash", None),
        "fingerprint": weights_fingerprint(name),
        **{f"training_{key}": value for key, value in (config.trained_on or {}).items()},
    }


def public_name(name: str) -> str:
    """A name or relative path as it is; of an absolute path what a reader needs: "toy/trained", "my-run/last"."""
    path = Path(name)
    if not path.is_absolute():
        return name
    if path.is_relative_to(str(TOY_FOLDER)):
        return f"toy/{path.name}"
    return "/".join(path.parts[-2:] if path.name in ("last", "best") else path.parts[-1:])


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
    trained, dataset = trained_on["task"], trained_on["dataset"]
    if dataset != taxonomy.name:
        if task.name == "cross_dataset":
            return None
        return f"The model was trained on {dataset}, not on {taxonomy.name}: score it with `--task cross_dataset`."
    seen = set(trained_on["seen_classes"])
    counted_seen = {taxonomy.part_classes[i] for i in task.seen_ids(taxonomy)}
    leaked = [name for name in taxonomy.part_classes if name in seen - counted_seen]
    unlearned = [name for name in taxonomy.part_classes if name in counted_seen - seen]
    fitting = "supervised" if leaked and TASKS[trained].train_vocabulary == "seen" else trained
    advice = f"Score it with `--task {fitting}`."
    if leaked and task.train_vocabulary == "seen":
        parts = f"{len(leaked)} parts that {task.name} counts as unseen, such as {leaked[0]!r}"
        return f"The model was trained with the labels of {parts}. {advice}"
    if unlearned or (not leaked and task.train_vocabulary == "all" and len(seen) < len(taxonomy.part_classes)):
        return f"The model was trained by the task {trained}, without the labels of all parts. {advice}"
    return None
