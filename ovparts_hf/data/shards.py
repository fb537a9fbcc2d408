"""Parquet shards: rows in, one finished file after the other out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

ROWS_PER_SHARD = 500
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
    with tqdm(total=total, initial=done, desc="Preparing", unit=" pictures", disable=not progress) as bar:
        write = partial(write_shard, row=source.row, features=features, folder=folder)
        if num_proc == 1:
            for shard in missing:
                write(shard, advance=bar.update)
            return
        for future in _in_processes(write, missing, num_proc):
            bar.update(future.result())


def write_shard(
    shard: Shard,
    row: Callable[[Any], dict[str, Any]],
    features: datasets.Features,
    folder: Path,
    advance: Callable[[int], Any] = int,
) -> int:
    """Writes one shard; `advance` is told how many rows were added. Returns the number of rows."""
    temporary = folder / f"{shard.file_name}.partial"
    schema = features.arrow_schema
    with pq.ParquetWriter(temporary, schema) as writer:
        for start in range(0, len(shard.keys), _ROWS_PER_GROUP):
            rows = [row(key) for key in shard.keys[start : start + _ROWS_PER_GROUP]]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            advance(len(rows))
    temporary.replace(folder / shard.file_name)
    return len(shard.keys)


def _in_processes(write: Callable[[Shard], int], shards: list[Shard], num_proc: int) -> Iterator[Future[int]]:
    with ProcessPoolExecutor(num_proc) as pool:
        futures = [pool.submit(write, shard) for shard in shards]
        try:
            yield from as_completed(futures)
        finally:
            pool.shutdown(cancel_futures=True)
