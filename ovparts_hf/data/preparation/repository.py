"""Writes a prepared dataset: a folder that is a complete Hub dataset repository.

It is made beside its target, as `.<name>.incomplete`; an interrupted run continues from the shards complete in there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from ...errors import ConfigurationError, DatasetError, OVPartsError
from ...taxonomy import PartTaxonomy
from ...utils.files import brief, name_fault, replace_file, replace_folder, resolve_path
from ...utils.locks import writer_lock
from ..benchmark_file import write_benchmark_file
from ..dataset_card import DATA_FOLDER, render_card

if TYPE_CHECKING:
    import datasets

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger(__name__)

ROWS_PER_SHARD = 250
_ROWS_PER_GROUP = 50  # what one process holds in memory
_ROW_FORMAT = 1  # to be raised when the same source gives other rows


class RowSource(NamedTuple):
    """For each group of shards the keys of its rows, and what makes the row of a key; all of it can be pickled.

    A group is named after its split, or "train-few_shot" and "train-rest" where the training split is in two parts.
    """

    groups: dict[str, Sequence[Any]]
    row: Callable[[Any], dict[str, Any]]
    files: Mapping[str, str] = MappingProxyType({})  # further files of the repository: from names to texts


class RepositoryBuilder(Protocol):
    """What `write_repository` needs to know of a dataset: its vocabulary, the template of its card, and its rows."""

    TAXONOMY: PartTaxonomy
    CARD: Path | str  # the file of the template, or the template itself

    def features(self) -> datasets.Features:
        """Columns of the rows, see `semantic_features` and `instance_features`."""

    def fingerprint(self) -> str:
        """Identifies the source; the shards of an interrupted run are used only if it is unchanged."""

    def open(self, scratch: Path, progress: bool = False) -> RowSource:
        """Lists the rows; `scratch` is a folder that may be made and filled, and is kept for a continued run."""


def write_repository(
    builder: RepositoryBuilder, out: str | Path, num_proc: int = 1, overwrite: bool = False, progress: bool = True
) -> Path:
    """Prepares a dataset as the folder `out`, which it returns; that appears when it is complete.

    A faulty source is a `DatasetError`, of which nothing is left behind; so is an `out` that is in the way, unless it
    is a dataset prepared before that `overwrite` permits to replace. While another process prepares it, that is a
    `ConfigurationError`.
    """
    if num_proc < 1:
        raise ConfigurationError(f"num_proc is {num_proc}; give the number of processes, at least 1.")
    out = resolve_path(out, DatasetError)
    lock = out.with_name(f".{out.name}.lock")
    killed = os.path.exists(lock)  # noqa: PTH110  is False, where pathlib raises, for a name that is too long
    check_target(out, overwrite or killed)  # what is left of a killed run is removed first
    with writer_lock(lock, out):
        return _write_repository(builder, out, num_proc, overwrite, progress)


def _write_repository(builder: RepositoryBuilder, out: Path, num_proc: int, overwrite: bool, progress: bool) -> Path:
    """`write_repository` to a folder to which no other process writes now, but may just have written."""
    work = out.with_name(f".{out.name}.incomplete")
    if is_repository(out) and not overwrite:  # a run was killed after it had published the dataset
        _remove(work)
    check_target(out, overwrite)
    try:
        repository = _begin(work, builder)
        source = builder.open(work / "source", progress)
        write_shards(source, builder.features(), repository / DATA_FOLDER, num_proc, progress)
        builder.TAXONOMY.to_json(repository / "taxonomy.json")
        for name, text in source.files.items():
            (repository / name).write_text(text, encoding="utf-8")
        template = builder.CARD if isinstance(builder.CARD, str) else builder.CARD.read_text(encoding="utf-8")
        card = render_card(template, builder.features(), repository)
        (repository / "README.md").write_text(card, encoding="utf-8")
        write_benchmark_file(repository, builder.TAXONOMY)
    except OVPartsError:
        _remove(work)
        raise
    except BaseException as error:
        if any(work.glob("*.begun")):
            what = "Interrupted" if isinstance(error, KeyboardInterrupt) else "Not complete"
            logger.warning("%s. The same command continues from %s.", what, work)
        raise
    replace_folder(repository, out)
    _remove(work)
    return out


def is_repository(folder: Path) -> bool:
    """Whether a folder looks like a prepared dataset."""
    return (folder / "taxonomy.json").is_file() and (folder / DATA_FOLDER).is_dir()


def write_shards(source: RowSource, features: datasets.Features, folder: Path, num_proc: int, progress: bool) -> None:
    """Writes the shards that are not in the folder yet; each gets its name when it is complete."""
    shards = _plan_shards(source.groups)
    missing = [shard for shard in shards if not (folder / shard.file_name).exists()]
    total = sum(len(shard.keys) for shard in shards)
    done = total - sum(len(shard.keys) for shard in missing)
    write = partial(write_shard, row=source.row, schema=features.arrow_schema, folder=folder)
    with tqdm(total=total, initial=done, desc="Preparing", unit=" images", disable=not progress) as bar:
        for rows in map_in_processes(write, missing, num_proc):
            bar.update(rows)


@dataclass(frozen=True)
class Shard:
    """One data file of a repository and the keys of its rows."""

    file_name: str
    keys: Sequence[Any]


def write_shard(shard: Shard, row: Callable[[Any], dict[str, Any]], schema: pa.Schema, folder: Path) -> int:
    """Writes one shard and returns the number of its rows."""
    temporary = folder / f"{shard.file_name}.partial"
    with pq.ParquetWriter(temporary, schema) as writer:
        for start in range(0, len(shard.keys), _ROWS_PER_GROUP):
            rows = [row(key) for key in shard.keys[start : start + _ROWS_PER_GROUP]]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    replace_file(temporary, folder / shard.file_name)
    return len(shard.keys)


def map_in_processes(
    function: Callable[[T], R], tasks: Iterable[T], num_proc: int = 1, chunksize: int = 1
) -> Iterator[R]:
    """`map`, spread over processes, which get `chunksize` tasks at a time; an error drops those not begun yet."""
    if num_proc == 1:
        yield from map(function, tasks)
        return
    with ProcessPoolExecutor(num_proc, initializer=_end_with_parent) as pool:
        yield from pool.map(function, tasks, chunksize=chunksize)


def _end_with_parent() -> None:
    """Keeps a worker from outliving a killed parent, and from writing where the next run writes."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _plan_shards(groups: dict[str, Sequence[Any]]) -> list[Shard]:
    """Cuts each group into files of at most `ROWS_PER_SHARD` rows; an empty group has none."""
    return [
        Shard(f"{group}-{i:05d}-of-{len(starts):05d}.parquet", keys[start : start + ROWS_PER_SHARD])
        for group, keys in groups.items()
        for starts in [range(0, len(keys), ROWS_PER_SHARD)]
        for i, start in enumerate(starts)
    ]


