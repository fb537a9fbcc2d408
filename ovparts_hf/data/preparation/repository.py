"""Writes a prepared dataset: a folder that is a complete Hub dataset repository.

Everything is made in a hidden folder beside the target, `.<name>.incomplete`, and takes the target's name at the end.
An interrupted run leaves that folder, and the next one continues from the shards that are complete in it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Protocol

import datasets

from ...errors import ConfigurationError, DatasetError, OVPartsError
from ...taxonomy import PartTaxonomy
from .dataset_card import DATA_FOLDER, render_card
from .shards import ROWS_PER_SHARD, RowSource, write_shards

logger = logging.getLogger(__name__)

_ROW_FORMAT = 1  # to be raised when the same source gives other rows


class RepositoryBuilder(Protocol):
    """What `write_repository` asks of a dataset.

    Attributes:
        TAXONOMY: Its vocabulary.
        CARD: Template of its card, see `render_card`.
    """

    TAXONOMY: PartTaxonomy
    CARD: Path

    def features(self) -> datasets.Features:
        """Columns of the rows, see `semantic_features` and `instance_features`."""

    def fingerprint(self) -> str:
        """Identifies the source; the shards of an interrupted run are used only if it is unchanged."""

    def open(self, scratch: Path, progress: bool = False) -> RowSource:
        """Lists the rows; `scratch` is a folder that may be made and filled, and is kept for a continued run."""


def write_repository(
    builder: RepositoryBuilder, out: str | Path, num_proc: int = 1, overwrite: bool = False, progress: bool = True
) -> Path:
    """Prepares a dataset.

    Args:
        builder: The dataset, e.g. `PascalPart116(data_dir="PascalPart116.tar.gz")`.
        out: The folder to make: Parquet shards, `README.md` and `taxonomy.json`. It appears when it is complete.
        num_proc: How many processes work on different shards.
        overwrite: Whether to replace a dataset that was prepared there before.
        progress: Whether to show bars.

    Returns:
        `out` as an absolute path.

    Raises:
        DatasetError: The source is not as it must be, or `out` is in the way. Nothing is left behind.
        ConfigurationError: `num_proc` is below 1.
    """
    if num_proc < 1:
        raise ConfigurationError(f"num_proc is {num_proc}; give the number of processes, at least 1.")
    out = Path(out).expanduser().resolve()
    _check_target(out, overwrite)
    work = out.with_name(f".{out.name}.incomplete")
    try:
        repository = _begin(work, builder)
        source = builder.open(work / "source", progress)
        write_shards(source, builder.features(), repository / DATA_FOLDER, num_proc, progress)
        builder.TAXONOMY.to_json(repository / "taxonomy.json")
        card = render_card(builder.CARD.read_text(encoding="utf-8"), builder.features(), repository)
        (repository / "README.md").write_text(card, encoding="utf-8")
    except OVPartsError:
        shutil.rmtree(work, ignore_errors=True)
        raise
    except BaseException:
        logger.warning("Interrupted. The same command continues from %s.", work)
        raise
    _publish(work, out)
    return out


def is_repository(folder: Path) -> bool:
    """Whether a folder looks like a prepared dataset."""
    return (folder / "taxonomy.json").is_file() and (folder / DATA_FOLDER).is_dir()


def _check_target(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out.is_dir() and is_repository(out)):
        raise DatasetError(f"{out} exists and is not a prepared dataset, so it is left alone. Give another folder.")
    if not overwrite:
        raise DatasetError(
            f"{out} is a prepared dataset already. Use it as it is, or ask to overwrite it, or give another folder."
        )


def _begin(work: Path, builder: RepositoryBuilder) -> Path:
    """Opens the working folder, emptied unless it was begun from the same source."""
    state = json.dumps([type(builder).__name__, _ROW_FORMAT, ROWS_PER_SHARD, builder.fingerprint()])
    stamp = work / f"{hashlib.sha256(state.encode()).hexdigest()}.begun"
    if not stamp.exists():
        if work.exists():
            logger.warning("%s was begun from other data and is started anew.", work)
            shutil.rmtree(work)
        work.mkdir(parents=True)
        stamp.touch()
    repository = work / "repository"
    (repository / DATA_FOLDER).mkdir(parents=True, exist_ok=True)
    return repository


def _publish(work: Path, out: Path) -> None:
    if out.exists():
        out.rename(work / "replaced")
    (work / "repository").rename(out)
    shutil.rmtree(work)
