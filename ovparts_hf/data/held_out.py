"""Training images that are set aside, to evaluate on while the validation split stays untouched."""

from __future__ import annotations

import datasets

from ..errors import DatasetError
from ..taxonomy.tasks import get_task
from .custom.split import divide
from .part_dataset import PartDataset
from .records import Record


def hold_out(dataset: PartDataset, share: float, seed: int = 0) -> tuple[PartDataset, PartDataset]:
    """Divides the labelled training images of a dataset into those to train on and those to evaluate on.

    Every part gets its share of both, and images that belong together (`PartDataset.together`) are on one side.

    Args:
        dataset: A dataset; it stays as it is.
        share: Of its labelled training images that are held out, between 0 and 1; at least one image.
        seed: Of the choice among images that serve equally well.

    Returns:
        The dataset without the images that are held out, and one with these as its validation split and no others.

    Raises:
        DatasetError: There are not two images, or groups of images, to divide.
    """
    rows, parts = dataset.splits["train"], labelled_images(dataset)
    ids = rows["image_id"]
    groups = [dataset.together.get(ids[row], f"row {row}") for row in parts]
    if len(set(groups)) < 2:
        raise DatasetError(
            f"Of the {len(parts)} labelled training images of {dataset.taxonomy.name!r} none can be held out: there "
            "must be two, or two groups. Label more images, or hold nothing out."
        )
    chosen = divide([set(each) for each in parts.values()], groups, max(1, share * len(parts)), seed, {})
    held = [row for row, is_held in zip(parts, chosen) if is_held]
    kept = rows.select(sorted(set(range(len(rows))) - set(held)))
    names = frozenset(kept["image_id"])
    trained = {**dataset.splits, "train": kept}
    held_out = {"train": rows.select([]), "validation": rows.select(held)}
    return (
        PartDataset(dataset.taxonomy, datasets.DatasetDict(trained), dataset.few_shot_image_ids & names),
        PartDataset(dataset.taxonomy, datasets.DatasetDict(held_out)),
    )


def labelled_images(dataset: PartDataset) -> dict[int, tuple[int, ...]]:
    """Rows of the training split that show a labelled part, each with the ids of its parts."""
    records = dataset.training_records(get_task("supervised"), "image")
    return {record.row: dataset.parts_in(Record("train", record.row)) for record in records}
