"""Checks a release or a prepared dataset and lists every problem, not only the first."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from tqdm.auto import tqdm

from ...errors import DatasetError
from .builder import ReleaseBuilder, unpacked
from .check_prepared import check_prepared
from .check_result import CheckResult, SplitCheck
from .dataset_card import shard_paths
from .listing import ListedImage, SplitListing, list_few_shot, list_split
from .processes import map_in_processes
from .release import Release
from .repository import is_repository


def check(
    path: str | Path, releases: Mapping[str, type[ReleaseBuilder]], num_proc: int = 1, progress: bool = True
) -> CheckResult:
    """Reads every file of a dataset.

    Args:
        path: A release archive, its extracted folder, the folder that holds that one, or a prepared dataset.
        releases: The builders of the releases that may be met, by name.
        num_proc: Number of processes.
        progress: Whether to show bars.

    Returns:
        What was found. That `path` cannot be read at all is one of the problems.
    """
    path = Path(path).expanduser().resolve()
    if is_repository(path) or shard_paths(path):
        return check_prepared(path, num_proc, progress)
    result = CheckResult(str(path))
    with tempfile.TemporaryDirectory(prefix="ovparts-check-") as scratch:
        try:
            if not path.exists():
                raise DatasetError(f"{path} does not exist. Give a release, its folder or a prepared dataset.")
            folder = unpacked(path, Path(scratch) / "source", progress)
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
        raise DatasetError(f"{path} holds no known dataset; the folder of a release is called one of {names}.")
    return best[0]


def _check_release(
    builder: type[ReleaseBuilder], folder: Path, result: CheckResult, num_proc: int, progress: bool
) -> None:
    layout = builder.LAYOUT
    release = Release(layout, builder.TAXONOMY, layout.find_root(folder))
    splits = {split: list_split(layout, release.root, split) for split in layout.split_folders}
    few_shot = list_few_shot(layout, release.root, splits["train"])
    for split, listing in splits.items():
        expected = layout.images_in_paper.get(split)
        result.splits.append(SplitCheck(split, len(listing.images), expected, listing.found))
    result.splits.append(SplitCheck("train (few_shot_16)", len(few_shot.image_ids), None))
    for listing in (*splits.values(), few_shot):
        result.problems.extend(listing.problems)
        result.notes.extend(listing.notes)
    result.problems.extend(_problems_of_images(release, splits.values(), num_proc, progress))


def _problems_of_images(release: Release, splits: Iterable[SplitListing], num_proc: int, progress: bool) -> list[str]:
    images = [image for listing in splits for image in listing.images]
    found = map_in_processes(partial(_problems, release), images, num_proc, chunksize=16)
    bar = tqdm(found, total=len(images), desc="Checking", unit=" images", disable=not progress)
    return [problem for problems in bar for problem in problems]


def _problems(release: Release, image: ListedImage) -> list[str]:
    return list(release.examine(image)[1])
