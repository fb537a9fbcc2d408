"""Parts of objects whose regions are known, by a model that looks for them in crops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ovparts_hf.inference.objects import ObjectMask
from ovparts_hf.inference.ranking import rank_classes
from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.models.loading import load_model
from ovparts_hf.models.post_processing import ScoreMaps, merge_score_maps, upsample_scores
from ovparts_hf.taxonomy.vocabulary import Vocabulary
from ovparts_hf.toy.world import draw
from ovparts_hf.utils.crops import Box

PARTS = {"castle": ["wall", "roof"], "plane": ["wing", "body", "tail"]}
MARGIN = 0.1


@pytest.fixture(scope="module")
def image():
    return draw("validation", 1).image  # a plane and a castle


@pytest.fixture(scope="module")
def loaded():
    return load_model("toy-trained", object_crop_margin=MARGIN)


@pytest.fixture(scope="module")
def whole():
    return load_model("toy-trained")


@pytest.fixture(scope="module")
def masks(whole, image):
    masks = PartSegmenter(*whole, None)(image, list(PARTS)).masks()
    assert set(masks) == set(PARTS)
    return masks


def in_crops(whole, image, masks, background=False):
    """What the same weights find on images that are crops: (H, W) and the vocabulary's ids."""
    segmenter, vocabulary = PartSegmenter(*whole, None), Vocabulary.of(PARTS)
    label_map = np.full((image.height, image.width), -1)
    for name, mask in masks.items():
        box = Box.around(mask, MARGIN)
        found = segmenter(image.crop(box), {name: PARTS[name]}, background=background).label_map
        ids = np.array([*vocabulary.parts_of(name), -1])[found]
        label_map[mask] = box.paste(ids, label_map.shape, -1)[mask]
    return label_map


@pytest.mark.parametrize("background", [None, True])
def test_masks_are_looked_at_in_their_crops(background, loaded, whole, image, masks):
    result = PartSegmenter(*loaded, None)(image, PARTS, object_masks=masks, background=background)
    expected = in_crops(whole, image, masks, bool(background))
    assert (result.label_map == expected).mean() > 0.999
    assert len(np.unique(expected)) > 3
    plain = PartSegmenter(*whole, None)(image, PARTS, object_masks=masks, background=background)
    assert (result.label_map != plain.label_map).any()
    means = [result.score_map[result.label_map == i].mean(dtype=float) for i in np.unique(result.label_map) if i >= 0]
    np.testing.assert_allclose(means, result.scores[result.scores > 0], atol=2e-3)


def test_boxes_and_object_segmenters_likewise(loaded, whole, image, masks):
    box = (10, 20, 70, 90)
    inside = np.zeros((image.height, image.width), dtype=bool)
    inside[20:90, 10:70] = True
    result = PartSegmenter(*loaded, None)(image, PARTS, boxes={"plane": [box]}, background=False)
    assert (result.label_map == in_crops(whole, image, {"plane": inside})).mean() > 0.999

    def finder(image, vocabulary):
        return [ObjectMask(name, mask) for name, mask in masks.items()]

    result = PartSegmenter(*loaded, finder)(image, PARTS)
    assert (result.label_map == in_crops(whole, image, masks)).mean() > 0.999


@pytest.mark.parametrize("background", [None, True])
def test_objects_that_the_model_finds_itself(background, loaded, whole, image, masks):
    result = PartSegmenter(*loaded, "model")(image, PARTS, background=background)
    assert (result.label_map == in_crops(whole, image, masks, bool(background))).mean() > 0.999


def test_without_regions_and_for_free_text_it_is_the_whole_image(loaded, whole, image):
    for words, finder in ((PARTS, None), (["castle", "plane"], "model")):
        result, expected = (PartSegmenter(*each, finder)(image, words) for each in (loaded, whole))
        np.testing.assert_array_equal(result.label_map, expected.label_map)
        np.testing.assert_array_equal(result.scores, expected.scores)


def test_no_object_means_no_part(loaded, image):
    result = PartSegmenter(*loaded, None)(image, PARTS, object_masks={"plane": []})
    assert (result.label_map == -1).all() and not result.scores.any()


def test_crops_of_several_images_go_through_the_model_together(loaded, image, masks, monkeypatch):
    model, processor = loaded
    other, batches, forward = draw("validation", 9).image, [], model.forward
    corner = np.zeros((other.height, other.width), dtype=bool)
    corner[:30, :50] = True
    monkeypatch.setattr(
        model, "forward", lambda **inputs: batches.append(len(inputs["pixel_values"])) or forward(**inputs)
    )
    segmenter = PartSegmenter(model, processor, None)
    regions = [masks, {"plane": np.stack([corner, ~corner])}]
    results = segmenter([image, other], PARTS, object_masks=regions, batch_size=3)
    assert batches == [3, 1]
    segmenter(image, PARTS, object_masks=masks)
    assert batches == [3, 1, 2]
    for each, of_image, result in zip([image, other], regions, results):
        single = segmenter(each, PARTS, object_masks=of_image)
        assert (result.label_map == single.label_map).mean() > 0.999


def test_rankings_agree_with_label_maps(loaded, image, masks):
    result = PartSegmenter(*loaded, None)(image, PARTS, object_masks=masks, keep_ranking=True)
    np.testing.assert_array_equal(result.ranking.ids[0], result.label_map)
    labelled = result.label_map >= 0
    np.testing.assert_allclose(result.ranking.scores[0][labelled], result.score_map[labelled], atol=2e-3)


# ---- scores of a window ----------------------------------------------------------------------------------------------


def test_scores_of_a_window_lie_in_it():
    size, box = (50, 40), Box(5, 10, 25, 42)
    logits = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    group = ScoreMaps(logits, (0, 1, 2), None, box)
    expected = torch.zeros(3, *size)
    expected[:, 10:42, 5:25] = upsample_scores(logits, box.size)
    for step in (50, 13, 3):
        bands = [group.upsampled(size, "logits", slice(top, min(top + step, 50))) for top in range(0, 50, step)]
        torch.testing.assert_close(torch.cat(bands, dim=1), expected)


def test_windows_are_ranked_in_large_images():
    """Their rankings are smaller than the images."""
    size, box = (1200, 900), Box(300, 600, 500, 800)
    region = np.zeros(size, dtype=bool)
    region[600:800, 300:500] = True
    halves = torch.tensor([[[3.0, -3.0]], [[-3.0, 3.0]]])  # class 0 on the left, class 1 on the right
    maps = [ScoreMaps(halves, (0, 1), region, box)]
    label_map, _ = merge_score_maps(maps, size, 2)
    assert (label_map[region].reshape(200, 200) == np.repeat([[0, 1]], 100, axis=1)).all() and (
        label_map[~region] == -1
    ).all()
    ranking = rank_classes(maps, label_map, 2)
    assert ranking.ids.shape[1] == 512
    assert [i for i, _ in ranking.at(320 / 900, 700 / 1200)] == [0, 1]
    assert [i for i, _ in ranking.at(480 / 900, 700 / 1200)] == [1, 0]
    assert ranking.scores[0].max() == pytest.approx(torch.tensor(3.0).sigmoid().item(), abs=1e-3)
    [(i, _)] = ranking.at(0.9, 0.1)
    assert i == -1
