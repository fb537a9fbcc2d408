"""The drawn images and their label maps."""

import io
import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from ovparts_hf.data.rows import semantic_features
from ovparts_hf.toy import world as toy_world
from ovparts_hf.toy.drawing.scene import OBJECTS
from ovparts_hf.toy.garden import TOY_GARDEN
from ovparts_hf.toy.world import TOY_WORLD, draw, few_shot_image_ids, row

IGNORE = TOY_WORLD.ignore_index
KINDS = {"whole": {}, "close-up": {"close_up": True}, "incomplete": {"incomplete": True}}


@pytest.fixture(scope="module")
def scenes():
    return [draw("train", number) for number in range(120)]


def names_of(part_ids):
    return {TOY_WORLD.part_name(i) for i in part_ids}


def test_every_object_can_be_drawn_and_has_parts():
    assert set(OBJECTS) == {*TOY_WORLD.object_classes, *TOY_GARDEN.object_classes}
    assert len(TOY_WORLD.object_classes) == 16
    assert all(TOY_WORLD.parts_of(i) for i in range(16))


def test_unseen_objects_share_part_names_with_seen_ones_and_have_some_of_their_own():
    seen, unseen = names_of(TOY_WORLD.seen_part_ids), names_of(TOY_WORLD.unseen_part_ids)
    assert unseen - seen == {"cab", "mane"}
    assert len(seen & unseen) >= 10


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_image_depends_on_nothing_but_its_number(kind):
    random.seed(1)
    first = draw("train", 3, **kind)
    random.seed(2)
    draw("train", 4)
    second = draw("train", 3, **kind)
    assert first.image.tobytes() == second.image.tobytes()
    assert np.array_equal(first.part_map, second.part_map)
    assert first.figures == second.figures


def test_splits_numbers_and_seeds_give_different_images():
    images = {draw(*key).image.tobytes() for key in [("train", 0), ("train", 1), ("validation", 0), ("train", 0, 1)]}
    assert len(images) == 4


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from(sorted(KINDS)))
@example(598, "incomplete")
def test_a_part_lies_inside_its_object(number, kind):
    scene = draw("any", number, **KINDS[kind])
    assert scene.part_map.shape == scene.object_map.shape == scene.image.size[::-1]
    labelled = scene.part_map != IGNORE
    assert labelled.any() or kind == "incomplete"  # of which every part may be missing
    owners = np.array(TOY_WORLD.part_object_ids)[scene.part_map[labelled]]
    assert np.array_equal(owners, scene.object_map[labelled])


def test_all_classes_occur(scenes):
    shown = np.unique(np.concatenate([np.unique(scene.part_map) for scene in scenes]))
    assert set(shown) == {*range(len(TOY_WORLD.part_classes)), IGNORE}


def test_parts_are_large_enough_to_be_learned(scenes):
    pixels = sum(np.bincount(scene.part_map.ravel(), minlength=256) for scene in scenes)
    images = sum(np.bincount(np.unique(scene.part_map), minlength=256) for scene in scenes)
    mean = pixels[: len(TOY_WORLD.part_classes)] / images[: len(TOY_WORLD.part_classes)]
    assert np.median(mean) > 300
    assert mean.min() > 20


def test_images_show_one_or_two_objects(scenes):
    assert {len(scene.figures) for scene in scenes} == {1, 2}


def test_figures_name_only_parts_that_can_be_seen(scenes):
    for scene in scenes:
        visible = {TOY_WORLD.part_classes[i] for i in np.unique(scene.part_map) if i != IGNORE}
        named = {f"{figure.name}'s {part}" for figure in scene.figures for part in figure.parts}
        assert named and named <= visible


def test_incomplete_objects_lack_parts():
    counts = [len(figure.parts) for number in range(20) for figure in draw("any", number, incomplete=True).figures]
    assert max(counts) <= 3


def test_a_row_fits_the_semantic_layout():
    drawn, scene = row("validation", 7), draw("validation", 7)
    assert set(drawn) == set(semantic_features(TOY_WORLD))
    assert drawn["image_id"] == "validation_00007"
    assert Image.open(io.BytesIO(drawn["image"]["bytes"])).tobytes() == scene.image.tobytes()
    part_map = np.array(Image.open(io.BytesIO(drawn["part_map"]["bytes"])))
    assert np.array_equal(part_map, scene.part_map)
    assert sorted(part for parts in drawn["object_parts"] for part in parts) == drawn["parts"]


def test_the_few_shot_list_holds_each_class_often_enough():
    chosen = few_shot_image_ids(count=150, shots=2)
    assert chosen == few_shot_image_ids(count=150, shots=2)
    assert 0 < len(chosen) < 100
    parts = [draw("train", int(name.removeprefix("train_"))).part_map for name in chosen]
    shown = sum(np.bincount(np.unique(part_map), minlength=256) for part_map in parts)
    assert shown[: len(TOY_WORLD.part_classes)].min() >= 2


def test_the_benchmark_sees_labels_of_unseen_objects_but_training_does_not():
    lookup = TOY_WORLD.part_lookup(TOY_WORLD.seen())
    assert len(TOY_WORLD.unseen_part_ids) == 23
    assert all(lookup[i] == IGNORE for i in TOY_WORLD.unseen_part_ids)
    assert toy_world.SPLIT_SIZES == {"train": 2000, "validation": 300}
