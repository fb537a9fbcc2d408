"""All that is to be known of labelled data before a dataset is made of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from tqdm.auto import tqdm

from ...taxonomy import PartTaxonomy
from ..formats.base import LabelledImage, Labels, Source
from ..formats.registry import find_reader
from ..preparation.repository import map_in_processes
from ..problems import Problems
from .classes import class_ids, taxonomy_of, with_seen
from .examination import Examined, Painter
from .notes import add_notes
from .sides import divide_images, image_groups
from .split import FORMAT, VERSION, SplitRule, read_split
from .words import counted, listed


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
        self.problems.refuse(self.source.given, "; --dry-run lists all")

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
        for image, group in zip(self.images, image_groups(self)):
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
    if unlabelled := len(labels.images) - len(result.images):
        result.notes.append(f"Left out: {counted(unlabelled, 'image')} without a label.")
    result.painter = _painter(result, labels, seen, unseen)
    if result.painter is None:
        return result
    _examine(result, result.painter.examine, num_proc, progress)
    divide_images(result, earlier)
    add_notes(result, result.painter.taxonomy)
    return result


def _painter(
    result: Survey, labels: Labels, seen: Sequence[str] | None, unseen: Sequence[str] | None
) -> Painter | None:
    used = {annotation.class_name for image in result.images for annotation in image.annotations}
    if not used:
        if not result.problems:
            result.problems.append(f"{result.source.given} holds no labelled image.")
        return None
    taxonomy = result.source.taxonomy
    if taxonomy is None:
        unused = sorted({f"{o}'s {p}" if p else o for o, p in set(labels.classes) - used})
        objects = {object_name for object_name, _ in used}
        unused = [text for text in unused if text not in objects]
        if unused:
            result.notes.append(f"Left out: classes without a label: {listed(unused)}.")
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
