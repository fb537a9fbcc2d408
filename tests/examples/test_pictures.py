"""The pictures of README and docs are what examples/pictures.py draws."""

import numpy as np
from PIL import Image

from examples.pictures import GROUPS, IMAGES, LEFT_OUT, TRUCK_PARTS, WIDTH, compose, find_examples, mean_iou
from ovparts_hf import PartSegmenter
from ovparts_hf.taxonomy import TOY_WORLD
from ovparts_hf.toy.world import draw

from ..reporting.cards.reading import fences


def test_all_objects_are_as_the_titles_say():
    seen, unseen = (set(names) for names in GROUPS.values())
    unlabelled = {TOY_WORLD.object_classes[TOY_WORLD.object_of(part)] for part in TOY_WORLD.unseen_part_ids}
    assert unseen | set(LEFT_OUT) == unlabelled and not unseen & set(LEFT_OUT)
    assert seen and not seen & unlabelled


def test_the_truck_of_the_snippets_is_a_validation_image_and_its_parts_are_asked_for():
    drawn = np.asarray(draw("validation", 185).image)
    assert np.array_equal(np.asarray(Image.open(IMAGES / "truck.png")), drawn)
    readme = (IMAGES.parents[1] / "README.md").read_text(encoding="utf-8")
    assert str(list(TRUCK_PARTS)).replace("'", '"') in fences(readme, "python")[0]


def test_examples_with_a_mask_stay_inside_it_and_are_scored_by_their_parts():
    segmenter = PartSegmenter.from_pretrained()
    first, *_ = find_examples(segmenter, "cat", count=20)
    scene = draw("validation", first.number)
    assert np.array_equal(first.result.label_map >= 0, scene.object_map == TOY_WORLD.object_classes.index("cat"))
    assert 0.3 < first.iou == mean_iou(scene, first.result) <= 1
    named, *_ = find_examples(segmenter, "cat", ["tail"], with_mask=False, count=20)
    assert named.number == first.number and named.result.classes == ("cat's tail",)

    sheet = compose({"One": [first], "Two": [first, named]})
    assert abs(sheet.width - WIDTH) <= 4 and sheet.height < sheet.width
