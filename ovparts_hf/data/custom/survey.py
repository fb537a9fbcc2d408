"""All that is to be known of labelled data before a dataset is made of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from tqdm.auto import tqdm

from ...errors import DatasetError
from ...taxonomy import PartTaxonomy
from ..formats.base import LabelledImage, Labels, Source
from ..formats.registry import find_reader
from ..preparation.repository import map_in_processes
from ..problems import Problems
from .classes import class_ids, taxonomy_of, with_seen
from .examination import Examined, Painter
from .split import FORMAT, VERSION, SplitRule, divide, read_split, validation_count

_DEFAULT_SHARE = "20%"
_SHOWN = 20  # problems in an error, and entries of other lists


@dataclass
class Survey:
    """Labelled images, what is in each, and into which split it goes; with problems no dataset can be made."""

    source: Source
    name: str
    format_name: str
    rule: SplitRule
    images: list[LabelledImage] = field(default_factory=list)
    examined: list[Examined] = field(default_factory=list)  # as `images`
    validates: list[bool] = field(default_factory=list)  # as `images`
    division: str = ""  # how they were divided, in words
    painter: Painter | None = None  # None if the classes are not known
    problems: Problems = field(default_factory=Problems)
    notes: list[str] = field(default_factory=list)

    @property
    def taxonomy(self) -> PartTaxonomy | None:
        """The classes; None if there is a problem with them."""
        return self.painter.taxonomy if self.painter else None

    def refuse_problems(self) -> None:
        """Raises `DatasetError` with the first problems, if there are any."""
        if self.problems:
            more = len(self.problems) - _SHOWN
            shown = "\n".join(f"- {problem}" for problem in self.problems[:_SHOWN])
            rest = f"\n({more:,} more; --dry-run lists all.)" if more > 0 else ""
            raise DatasetError(f"{self.source.given} has {_count(len(self.problems), 'problem')}:\n{shown}{rest}")

    @cached_property
    def overlaps(self) -> Counter[tuple[int, int]]:
        """(lower, upper part id) -> pixels of the lower one that were painted over."""
        return sum((found.overlaps for found in self.examined), Counter())

    def images_of(self, validates: bool) -> list[LabelledImage]:
        """Those of one side, in the order of the source."""
        return [image for image, side in zip(self.images, self.validates) if side == validates]

    def split_json(self) -> str:
        """How the images were divided, so that it can be repeated."""
        sides = {
            name: [i.image_id for i in self.images_of(side)] for name, side in (("train", False), ("validation", True))
        }
        groups: dict[int, list[str]] = {}
        for image, group in zip(self.images, _groups(self)):
            groups.setdefault(group, []).append(image.image_id)
        together = [ids for ids in groups.values() if len(ids) > 1]
        rule = {"division": self.division, "seed": self.rule.seed, "group": self.rule.group, "together": together}
        return (
            json.dumps({"format": FORMAT, "version": VERSION, **rule, "images": sides}, indent=1, ensure_ascii=False)
            + "\n"
        )


def survey(
    source: Source,
    name: str,
    format_name: str | None = None,
    rule: SplitRule | None = None,
    seen: Sequence[str] | None = None,
    unseen: Sequence[str] | None = None,
    num_proc: int = 1,
    progress: bool = True,
) -> Survey:
    """Reads labels, looks at every image and divides them. What is wrong is collected in `problems`."""
    reader = find_reader(source, format_name)
    result = Survey(source, name, reader.name, rule or SplitRule())
    earlier = read_split(result.rule.earlier) if result.rule.earlier else {}
    labels = result.problems.attempt(reader.read, source)
    if labels is None:
        return result
    result.problems.extend(labels.problems)
    result.notes.extend(labels.notes)
    result.images = [image for image in labels.images if image.annotations]
    unlabelled = len(labels.images) - len(result.images)
    if unlabelled:
        result.notes.append(f"{_count(unlabelled, 'image')} without a label are left out.")
    result.painter = _painter(result, labels, seen, unseen)
    if result.painter is None:
        return result
    _examine(result, result.painter.examine, num_proc, progress)
    _divide(result, earlier)
    _add_notes(result, result.painter.taxonomy)
    return result


def _painter(
    result: Survey, labels: Labels, seen: Sequence[str] | None, unseen: Sequence[str] | None
) -> Painter | None:
    used = {annotation.class_name for image in result.images for annotation in image.annotations}
    if not used:
        result.problems.append(f"{result.source.given} holds no labelled image.")
        return None
    taxonomy = result.source.taxonomy
    if taxonomy is None:
        unused = sorted({f"{o}'s {p}" if p else o for o, p in set(labels.classes) - used})
        objects = {object_name for object_name, _ in used}
        unused = [text for text in unused if text not in objects]
        if unused:
            result.notes.append(f"Without a label, and left out of the taxonomy: {_list(unused)}.")
        taxonomy = taxonomy_of(used, labels.classes, result.name, result.problems)
    if taxonomy is None:
        return None
    taxonomy = with_seen(replace(taxonomy, name=result.name), seen, unseen)
    problems = Problems()
    ids = class_ids(sorted(used, key=str), taxonomy, problems)
    result.problems.extend(problems)
    return None if problems else Painter(taxonomy, ids)


def _examine(result: Survey, examine: Callable[[LabelledImage], Examined], num_proc: int, progress: bool) -> None:
    images = result.images
    found = map_in_processes(examine, images, num_proc, chunksize=4)
    result.examined = list(tqdm(found, total=len(images), desc="Examining", unit=" images", disable=not progress))
    for examined in result.examined:
        result.problems.extend(examined.problems)
    names = [image.image_id for image in images]
    result.problems.extend(
        f"The image id {name!r} occurs more than once." for name, n in Counter(names).items() if n > 1
    )


def _divide(result: Survey, earlier: dict[str, bool]) -> None:
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
    groups = _groups(result)
    if len(set(groups)) < 2 or count >= len(result.images):
        fault = f"{_count(len(result.images), 'labelled image')} in {_count(len(set(groups)), 'group')}"
        result.problems.append(f"{fault} cannot be divided for training and {text} for validation; label more.")
        return
    parts = [set(examined.parts) for examined in result.examined]
    result.validates = divide(parts, groups, count, result.rule.seed, fixed)
    grouped = f", groups by {result.rule.group!r}" if result.rule.group else ""
    kept = f", {_count(len(fixed), 'image')} as in an earlier split" if fixed else ""
    result.division = f"{text} for validation, stratified by part{grouped}{kept}, seed {result.rule.seed}"
    if not any(result.validates) or all(result.validates):
        result.problems.append(f"All images went to one side ({result.division}). Give another --val or --split.")


def _keep_split_of_source(result: Survey, splits: set[str | None]) -> None:
    if {"validation", "test"} <= splits:
        kept = [i for i, image in enumerate(result.images) if image.split != "test"]
        result.notes.append(f"{_count(len(result.images) - len(kept), 'image')} of the split test are left out.")
        result.images, result.examined = [result.images[i] for i in kept], [result.examined[i] for i in kept]
    elif "test" in splits:
        result.notes.append("The split test is used for validation.")
    result.validates = [image.split != "train" for image in result.images]
    result.division = "as in the source"
    for first, second in _equal_images(result):
        if result.validates[first] != result.validates[second]:
            names = f"{result.images[first].image.name} and {result.images[second].image.name}"
            result.problems.append(
                f"{names} are the same image on both sides. Remove one, or divide anew with --val 20%."
            )


def _groups(result: Survey) -> list[int]:
    """A number for each image: that of the first of its group, or of an equal one."""
    group = list(range(len(result.images)))
    first: dict[str, int] = {}
    links = _equal_images(result)
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


def _equal_images(result: Survey) -> list[tuple[int, int]]:
    """Pairs of images whose files hold the same bytes."""
    first: dict[str, int] = {}
    digests = enumerate(examined.image_digest for examined in result.examined)
    return [(first[digest], i) for i, digest in digests if digest and first.setdefault(digest, i) != i]


def _add_notes(result: Survey, taxonomy: PartTaxonomy) -> None:
    empty = [name for examined in result.examined for name in examined.empty]
    if empty:
        result.notes.append(f"{_count(len(empty), 'annotation')} without a pixel are left out: {_list(empty)}.")
    cut = [name for examined in result.examined for name in examined.cut]
    if cut:
        result.notes.append(
            f"{_count(len(cut), 'polygon')} reach outside of their image and are cut off: {_list(cut)}."
        )
    if pixels := sum(result.overlaps.values()):
        pairs = [
            f"{taxonomy.part_classes[upper]} over {taxonomy.part_classes[lower]} ({count:,})"
            for (lower, upper), count in result.overlaps.most_common()
        ]
        images = sum(bool(examined.overlaps) for examined in result.examined)
        where = f"{pixels:,} pixels in {_count(images, 'image')}"
        result.notes.append(f"Parts overlap in {where}; the later one counts: {_list(pairs, quote=False)}.")
    if extended := sum(examined.extended for examined in result.examined):
        result.notes.append(f"{_count(extended, 'part')} lie outside of their object, which was extended by them.")
    if equal := _equal_images(result):
        names = [f"{result.images[a].image.name} = {result.images[b].image.name}" for a, b in equal]
        result.notes.append(f"Equal images, kept on one side: {_list(names, quote=False)}.")
    for side, validates in (("training", False), ("validation", True)):
        present = {p for e, v in zip(result.examined, result.validates) if v == validates for p in e.parts}
        missing = [name for i, name in enumerate(taxonomy.part_classes) if i not in present]
        if missing and result.validates:
            result.notes.append(f"No {side} image has {_list(missing)}.")


def _list(values: Sequence[str], quote: bool = True) -> str:
    shown = ", ".join(repr(value) if quote else value for value in values[:_SHOWN])
    return shown + (f" and {len(values) - _SHOWN:,} more" if len(values) > _SHOWN else "")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
