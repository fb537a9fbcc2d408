"""The toy garden: new objects, drawn by the same pencil."""

import numpy as np
import pytest

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.dataset_builders import ToyGarden
from ovparts_hf.taxonomy import TOY_WORLD
from ovparts_hf.toy.garden import GARDEN_SIZES, TOY_GARDEN
from ovparts_hf.toy.world import draw


@pytest.fixture(scope="module")
def scenes():
    return [draw("train", number, taxonomy=TOY_GARDEN) for number in range(60)]


def parts(taxonomy):
    return {taxonomy.part_name(i) for i in range(len(taxonomy.part_classes))}


def test_it_shares_neither_objects_nor_parts_with_the_toy_world():
    assert not set(TOY_GARDEN.object_classes) & set(TOY_WORLD.object_classes)
    assert not parts(TOY_GARDEN) & parts(TOY_WORLD)
    assert TOY_GARDEN.seen_objects == TOY_GARDEN.object_classes and len(TOY_GARDEN.part_classes) == 26


def test_every_part_can_be_seen(scenes):
    pixels = sum(np.bincount(scene.part_map.ravel(), minlength=256) for scene in scenes)
    images = sum(np.bincount(np.unique(scene.part_map), minlength=256) for scene in scenes)
    count = len(TOY_GARDEN.part_classes)
    assert images[:count].min() > 0 and (pixels[:count] / images[:count]).min() > 40
    assert not pixels[count:255].any()


def test_parts_lie_inside_their_objects(scenes):
    owners = np.append(TOY_GARDEN.part_object_ids, np.full(256 - len(TOY_GARDEN.part_object_ids), 255))
    for scene in scenes:
        labelled = scene.part_map != 255
        assert np.array_equal(owners[scene.part_map[labelled]], scene.object_map[labelled])


def test_it_is_a_dataset_repository(garden_folder):
    dataset = PartDataset.load(garden_folder)
    assert dataset.taxonomy == TOY_GARDEN
    assert {name: len(rows) for name, rows in dataset.splits.items()} == {"train": 12, "validation": 8}
    assert ToyGarden().images == GARDEN_SIZES == {"train": 30, "validation": 200}
    assert ToyGarden().fingerprint() != ToyGarden(seed=1).fingerprint()
