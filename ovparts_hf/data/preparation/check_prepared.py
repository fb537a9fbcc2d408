"""Checks a prepared dataset against its card, its taxonomy and itself."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from ...errors import OVPartsError
from ...taxonomy import PartTaxonomy
from ...utils.images import image_size
from ..masks import LabelMap, check_labels, encode_segmentation
from ..rows import Instance, instance_row, semantic_row
from .check_result import CheckResult, SplitCheck
from .dataset_card import DATA_FOLDER, config_files, content_description, content_hash, shard_paths, split_card
from .problems import Problems
from .processes import map_in_processes

_LABEL_COLUMNS = ("objects", "object_parts", "parts", "instances")


def check_prepared(folder: Path, num_proc: int = 1, progress: bool = True) -> CheckResult:
    """Reads every row of a prepared dataset.

    Args:
        folder: What `write_repository` made.
        num_proc: Number of processes.
        progress: Whether to show a bar.
    """
    result = CheckResult(str(folder), kind="prepared", expected_from="card")
    sizes = {path: _group_sizes(path) for path in shard_paths(folder)}
    result.problems.extend(f"{path.name} is not a whole Parquet file." for path in sizes if sizes[path] is None)
    try:
        taxonomy = PartTaxonomy.from_json(folder / "taxonomy.json")
        result.dataset = taxonomy.name
        _check_card(folder, sizes, result)
    except (OVPartsError, OSError) as error:
        result.problems.append(str(error))
        return result
    except (KeyError, TypeError):
        result.problems.append("The dataset_info of README.md is not as it was written. Prepare the dataset again.")
        return result
    tasks = [(path, group) for path, groups in sizes.items() for group in range(len(groups or ()))]
    found = map_in_processes(partial(_check_rows, taxonomy), tasks, num_proc)
    ids: Counter[str] = Counter()
    for image_ids, problems in tqdm(found, total=len(tasks), desc="Checking", unit=" groups", disable=not progress):
        ids.update(image_ids)
        result.problems.extend(problems)
    result.problems.extend(f"image_id {i!r} occurs {count} times." for i, count in ids.items() if count > 1)
    return result


def _group_sizes(path: Path) -> list[int] | None:
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return None
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def _check_card(folder: Path, sizes: dict[Path, list[int] | None], result: CheckResult) -> None:
    card, _ = split_card((folder / "README.md").read_text(encoding="utf-8"), "README.md")
    described = content_description(content_hash(folder))
    if any(info["description"] != described for info in card["dataset_info"]):
        result.problems.append("The data or taxonomy.json changed after README.md was written. Prepare it again.")
    for info in card["dataset_info"]:
        config = info["config_name"]
        for split in info["splits"]:
            name = split["name"] if config == "default" else f"{split['name']} ({config})"
            paths = shard_paths(folder, config_files(config)[split["name"]])
            found, expected = sum(sum(sizes[path] or ()) for path in paths), split["num_examples"]
            result.splits.append(SplitCheck(name, found, expected, {DATA_FOLDER: len(paths)}))
            if found != expected:
                result.problems.append(f"Split {name} has {found} images, but README.md says {expected}.")


def _check_rows(taxonomy: PartTaxonomy, task: tuple[Path, int]) -> tuple[list[str], list[str]]:
    path, group = task
    try:
        rows = pq.ParquetFile(path).read_row_group(group).to_pylist()
    except (OSError, pa.ArrowException) as error:
        return [], [f"{path.name} cannot be read: {error}"]
    named = [(row["image_id"], _problems(row, taxonomy, f"{path.name}: {row['image_id']}")) for row in rows]
    return [image_id for image_id, _ in named], [problem for _, problems in named for problem in problems]


def _problems(row: dict[str, Any], taxonomy: PartTaxonomy, name: str) -> Problems:
    problems = Problems()
    image = row["image"]["bytes"]
    size = problems.attempt(image_size, image, f"{name}, image")
    columns = [column for column in ("object_map", "part_map") if column in row]
    maps = {column: problems.attempt(_stored_map, row, column, taxonomy, name) for column in columns}
    for column, label_map in maps.items():
        if size and label_map and label_map.values.shape != size:
            problems.append(f"{name}: {column} has shape {label_map.values.shape}, image {size}.")
    for instance in row.get("instances", ()) if size else ():
        problems.attempt(encode_segmentation, instance["mask"], *size, f"an instance of {name}")
    if problems:
        return problems
    if "instances" in row:
        instances = [Instance(i["category"], i["bbox"], i["mask"]) for i in row["instances"]]
        again = instance_row(row["image_id"], image, maps["part_map"], instances, taxonomy)
    else:
        again = semantic_row(row["image_id"], image, maps["object_map"], maps["part_map"], taxonomy)
    changed = [column for column in _LABEL_COLUMNS if again.get(column) != row.get(column)]
    if changed:
        problems.append(f"{name}: the columns {changed} do not agree with the maps.")
    return problems


def _stored_map(row: dict[str, Any], column: str, taxonomy: PartTaxonomy, name: str) -> LabelMap:
    bits = 16 if "instances" in row else 8
    label_map = LabelMap.from_png(row[column]["bytes"], bits, f"{name}, {column}")
    classes = taxonomy.part_classes if column == "part_map" else taxonomy.object_classes
    check_labels(label_map.values, len(classes), taxonomy.ignore_index, f"{name}, {column}")
    return label_map
