"""Drawn images with whole objects as labels."""

import numpy as np

from ovparts_hf.reporting.toy_table.whole_objects import WHOLE_OBJECTS, WholeObjects
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.toy.world import TOY_WORLD, draw


def test_each_object_is_its_only_part():
    assert WHOLE_OBJECTS.object_classes == TOY_WORLD.object_classes
    assert WHOLE_OBJECTS.part_object_ids == tuple(range(len(TOY_WORLD.object_classes)))
    assert WHOLE_OBJECTS.part_classes[0] == f"{TOY_WORLD.object_classes[0]}'s {TOY_WORLD.object_classes[0]}"


def test_labels_are_objects_of_images_that_are_drawn_for_this_alone():
    dataset = WholeObjects(3)
    records = dataset.training_records(get_task("supervised"))
    assert len(records) == 3
    for record in records:
        sample, scene = dataset.read(record), draw("pretrain", record.row)
        assert np.array_equal(sample.part_map, scene.object_map) and np.array_equal(sample.object_map, scene.object_map)
        assert sample.part_map is not sample.object_map and sample.part_map.dtype == np.int64
        assert (sample.part_map != TOY_WORLD.ignore_index).any()
        assert np.array_equal(np.asarray(sample.image), np.asarray(scene.image))
        assert not np.array_equal(np.asarray(sample.image), np.asarray(draw("validation", record.row).image))
