"""A prepared dataset, for training and evaluation."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
from huggingface_hub import snapshot_download
from PIL import Image

from ..errors import DatasetError, HubError, TaxonomyError
from ..taxonomy import PartTaxonomy
from ..taxonomy.tasks import Task
from ..utils.crops import Box
from ..utils.files import atomic_write, first_line, resolve_path, user_path
from ..utils.hub import hub_errors
from ..utils.images import decode_image
from .custom.split import read_together
from .dataset_card import FEW_SHOT_SHARDS, shard_paths
from .masks import decode_label_map, decode_rle
from .records import Level, Record, RowLabels, evaluation_records, training_records

_PATTERN = re.compile(r"[\[\]*?]|::")
_ROWS_AT_ONCE = 1000
_LABEL_COLUMNS = {
    "semantic": ["image_id", "parts", "objects", "object_parts"],
    "instance": ["image_id", "parts", "instances"],
}


@dataclass
class PartSample:
    """An RGB image, upright, and the labels of one record: (H, W) int64 ids of the dataset's taxonomy.

    Both maps hold the ignore index where there is no label and, if the record has an object, outside that object.
    """

    image: Image.Image
    part_map: np.ndarray
    object_map: np.ndarray
    image_id: str

    def crop(self, box: Box) -> PartSample:
        """What a window of the image shows."""
        part_map, object_map = box.cut(self.part_map), box.cut(self.object_map)
        return PartSample(self.image.crop(box), part_map, object_map, self.image_id)


class PartDataset:
    """Reads a folder that `write_repository` made, or the same from the Hub.

    Attributes:
        taxonomy: Vocabulary of all ids.
        splits: Those of the configuration "default": "train" and "validation".
        few_shot_image_ids: The training images of the configuration "few_shot_16"; empty if there is none.
        few_shot_source: Where they come from: "release", or the `FewShotList` that was applied, as text.
        together: From image ids to the number of a group, such as a video, that is trained on or tested as a whole.

    Example:
        >>> dataset = PartDataset.load("data/pascal-part-116")
        >>> records = dataset.evaluation_records(get_task("zero_shot"))
        >>> dataset.read(records[0]).part_map.shape
        (375, 500)
    """

    def __init__(
        self, taxonomy: PartTaxonomy, splits: datasets.DatasetDict, few_shot_image_ids: frozenset[str] = frozenset()
    ) -> None:
        self.taxonomy = taxonomy
        self.splits = splits
        self.few_shot_image_ids = few_shot_image_ids
        self.few_shot_source = "release"
        self.together: dict[str, int] = {}
        self.layout = _layout(splits, taxonomy)
        self._undecoded = {split: rows.with_format("arrow") for split, rows in splits.items()}
        self._labels: dict[str, list[RowLabels]] = {}
        self._last: tuple[tuple[str, int], _DecodedRow] | None = None

    @classmethod
    def load(
        cls, name_or_path: str | Path, cache_dir: str | Path | None = None, revision: str | None = None
    ) -> PartDataset:
        """Opens a prepared dataset.

        Args:
            name_or_path: A folder, or the id of a dataset repository on the Hub.
            cache_dir: Where `datasets` keeps its files; None for its usual place.
            revision: Branch, tag or commit of a Hub repository.

        Raises:
            DatasetError: It is neither, or not a prepared dataset.
            TaxonomyError: Its taxonomy.json is not a taxonomy, or not that of its data.
        """
        folder = resolve_path(name_or_path, DatasetError)
        if not folder.is_dir():
            folder = _download(str(name_or_path), cache_dir, revision)
        if not (folder / "taxonomy.json").is_file():
            fault = "is not a prepared dataset: it has no taxonomy.json"
            raise DatasetError(f"{name_or_path} {fault}. Make one with `ovparts prepare`.")
        taxonomy = PartTaxonomy.from_json(folder / "taxonomy.json")
        splits = _load_splits(_without_patterns(folder, cache_dir), cache_dir, str(name_or_path))
        few_shot = [pq.read_table(path, columns=["image_id"]) for path in shard_paths(folder, FEW_SHOT_SHARDS)]
        dataset = cls(taxonomy, splits, frozenset(i for table in few_shot for i in table["image_id"].to_pylist()))
        dataset.together = read_together(folder / "split.json")
        return dataset

    @property
    def fingerprint(self) -> str:
        """Identifies the data: the hash of its rows that the dataset card holds."""
        return next(iter(self.splits.values())).info.description

    def training_records(self, task: Task, level: Level | None = None) -> list[Record]:
        """The records that a task trains on; those without a label in its training vocabulary are left out.

        Args:
            task: The task.
            level: One record for each image, or for each object. By default as in the benchmark: images, or objects for
                few-shot training on an instance dataset.

        Raises:
            DatasetError: The task trains on the few-shot images and the dataset has none.
        """
        few_shot = task.train_config == "few_shot_16"
        if few_shot and not self.few_shot_image_ids:
            fault = "trains on few-shot images, of which this dataset has none"
            raise DatasetError(f"Task {task.name} {fault}. Draw a list with `ovparts few-shot`.")
        level = level or ("object" if few_shot and self.layout == "instance" else "image")
        return training_records(self._rows("train"), self.taxonomy, task, level, self.few_shot_image_ids)

    def evaluation_records(self, task: Task) -> list[Record]:
        """The records that a task scores; those without a label are left out, and those of one image are adjacent."""
        names = ("validation", "train") if self.layout == "instance" else ("validation",)
        splits = {name: self._rows(name) for name in names}
        return evaluation_records(splits, self.taxonomy, task, self.few_shot_image_ids)

    def read(self, record: Record) -> PartSample:
        """Decodes the image and the maps of a record."""
        decoded = self._decode(record.split, record.row)
        ignore = self.taxonomy.ignore_index
        if record.instance is None:
            object_map = decoded.object_map(ignore)
            inside = object_map == record.object_id
        else:
            object_map = np.full_like(decoded.part_map, record.object_id)
            inside = decode_rle(decoded.instances[record.instance]["mask"])
        part_map = decoded.part_map.copy()
        if record.object_id is not None:
            part_map[~inside] = ignore
            object_map[~inside] = ignore
        return PartSample(decoded.image.copy(), part_map, object_map, decoded.image_id)

    def read_objects(self, records: Sequence[Record]) -> PartSample:
        """Decodes an image with the labels of several of its objects; where two overlap, the later one counts."""
        whole, *others = (self.read(record) for record in records)
        for sample in others:
            inside = sample.object_map != self.taxonomy.ignore_index
            whole.part_map[inside], whole.object_map[inside] = sample.part_map[inside], sample.object_map[inside]
        return whole

    def parts_in(self, record: Record) -> tuple[int, ...]:
        """Ids of the parts labelled in a record, ascending; its image is not read."""
        labels = self._rows(record.split)[record.row]
        found = [labels.parts]
        if record.object_id is not None:
            key = record.object_id, record.instance
            found = [labelled.parts for labelled in labels.objects if (labelled.object_id, labelled.instance) == key]
        return tuple(sorted({part for parts in found for part in parts}))

    def _rows(self, split: str) -> list[RowLabels]:
        if split not in self._labels:
            labels = self.splits[split].with_format("arrow", columns=_LABEL_COLUMNS[self.layout])
            tables = labels.iter(_ROWS_AT_ONCE)
            self._labels[split] = [RowLabels.from_row(row) for table in tables for row in table.to_pylist()]
        return self._labels[split]

    def _decode(self, split: str, row: int) -> _DecodedRow:
        """Decodes a row, unless it is the one decoded last: the records of one image follow each other."""
        if self._last is None or self._last[0] != (split, row):
            self._last = (split, row), _DecodedRow.decode(self._undecoded[split][row].to_pylist()[0])
        return self._last[1]


@dataclass(frozen=True)
class _DecodedRow:
    image_id: str
    image: Image.Image
    part_map: np.ndarray
    stored_object_map: np.ndarray | None
    instances: list[dict[str, Any]]

    @classmethod
    def decode(cls, row: dict[str, Any]) -> _DecodedRow:
        image, part_map = decode_image(row["image"]["bytes"]), decode_label_map(row["part_map"]["bytes"])
        object_map = decode_label_map(row["object_map"]["bytes"]) if "object_map" in row else None
        return cls(row["image_id"], image, part_map, object_map, row.get("instances", []))

    def object_map(self, ignore_index: int) -> np.ndarray:
        """(H, W) int64, all objects in one map; where instances overlap, the later one counts."""
        if self.stored_object_map is not None:
            return self.stored_object_map.copy()
        object_map = np.full_like(self.part_map, ignore_index)
        for instance in self.instances:
            object_map[decode_rle(instance["mask"])] = instance["category"]
        return object_map


def _load_splits(folder: Path, cache_dir: str | Path | None, name: str) -> datasets.DatasetDict:
    try:
        return datasets.load_dataset(str(folder), cache_dir=cache_dir and str(cache_dir))
    except OSError:
        raise
    except Exception as error:  # `datasets` and what it calls raise many kinds at damaged files
        reason = first_line(error.__cause__ or error).rstrip(".")
        raise DatasetError(f"{name} cannot be read: {reason}. `ovparts check` says what is wrong.") from error


def _layout(splits: datasets.DatasetDict, taxonomy: PartTaxonomy) -> str:
    for split, rows in splits.items():
        layout = "instance" if "instances" in rows.features else "semantic"
        missing = {"image", "part_map", *_LABEL_COLUMNS[layout]} - set(rows.features)
        if missing:
            raise DatasetError(f"Split {split} lacks the columns {sorted(missing)}. Make it with `ovparts prepare`.")
        if tuple(rows.features["parts"].feature.names) != taxonomy.part_classes:
            raise TaxonomyError(
                f"The part classes of split {split} are not those of taxonomy {taxonomy.name!r}. To change classes, "
                "prepare the dataset again."
            )
    return layout


def _without_patterns(folder: Path, cache_dir: str | Path | None) -> Path:
    """The folder, or if its path holds what `datasets` takes for a pattern or an address, a folder of links to it."""
    if not _PATTERN.search(str(folder)):
        return folder
    cache = user_path(cache_dir or datasets.config.HF_DATASETS_CACHE)
    links = cache / "links" / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    for stale in [path for path in links.rglob("*") if path.is_symlink() and path.relative_to(links) not in names]:
        stale.unlink(missing_ok=True)
    for name in names:
        if not (links / name).is_symlink():  # unique names first, for processes that do the same
            with atomic_write(links / name) as link:
                link.symlink_to(folder / name)
    return links


def _download(repo_id: str, cache_dir: str | Path | None, revision: str | None) -> Path:
    cache = Path(cache_dir) / "hub" if cache_dir else None
    try:
        with hub_errors(repo_id, "dataset"):
            return Path(snapshot_download(repo_id, repo_type="dataset", revision=revision, cache_dir=cache))
    except HubError as error:
        fault = "is neither a folder nor a dataset repository that can be read"
        advice = "A folder is made by `ovparts prepare`."
        raise DatasetError(f"{repo_id!r} {fault}. {error} {advice}") from error
