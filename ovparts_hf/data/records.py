"""Records: what one training example or one scored sample consists of; those without any part label are left out."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..taxonomy import PartTaxonomy
from ..taxonomy.tasks import Task

Level = Literal["image", "object"]


@dataclass(frozen=True)
class Record:
    """One sample of a dataset: a row of a split, or one object in it."""

    split: str
    row: int
    object_id: int | None = None  # None: the whole image
    instance: int | None = None  # index among the row's instances; None on a semantic dataset


@dataclass(frozen=True)
class LabelledObject:
    """An object of a row and the part ids that are labelled inside it."""

    object_id: int
    instance: int | None
    parts: Sequence[int]


@dataclass(frozen=True)
class RowLabels:
    """The labels of a row, without its pixels."""

    image_id: str
    parts: Sequence[int]
    objects: Sequence[LabelledObject]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> RowLabels:
        """Reads the label columns of a row of either layout."""
        if "instances" in row:
            objects = [LabelledObject(item["category"], i, item["parts"]) for i, item in enumerate(row["instances"])]
        else:
            objects = [LabelledObject(i, None, parts) for i, parts in zip(row["objects"], row["object_parts"])]
        return cls(row["image_id"], row["parts"], objects)


def training_records(
    rows: Iterable[RowLabels], taxonomy: PartTaxonomy, task: Task, level: Level, few_shot: Collection[str]
) -> list[Record]:
    """The images or objects, by `level`, with a label in a task's training vocabulary.

    `few_shot` holds the image ids of the few-shot list.
    """
    names = set(task.train_taxonomy(taxonomy).part_classes)
    usable = {part for part, name in enumerate(taxonomy.part_classes) if name in names}
    records = []
    for row, labels in enumerate(rows):
        if task.train_config == "few_shot_16" and labels.image_id not in few_shot:
            continue
        if level == "object":
            records.extend(_object_records("train", row, labels, usable))
        elif usable.intersection(labels.parts):
            records.append(Record("train", row))
    return records


def evaluation_records(
    splits: Mapping[str, Iterable[RowLabels]], taxonomy: PartTaxonomy, task: Task, few_shot: Collection[str]
) -> list[Record]:
    """The records that a task scores: every labelled object of the validation split, in the order of the rows.

    On an instance dataset, which also gives the split "train", the unseen objects of the training images follow, since
    they are never trained on, less the images that few-shot training uses.
    """
    all_parts = range(len(taxonomy.part_classes))
    records = []
    for row, labels in enumerate(splits["validation"]):
        records.extend(_object_records("validation", row, labels, all_parts))
    seen = set(taxonomy.seen_object_ids)
    held_out = few_shot if task.held_out_config else ()
    for row, labels in enumerate(splits.get("train", ())):
        if labels.image_id not in held_out:
            objects = _object_records("train", row, labels, all_parts)
            records.extend(record for record in objects if record.object_id not in seen)
    return records


def by_image(records: Iterable[Record]) -> list[list[Record]]:
    """The records of each image; those of one image must be adjacent, as `evaluation_records` lists them."""
    return [list(group) for _, group in itertools.groupby(records, lambda record: (record.split, record.row))]


def _object_records(split: str, row: int, labels: RowLabels, usable: Collection[int]) -> Iterator[Record]:
    for labelled in labels.objects:
        if any(part in usable for part in labelled.parts):
            yield Record(split, row, labelled.object_id, labelled.instance)
