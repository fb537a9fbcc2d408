"""Noise whose labels are those of the taxonomy, so that it can be trained on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.taxonomy import ADE20K_PART_234, PASCAL_PART_116, PartTaxonomy
from ovparts_hf.taxonomy.tasks import TASKS, get_task
from ovparts_hf.training.random_images import RandomImages, usual_size


@pytest.mark.parametrize("taxonomy", [PASCAL_PART_116, ADE20K_PART_234], ids=lambda taxonomy: taxonomy.name)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("level", [None, "image", "object"])
def test_every_part_of_a_trained_object_is_labelled(taxonomy: PartTaxonomy, task: str, level: str | None) -> None:
    images = RandomImages(taxonomy, (120, 90))
    records = images.training_records(get_task(task), level)
    assert len(records) == 2 and all((record.object_id is not None) == (level == "object") for record in records)
    sample = images.read(records[0])
    assert sample.image.size == (120, 90) and sample.part_map.shape == sample.object_map.shape == (90, 120)
    parts = taxonomy.parts_of(images.object_id)
    assert set(np.unique(sample.part_map)) == set(parts) and set(np.unique(sample.object_map)) == {images.object_id}
    assert len(parts) == max(len(taxonomy.parts_of(number)) for number in taxonomy.seen_object_ids)
    names = {taxonomy.part_classes[part] for part in parts}
    assert names <= set(get_task(task).train_taxonomy(taxonomy).part_classes)
    assert sample.image.tobytes() != images.read(records[1]).image.tobytes()


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=5), st.integers(1, 3000))
def test_images_are_no_larger_than_augmentation_leaves_them(short_edges: list[int], max_size: int) -> None:
    width, height = usual_size(short_edges, max_size)
    assert 1 <= height <= width <= max_size
    assert height == min(max(short_edges), max_size)
