"""Dividing images into training and validation: groups stay together, and each side gets its share of every part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigurationError, DatasetError
from ...utils.files import brief, read_json

FORMAT, VERSION = "ovparts-split", 1
_CANDIDATES = 2000  # groups among which the next for validation is chosen


@dataclass(frozen=True)
class SplitRule:
    """How images are divided.

    Args:
        validation: Share ("20%") or number ("50") of the images to validate on; None for the split of the source, or
            20% if it has none.
        group: Regular expression searched for in the name of an image; those with an equal match (that of the first
            pair of brackets, if there is one) are on one side, as the frames of one video should be.
        seed: Of the random order in which equally good groups are taken.
        earlier: `split.json` of a dataset prepared before; its images stay on their side.
    """

    validation: str | None = None
    group: str | None = None
    seed: int = 0
    earlier: Path | None = None

    def __post_init__(self) -> None:
        if self.validation is not None:
            validation_count(self.validation, 1)
        if self.seed < 0:
            raise ConfigurationError(f"seed is {self.seed}; it must be at least 0.")
        try:
            re.compile(self.group or "")
        except re.error as error:
            raise ConfigurationError(f"{self.group!r} is no regular expression: {error}.") from error

    def group_of(self, name: str) -> str | None:
        """The group of an image, by its name; None if it is one of its own."""
        match = re.search(self.group, name) if self.group else None
        return None if match is None else match[1 if match.re.groups else 0]


def validation_count(text: str, images: int) -> float:
    """How many images "20%", "0.2" or "50" are."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)\s*", text)
    number = float(match[1]) if match else 0.0
    share = number / 100 if match and match[2] else number
    if match and (match[2] or "." in match[1]) and 0 < share < 1:
        return share * images
    if match and not match[2] and number >= 1 and number.is_integer():
        return number
    raise ConfigurationError(
        f"{text!r} is neither a share of the images, such as 20%, nor a number of them, such as 50."
    )


def divide(
    parts: Sequence[set[int]], groups: Sequence[Any], count: float, seed: int, fixed: Mapping[int, bool]
) -> list[bool]:
    """Which images to validate on.

    Args:
        parts: Ids of the parts in each image.
        groups: The group of each image; equal values are on one side.
        count: About how many images; at least one is on each side.
        seed: Of the order of equally good groups.
        fixed: Images whose side is known, True for validation; their groups follow.

    A part that only one group has is trained on. Greedy: the next group is the one that brings the counts of all parts
    nearest to their shares (the squared distance over the share, summed), as the number of images.
    """
    keys = list(dict.fromkeys(groups))
    position = {key: i for i, key in enumerate(keys)}
    table = np.zeros((len(keys), 1 + max((max(ids, default=-1) for ids in parts), default=-1) + 1))
    for image_parts, group in zip(parts, groups):
        table[position[group], 0] += 1
        table[position[group], [1 + part for part in image_parts]] += 1
    chosen, is_open = np.zeros(len(keys), bool), np.ones(len(keys), bool)
    for image, validates in fixed.items():
        chosen[position[groups[image]]] |= validates
        is_open[position[groups[image]]] = False
    shared = (table > 0).sum(axis=0) > 1
    target = np.where(shared, np.maximum(table.sum(axis=0) * count / len(parts), 1), 0)
    target[0] = count
    alone = (table[:, 1:] > 0) & ~shared[1:]
    candidates = np.random.default_rng(seed).permutation(np.flatnonzero(is_open & ~alone.any(axis=1)))
    _choose(table, target, candidates, chosen)
    if not chosen.any() and len(keys) > 1:  # every group has a part of its own
        chosen[np.flatnonzero(is_open)[np.argmin(table[is_open, 0])]] = True
    return [bool(chosen[position[group]]) for group in groups]


def _choose(table: np.ndarray, target: np.ndarray, candidates: np.ndarray, chosen: np.ndarray) -> None:
    """Marks groups in `chosen` until their images are as many as the first column of `target` says."""
    weight = 1 / np.maximum(target, 1)
    have = table[chosen].sum(axis=0)
    left = list(candidates)
    while left and chosen.sum() + 1 < len(table):
        tried = left[:_CANDIDATES]
        counts = table[tried]
        fits = np.abs(target[0] - have[0] - counts[:, 0]) < abs(target[0] - have[0])
        if not fits.any() and have[0] > 0:
            return
        gain = (weight * counts * (2 * (target - have) - counts)).sum(axis=1)
        gain[~fits] -= 1e9 if fits.any() else 0
        best = int(np.argmax(gain))
        chosen[tried[best]] = True
        have += counts[best]
        del left[best]


def read_together(path: Path) -> dict[str, int]:
    """From image ids to the number of the group that must not be divided, as a `split.json` says; there may be none."""
    data = read_json(path, DatasetError) if path.is_file() else {}
    groups = data.get("together", []) if isinstance(data, dict) else None
    if not (isinstance(groups, list) and all(isinstance(group, list) for group in groups)):
        raise DatasetError(f"{path} is not a split: it holds {brief(data)}. Prepare the dataset again.")
    return {str(image_id): number for number, group in enumerate(groups) for image_id in group}


def read_split(path: Path) -> dict[str, bool]:
    """From image ids to whether they are validated on, as a `split.json` says."""
    advice = "Give the split.json of a dataset that `ovparts prepare custom` made."
    data = read_json(path, ConfigurationError, advice)
    sides = data.get("images") if isinstance(data, dict) and data.get("format") == FORMAT else None
    if not isinstance(sides, dict) or not all(isinstance(sides.get(side), list) for side in ("train", "validation")):
        raise ConfigurationError(f"{path} is not a split: it holds {brief(data)}. {advice}")
    return {str(i): side == "validation" for side in ("train", "validation") for i in sides[side]}
