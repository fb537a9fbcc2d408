"""Training images that are set aside: which, how many, and that nothing is in both parts."""

import datasets
import numpy as np
import pytest

from ovparts_hf.data.held_out import hold_out, labelled_images
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.errors import DatasetError
from ovparts_hf.taxonomy.tasks import get_task


def ids(dataset, split):
    return list(dataset.splits[split]["image_id"])


def test_a_dataset_is_divided(garden_folder):
    dataset = PartDataset.load(garden_folder)
    kept, held = hold_out(dataset, 0.25, seed=1)
    assert sorted(ids(kept, "train") + ids(held, "validation")) == sorted(ids(dataset, "train"))
    assert len(ids(held, "validation")) == 3 and ids(held, "train") == []
    assert ids(kept, "validation") == ids(dataset, "validation")
    assert kept.few_shot_image_ids == dataset.few_shot_image_ids - set(ids(held, "validation"))
    records = held.evaluation_records(get_task("supervised"))
    assert {held.read(record).image_id for record in records} == set(ids(held, "validation"))
    assert len(ids(dataset, "train")) == 12  # it stays as it was


def test_equal_seeds_hold_out_the_same(garden_folder):
    drawn = [ids(hold_out(PartDataset.load(garden_folder), 0.25, 5)[1], "validation") for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_every_part_is_trained_on(garden_folder):
    dataset = PartDataset.load(garden_folder)
    for seed in range(3):
        kept, _ = hold_out(dataset, 0.5, seed)
        trained = {part for parts in labelled_images(kept).values() for part in parts}
        assert trained == {part for parts in labelled_images(dataset).values() for part in parts}


def test_instances_are_divided_as_well(ade):
    twice = datasets.concatenate_datasets([ade.splits["train"]] * 2)
    kept, held = hold_out(PartDataset(ade.taxonomy, datasets.DatasetDict({**ade.splits, "train": twice})), 0.25)
    assert held.layout == "instance" and len(kept.splits["train"]) == 9
    assert {record.split for record in held.evaluation_records(get_task("supervised"))} == {"validation"}


def test_images_that_belong_together_stay_together(garden_folder):
    dataset = PartDataset.load(garden_folder)
    dataset.together = {name: number // 4 for number, name in enumerate(ids(dataset, "train"))}
    for seed in range(4):
        kept, held = hold_out(dataset, 0.3, seed)
        groups = [{dataset.together[name] for name in names} for names in (ids(kept, "train"), ids(held, "validation"))]
        assert not groups[0] & groups[1] and all(groups)


def test_a_single_group_cannot_be_divided(garden_folder):
    dataset = PartDataset.load(garden_folder)
    dataset.together = dict.fromkeys(ids(dataset, "train"), 0)
    with pytest.raises(DatasetError, match="Of the 12 labelled training images of 'toy-garden' none can be held out"):
        hold_out(dataset, 0.5)
    dataset.splits["train"] = dataset.splits["train"].select(np.arange(1))
    with pytest.raises(DatasetError, match="there must be two, or two groups"):
        hold_out(PartDataset(dataset.taxonomy, dataset.splits), 0.5)
