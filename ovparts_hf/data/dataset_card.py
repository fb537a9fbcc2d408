"""The card of a dataset repository: README.md with the configurations, columns and sizes of its data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import yaml

from ..errors import DatasetError

if TYPE_CHECKING:
    import datasets

DATA_FOLDER = "data"
FEW_SHOT_SHARDS = "train-few_shot-*.parquet"
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader  # the same, but ten times as fast
_CONFIG_FILES = {
    "default": {"train": "train-*.parquet", "validation": "validation-*.parquet"},
    "few_shot_16": {"train": FEW_SHOT_SHARDS, "validation": "validation-*.parquet"},
}


def render_card(template: str, features: datasets.Features, folder: Path) -> str:
    """The text of README.md: the template, whose `{counts}` becomes a table of the splits, with what depends on data.

    The description of each configuration holds a hash of the data. `datasets` caches a local dataset under the content
    of its card, so changed data is never served from an old cache.
    """
    metadata, text = split_card(template, "The card template")
    configs = {config: globs for config, globs in _CONFIG_FILES.items() if _is_present(folder, globs)}
    description = content_description(folder)
    metadata["configs"] = []
    for config, globs in configs.items():
        files = [{"split": split, "path": f"{DATA_FOLDER}/{glob}"} for split, glob in globs.items()]
        default = {"default": True} if config == "default" else {}
        metadata["configs"].append({"config_name": config, "data_files": files, **default})
    infos = {config: _dataset_info(config, globs, features, description, folder) for config, globs in configs.items()}
    metadata["dataset_info"] = list(infos.values())
    header = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{header}---\n{text.replace('{counts}', _counts_table(infos))}"


def config_files(config: str) -> dict[str, str]:
    """For each split of a configuration, the pattern of its data files."""
    if config not in _CONFIG_FILES:
        raise DatasetError(f"Unknown configuration {config!r}; there are {list(_CONFIG_FILES)}.")
    return _CONFIG_FILES[config]


def split_card(card: str, name: str) -> tuple[dict[str, Any], str]:
    """Splits a card into its metadata and its text."""
    try:
        _, header, text = card.split("---\n", 2)
        metadata = yaml.load(header, Loader=_LOADER)
    except (ValueError, yaml.YAMLError) as error:
        raise DatasetError(f"{name} does not start with a YAML header between two lines of '---'.") from error
    if not isinstance(metadata, dict):
        raise DatasetError(f"The YAML header of {name} must be a mapping.")
    return metadata, text


def shard_paths(folder: Path, glob: str = "*.parquet") -> list[Path]:
    """The data files of a repository that match, in the order in which `datasets` reads them."""
    return sorted((folder / DATA_FOLDER).glob(glob))


def content_description(folder: Path) -> str:
    """Identifies the data of a repository: SHA-256 over the names and bytes of all data files and of the taxonomy."""
    digest = hashlib.sha256()
    for path in (*shard_paths(folder), folder / "taxonomy.json"):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return f"Content sha256-{digest.hexdigest()}"


def _is_present(folder: Path, globs: dict[str, str]) -> bool:
    return all(shard_paths(folder, glob) for glob in globs.values())


def _dataset_info(
    config: str, globs: dict[str, str], features: datasets.Features, description: str, folder: Path
) -> dict[str, Any]:
    files = {split: shard_paths(folder, glob) for split, glob in globs.items()}
    splits = [{"name": split, **_sizes(paths)} for split, paths in files.items()]
    return {
        "config_name": config,
        "description": description,
        "features": features._to_yaml_list(),
        "splits": splits,
        "download_size": sum(path.stat().st_size for paths in files.values() for path in paths),
        "dataset_size": sum(split["num_bytes"] for split in splits),
    }


def _sizes(paths: Iterable[Path]) -> dict[str, int]:
    metadata = [pq.read_metadata(path) for path in paths]
    num_bytes = sum(m.row_group(i).total_byte_size for m in metadata for i in range(m.num_row_groups))
    return {"num_bytes": num_bytes, "num_examples": sum(m.num_rows for m in metadata)}


def _counts_table(infos: dict[str, dict[str, Any]]) -> str:
    lines = ["| configuration | split | images |", "|---|---|---|"]
    for config, info in infos.items():
        lines += [f"| `{config}` | {split['name']} | {split['num_examples']} |" for split in info["splits"]]
    return "\n".join(lines)
