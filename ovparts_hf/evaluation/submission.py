"""Predictions as a folder of PNG files with a manifest: scored without the model, whatever code made them.

With the setting "oracle_obj" there is one map for each object that is scored, otherwise one for each image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..data.masks import LabelMap
from ..data.part_dataset import PartDataset
from ..data.records import Record
from ..errors import ConfigurationError
from ..metrics.confusion import as_map, with_none
from ..taxonomy import PartTaxonomy
from ..taxonomy.tasks import Setting, Task, get_setting, get_task
from ..utils.files import atomic_folder, atomic_write, read_json, user_path

MANIFEST = "manifest.json"
FORMAT = "ovparts-predictions"
VERSION = 1


def write_manifest(
    folder: str | Path,
    dataset: PartDataset,
    task: str | Task = "zero_shot",
    setting: str | Setting = Setting.ORACLE_OBJ,
    model: str = "unnamed",
) -> Path:
    """Writes the manifest alone and returns its path; any code may then add the PNG files that it names."""
    task, setting = get_task(task), get_setting(setting)
    path = user_path(folder) / MANIFEST
    with atomic_write(path) as temporary:
        text = json.dumps(_manifest(dataset, task, setting, model), indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def write_predictions(
    folder: str | Path,
    dataset: PartDataset,
    predictions: Iterable[tuple[Record, np.ndarray]],
    task: str | Task = "zero_shot",
    setting: str | Setting = Setting.ORACLE_OBJ,
    model: str = "unnamed",
) -> Path:
    """Writes a manifest with all of its label maps; an earlier folder is replaced as a whole, or not at all.

    Label maps (H, W) at the image's size hold part ids, and -1 or the ignore index where there is no answer. Without
    given objects, there is one for each image.
    """
    task, setting = get_task(task), get_setting(setting)
    missing = _files(dataset, task, setting)
    with atomic_folder(folder) as new:
        for record, label_map in predictions:
            file = missing.pop(_key(record, setting), None)
            if file is None:
                raise ConfigurationError(
                    f"The label map of {record} does not belong to task {task.name}, or came twice."
                )
            (new / file).write_bytes(_png(np.asarray(label_map), dataset.taxonomy, file))
        if missing:
            raise ConfigurationError(f"{len(missing)} label maps are missing, such as {list(missing.values())[:3]}.")
        write_manifest(new, dataset, task, setting, model)
    return user_path(folder)


def read_manifest(folder: str | Path, dataset: PartDataset) -> tuple[dict[str, Any], dict[Record, Path]]:
    """Reads a manifest, checks that it fits a dataset, and says for every record in which file its label map is."""
    folder = user_path(folder)
    manifest = _load(folder / MANIFEST)
    task, setting = get_task(manifest["task"]), get_setting(manifest["setting"])
    _check(folder, manifest, _manifest(dataset, task, setting, manifest["model"]))
    files = _files(dataset, task, setting)
    return manifest, {record: folder / files[_key(record, setting)] for record in dataset.evaluation_records(task)}


def _manifest(dataset: PartDataset, task: Task, setting: Setting, model: str) -> dict[str, Any]:
    taxonomy = dataset.taxonomy
    image_ids = {split: list(rows["image_id"]) for split, rows in dataset.splits.items()}
    maps = [
        {
            "file": file,
            "split": record.split,
            "row": record.row,
            "image_id": image_ids[record.split][record.row],
            "object": None if record.object_id is None else taxonomy.object_classes[record.object_id],
            "instance": record.instance,
        }
        for record, file in _files(dataset, task, setting).items()
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "dataset": {"name": taxonomy.name, "fingerprint": dataset.fingerprint},
        "task": task.name,
        "setting": setting.value,
        "model": model,
        "bits": taxonomy.mask_bits,
        "no_answer": taxonomy.ignore_index,
        "part_classes": list(taxonomy.part_classes),
        "maps": maps,
    }


def _files(dataset: PartDataset, task: Task, setting: Setting) -> dict[Record, str]:
    """The label maps to be predicted, with their file names; unique by split, row, object and instance."""
    records = dataset.evaluation_records(task)
    if not records:
        raise ConfigurationError(f"The dataset {dataset.taxonomy.name!r} has no labelled object to predict.")
    files = {}
    for record in dict.fromkeys(_key(record, setting) for record in records):
        name = [record.split, f"{record.row:05}"]
        if record.object_id is not None:
            name.append(re.sub(r"\W+", "_", dataset.taxonomy.object_classes[record.object_id]))
        if record.instance is not None:
            name.append(str(record.instance))
        files[record] = "-".join(name) + ".png"
    return files


def _key(record: Record, setting: Setting) -> Record:
    """The record whose label map answers this one."""
    return record if setting is Setting.ORACLE_OBJ else Record(record.split, record.row)


def _png(label_map: np.ndarray, taxonomy: PartTaxonomy, file: str) -> bytes:
    num_classes, none = len(taxonomy.part_classes), taxonomy.ignore_index
    name = f"label map for {file}"
    ids = with_none(name, as_map(name, label_map), num_classes, (-1, none))
    ids[ids == num_classes] = none
    return LabelMap.from_array(ids.astype(f"uint{taxonomy.mask_bits}")).png


def _load(path: Path) -> dict[str, Any]:
    advice = "Make it with `ovparts submit-format`, then add the PNG files it names."
    manifest = read_json(path, ConfigurationError, advice)
    kind = (manifest.get("format"), manifest.get("version")) if isinstance(manifest, dict) else None
    missing = {"task", "setting", "model"} - set(manifest) if kind else set()
    if kind != (FORMAT, VERSION) or missing:
        raise ConfigurationError(
            f"{path} is not a manifest of format {FORMAT!r}, version {VERSION}: found {kind}, without "
            f"{sorted(missing)}. {advice}"
        )
    return manifest


def _check(folder: Path, manifest: dict[str, Any], expected: dict[str, Any]) -> None:
    for key, value in expected.items():
        if manifest.get(key) != value:
            detail = f": {manifest.get(key)!r} instead of {value!r}" if len(str(value)) < 200 else ""
            raise ConfigurationError(
                f"The {key!r} of {folder / MANIFEST} does not fit this dataset and task{detail}. "
                "Make the manifest anew with `ovparts submit-format`."
            )
    missing = [entry["file"] for entry in expected["maps"] if not (folder / entry["file"]).is_file()]
    if missing:
        raise ConfigurationError(
            f"{len(missing)} of {len(expected['maps'])} label maps are missing in {folder}, such as {missing[:3]}."
        )
