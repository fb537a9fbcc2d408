"""Checks a release or a prepared dataset and lists every problem, not only the first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from ...errors import DatasetError, OVPartsError
from ...taxonomy import PartTaxonomy
from ...utils.files import resolve_path
from ...utils.images import image_size
from ...utils.locks import scratch_folder
from ..consistency import contradiction
from ..dataset_card import DATA_FOLDER, config_files, content_description, shard_paths, split_card
from ..masks import LabelMap, check_labels, encode_segmentation
from ..problems import Problems
from ..rows import Instance, instance_row, semantic_row
from .builder import ReleaseBuilder, unpacked
from .release import ListedImage, Release
from .repository import is_repository, map_in_processes

_LABEL_COLUMNS = ("objects", "object_parts", "parts", "instances")


@dataclass
class SplitCheck:
    """The sizes of a split."""

    split: str
    found: int  # complete images
    expected: int | None  # None if unknown
    files: dict[str, int] = field(default_factory=dict)  # the number of entries of each of its folders and files


@dataclass
class CheckResult:
    """What was found in a release or in a prepared dataset."""

    path: str
    dataset: str = "unknown"
    kind: str = "release"  # or "prepared"
    expected_from: str = "paper"  # for comparison, since a release may hold a part of the images; or "card": a must
    splits: list[SplitCheck] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    incomplete: str | None = None  # which splits of a release have fewer images than expected, in a sentence
    notes: list[str] = field(default_factory=list)  # oddities that do no harm

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def to_json(self) -> str:
        """All attributes and `ok` as a JSON object."""
        return json.dumps({"ok": self.ok, **asdict(self)}, indent=1, ensure_ascii=False)

    def to_text(self) -> str:
        """The same for people."""
        lines = [f"{self.path}: {self.dataset} ({self.kind})"]
        if self.splits:
            lines.append(f"{'split':<24}{'found':>8}{f'expected ({self.expected_from})':>20}  files")
        for split in self.splits:
            expected = "-" if split.expected is None else split.expected
            files = ", ".join(f"{name} {count}" for name, count in split.files.items())
            lines.append(f"{split.split:<24}{split.found:>8}{expected:>20}  {files}".rstrip())
        lines.extend(f"note: {note}" for note in self.notes)
        count = f"{len(self.problems)} problem{'' if len(self.problems) == 1 else 's'}"
        if self.incomplete:
            lines.append(f"warning: {self.incomplete}")
        lines.append(f"{count}:" if self.problems else "No other problem." if self.incomplete else "No problem.")
        lines.extend(f"- {problem}" for problem in self.problems)
        return "\n".join(lines)


def check(
    path: str | Path, releases: Mapping[str, type[ReleaseBuilder]], num_proc: int = 1, progress: bool = True
) -> CheckResult:
    """Reads every file of a release or of a prepared dataset; that it cannot be read at all is one of the problems."""
    try:
        path = resolve_path(path, DatasetError)
    except DatasetError as error:
        return CheckResult(str(path), problems=[str(error)])
    if is_repository(path) or shard_paths(path):
        return _check_prepared(path, releases, num_proc, progress)
    result = CheckResult(str(path))
    with scratch_folder("ovparts-check-") as scratch:
        try:
            if not path.exists():
                raise DatasetError(f"{path} does not exist. Give a release, its folder or a prepared dataset.")
            folder = unpacked(path, scratch / "source", progress)
            result.dataset = _recognise(folder, path, releases)
            _check_release(releases[result.dataset], folder, result, num_proc, progress)
        except DatasetError as error:
            result.problems.append(str(error))
    return result


def _recognise(folder: Path, path: Path, releases: Mapping[str, type[ReleaseBuilder]]) -> str:
    """The name of the release whose files the folder holds most of; a known folder name settles it."""
    scores = {}
    for name, builder in releases.items():
        try:
            root = builder.LAYOUT.find_root(folder)
        except DatasetError:
            continue
        present = sum((root / entry).exists() for entry in builder.LAYOUT.entries)
        scores[name] = (root.name in builder.LAYOUT.folder_names, present / len(builder.LAYOUT.entries))
    best = [name for name in scores if scores[name] == max(scores.values())]
    if len(best) > 1:
        raise DatasetError(f"{path} holds several releases: {best}. Give the folder of one of them.")
    if not best:
        names = [name for builder in releases.values() for name in builder.LAYOUT.folder_names]
        raise DatasetError(
            f"{path} holds no known dataset; the folder of a release is called one of {names}. "
            "Your own labels are checked by `ovparts prepare custom PATH OUT --dry-run`."
        )
    return best[0]


def _check_release(
    builder: type[ReleaseBuilder], folder: Path, result: CheckResult, num_proc: int, progress: bool
) -> None:
    layout = builder.LAYOUT
    release = Release(layout, builder.TAXONOMY, layout.find_root(folder))
    listing = release.list_images()
    for split, images in listing.images.items():
        expected = layout.images_in_paper.get(split)
        result.splits.append(SplitCheck(split, len(images), expected, listing.found[split]))
    result.splits.append(SplitCheck("train (few_shot_16)", len(listing.few_shot_ids), None))
    result.incomplete = layout.shortfall({split.split: split.found for split in result.splits})
    result.problems.extend(listing.problems)
    result.notes.extend(listing.notes)
    images = [image for images in listing.images.values() for image in images]
    found = map_in_processes(partial(_image_problems, release), images, num_proc, chunksize=16)
    for problems in tqdm(found, total=len(images), desc="Checking", unit=" images", disable=not progress):
        result.problems.extend(problems)


def _image_problems(release: Release, image: ListedImage) -> list[str]:
    row, problems = release.examine(image)
    fault = release.contradiction(image, row) if row else None
    return [*problems, *[fault] * bool(fault)]


def _check_prepared(
    folder: Path, releases: Mapping[str, type[ReleaseBuilder]], num_proc: int, progress: bool
) -> CheckResult:
    """Compares every row with the card, the taxonomy and its own maps."""
    result = CheckResult(str(folder), kind="prepared", expected_from="card")
    sizes = {path: _group_sizes(path) for path in shard_paths(folder)}
    result.problems.extend(f"{path.name} is not a whole Parquet file." for path in sizes if sizes[path] is None)
    try:
        taxonomy = PartTaxonomy.from_json(folder / "taxonomy.json")
        result.dataset = taxonomy.name
        _check_card(folder, sizes, result)
    except (OVPartsError, OSError, UnicodeDecodeError) as error:
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
    if taxonomy.name in releases:
        found = {split.split: split.found for split in result.splits}
        shortfall = releases[taxonomy.name].LAYOUT.shortfall(found)
        result.notes.extend([shortfall] * bool(shortfall))
    result.problems.extend(f"image_id {i!r} occurs {count} times." for i, count in ids.items() if count > 1)
    return result


def _group_sizes(path: Path) -> list[int] | None:
    """Rows in each row group of a Parquet file; None if the file is broken."""
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return None
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def _check_card(folder: Path, sizes: dict[Path, list[int] | None], result: CheckResult) -> None:
    card, _ = split_card((folder / "README.md").read_text(encoding="utf-8"), "README.md")
    described = content_description(folder)
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
    checked = [(row["image_id"], _row_problems(row, taxonomy, f"{path.name}: {row['image_id']}")) for row in rows]
    return [image_id for image_id, _ in checked], [problem for _, problems in checked for problem in problems]


def _row_problems(row: dict[str, Any], taxonomy: PartTaxonomy, name: str) -> Problems:
    problems = Problems()
    image = row["image"]["bytes"]
    size = problems.attempt(image_size, image, f"{name}, image")
    columns = [column for column in ("object_map", "part_map") if column in row]
    maps = {column: problems.attempt(_stored_map, row, column, taxonomy, name, size) for column in columns}
    for instance in row.get("instances", ()) if size else ():
        problems.attempt(encode_segmentation, instance["mask"], *size, f"an instance of {name}")
    if problems:
        return problems
    if "instances" in row:
        instances = [Instance(i["category"], i["bbox"], i["mask"]) for i in row["instances"]]
        expected = instance_row(row["image_id"], image, maps["part_map"], instances, taxonomy)
    else:
        expected = semantic_row(row["image_id"], image, maps["object_map"], maps["part_map"], taxonomy)
    changed = [column for column in _LABEL_COLUMNS if expected.get(column) != row.get(column)]
    if changed:
        problems.append(f"{name}: the columns {changed} do not agree with the maps.")
    elif fault := contradiction(row, taxonomy):
        problems.append(f"{name}, part_map {fault}")
    return problems


def _stored_map(
    row: dict[str, Any], column: str, taxonomy: PartTaxonomy, name: str, size: tuple[int, int] | None
) -> LabelMap:
    label_map = LabelMap.from_png(row[column]["bytes"], taxonomy.mask_bits, f"{name}, {column}", size)
    classes = taxonomy.part_classes if column == "part_map" else taxonomy.object_classes
    check_labels(label_map.values, len(classes), taxonomy.ignore_index, f"{name}, {column}")
    return label_map
