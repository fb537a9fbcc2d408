"""Parquet shards: rows in, one finished file after the other out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from .processes import map_in_processes

ROWS_PER_SHARD = 250
_ROWS_PER_GROUP = 50  # what one process holds in memory


class RowSource(NamedTuple):
    """Rows that are ready to be read.

    Attributes:
        groups: Keys of the rows of every group of shards. A group is called after its split, or "train-few_shot" and
            "train-rest" where the training split is kept in two parts.
        row: Makes the row of a key; it and the keys can be pickled.
    """

    groups: dict[str, Sequence[Any]]
    row: Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Shard:
    """One file of a dataset repository and the keys of its rows."""

    file_name: str
    keys: Sequence[Any]


def plan_shards(groups: dict[str, Sequence[Any]]) -> list[Shard]:
    """Cuts every group into files of at most `ROWS_PER_SHARD` rows; an empty group has none."""
    return [
        Shard(f"{group}-{i:05d}-of-{len(starts):05d}.parquet", keys[start : start + ROWS_PER_SHARD])
        for group, keys in groups.items()
        for starts in [range(0, len(keys), ROWS_PER_SHARD)]
        for i, start in enumerate(starts)
    ]


def write_shards(
    source: RowSource, features: datasets.Features, folder: Path, num_proc: int = 1, progress: bool = True
) -> None:
    """Writes all shards of a dataset that are not in the folder yet.

    A file gets its name when it is complete, so an interrupted run can be continued.

    Args:
        source: The rows.
        features: Their columns.
        folder: Where the files go.
        num_proc: How many processes work on different shards.
        progress: Whether to show a bar.

    Raises:
        DatasetError: A row cannot be made; the shards that are complete stay.
    """
    shards = plan_shards(source.groups)
    missing = [shard for shard in shards if not (folder / shard.file_name).exists()]
    total = sum(len(shard.keys) for shard in shards)
    done = total - sum(len(shard.keys) for shard in missing)
    write = partial(write_shard, row=source.row, features=features, folder=folder)
    with tqdm(total=total, initial=done, desc="Preparing", unit=" images", disable=not progress) as bar:
        for rows in map_in_processes(write, missing, num_proc):
            bar.update(rows)


def write_shard(shard: Shard, row: Callable[[Any], dict[str, Any]], features: datasets.Features, folder: Path) -> int:
    """Writes one shard and returns the number of its rows."""
    temporary = folder / f"{shard.file_name}.partial"
    schema = features.arrow_schema
    with pq.ParquetWriter(temporary, schema) as writer:
        for start in range(0, len(shard.keys), _ROWS_PER_GROUP):
            rows = [row(key) for key in shard.keys[start : start + _ROWS_PER_GROUP]]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    temporary.replace(folder / shard.file_name)
    return len(shard.keys)