def check_target(out: Path, overwrite: bool) -> None:
    """Refuses an `out` that is in the way of a dataset, unless it is one that may be overwritten."""
    parent = next(folder for folder in (*out.parents, out) if folder.exists())
    if not parent.is_dir():
        raise DatasetError(f"{parent} is a file, so there can be no {out}. Give another folder.")
    if fault := name_fault(f"{out.parent}/.{out.name}.incomplete"):
        raise DatasetError(f"{brief(str(out))} {fault}. Give another folder.")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not is_repository(out):
        raise DatasetError(f"{out} exists and is not a prepared dataset, so it is left alone. Give another folder.")
    if not overwrite:
        advice = "Use it as it is, overwrite it (--overwrite), or give another folder."
        raise DatasetError(f"{out} is a prepared dataset already. {advice}")


def _begin(work: Path, builder: RepositoryBuilder) -> Path:
    """Opens the working folder, emptied unless it was begun from the same source."""
    state = json.dumps([type(builder).__name__, _ROW_FORMAT, ROWS_PER_SHARD, builder.fingerprint()])
    stamp = work / f"{hashlib.sha256(state.encode()).hexdigest()}.begun"
    if not stamp.exists():
        if work.exists():
            logger.warning("%s is left from other data or from a killed run, and is started anew.", work)
            _remove(work)
        work.mkdir(parents=True)
        stamp.touch()
    repository = work / "repository"
    (repository / DATA_FOLDER).mkdir(parents=True, exist_ok=True)
    for left in (*work.glob(".*"), *repository.glob(".*"), *repository.rglob("*.partial")):  # by a run that was killed
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return repository


def _remove(work: Path) -> None:
    """Removes the working folder, the stamp first: what is left by a kill is not mistaken for something whole."""
    for stamp in work.glob("*.begun"):
        stamp.unlink()
    shutil.rmtree(work, ignore_errors=True)
