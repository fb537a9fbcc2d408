"""Which images of a survey are trained on, and which are validated on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .split import divide, validation_count
from .words import counted

if TYPE_CHECKING:
    from .survey import Survey

_DEFAULT_SHARE = "20%"


def divide_images(result: Survey, earlier: Mapping[str, bool]) -> None:
    """Sets `validates`: as the source says, or by the rule; equal images and groups stay together."""
    splits = {image.split for image in result.images}
    if result.rule.validation is None and not earlier and "train" in splits and len(splits) > 1 and None not in splits:
        _keep_split_of_source(result, splits)
        return
    if result.rule.validation is None and not earlier and "train" in splits and None in splits:
        result.notes.append("The source has splits, but not for every image; they are divided anew.")
    text = result.rule.validation or _DEFAULT_SHARE
    count = validation_count(text, len(result.images))
    fixed = {i: earlier[image.image_id] for i, image in enumerate(result.images) if image.image_id in earlier}
    groups = image_groups(result)
    if len(set(groups)) < 2 or count >= len(result.images):
        fault = f"{counted(len(result.images), 'labelled image')} in {counted(len(set(groups)), 'group')}"
        result.problems.append(f"{fault} cannot be divided for training and {text} for validation; label more.")
        return
    parts = [set(examined.parts) for examined in result.examined]
    result.validates = divide(parts, groups, count, result.rule.seed, fixed)
    grouped = f", groups by {result.rule.group!r}" if result.rule.group else ""
    kept = f", {counted(len(fixed), 'image')} as in an earlier split" if fixed else ""
    result.division = f"{text} for validation, stratified by part{grouped}{kept}, seed {result.rule.seed}"
    if not any(result.validates) or all(result.validates):
        result.problems.append(f"All images went to one side ({result.division}). Give another --val or --split.")


def _keep_split_of_source(result: Survey, splits: set[str | None]) -> None:
    if {"validation", "test"} <= splits:
        kept = [i for i, image in enumerate(result.images) if image.split != "test"]
        result.notes.append(f"Left out: {counted(len(result.images) - len(kept), 'image')} of the split test.")
        result.images, result.examined = [result.images[i] for i in kept], [result.examined[i] for i in kept]
    elif "test" in splits:
        result.notes.append("The split test is used for validation.")
    result.validates = [image.split != "train" for image in result.images]
    result.division = "as in the source"
    for first, second in equal_images(result):
        if result.validates[first] != result.validates[second]:
            names = f"{result.images[first].image.name} and {result.images[second].image.name}"
            result.problems.append(
                f"{names} are the same image on both sides. Remove one, or divide anew with --val 20%."
            )


def image_groups(result: Survey) -> list[int]:
    """A number for each image: that of the first of its group, or of an equal one."""
    group = list(range(len(result.images)))
    first: dict[str, int] = {}
    links = equal_images(result)
    for i, image in enumerate(result.images):
        if (key := result.rule.group_of(image.image.name)) is not None:
            links.append((first.setdefault(key, i), i))

    def root(i: int) -> int:
        while group[i] != i:
            i = group[i]
        return i

    for one, other in links:
        low, high = sorted((root(one), root(other)))
        group[high] = low
    if result.rule.group and not first:
        result.problems.append(
            f"--group {result.rule.group!r} matches no image, such as {result.images[0].image.name!r}."
        )
    return [root(i) for i in range(len(group))]


def equal_images(result: Survey) -> list[tuple[int, int]]:
    """Pairs of images whose files hold the same bytes."""
    first: dict[str, int] = {}
    digests = enumerate(examined.image_digest for examined in result.examined)
    return [(first[digest], i) for i, digest in digests if digest and first.setdefault(digest, i) != i]
