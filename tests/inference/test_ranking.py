"""The best classes of each pixel."""

import numpy as np
import pytest
import torch
from PIL import Image

from ovparts_hf import PartSegmenter
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.ranking import RANKING_EDGE, rank_classes
from ovparts_hf.models.post_processing import ScoreMaps, merge_score_maps
from ovparts_hf.toy.world import draw

NAMES = ["dog's head", "dog's leg", "dog's tail", "car's wheel", "car's body"]


@pytest.fixture(scope="module")
def segmenter():
    return PartSegmenter.from_pretrained("toy-trained", device="cpu")


def test_classes_are_ranked_by_their_scores():
    logits = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0))
    maps = [ScoreMaps(logits, (0, 1, 2, 3, 4, -1))]
    labels, _ = merge_score_maps(maps, (8, 10), 5)
    ranking = rank_classes(maps, labels, 5)
    scores = torch.nn.functional.interpolate(logits[None], (8, 10), mode="bilinear")[0].sigmoid().numpy()
    order = np.argsort(-scores, axis=0)[:4]
    assert np.array_equal(ranking.ids, np.where(order == 5, -1, order))
    assert np.allclose(ranking.scores, np.take_along_axis(scores, order, 0), atol=1e-6)
    assert np.array_equal(ranking.ids[0], labels)


def test_only_the_parts_of_objects_that_are_there_are_ranked():
    region = np.zeros((4, 6), dtype=bool)
    region[:, :3] = True
    maps = [
        ScoreMaps(torch.tensor([1.0, 2.0])[:, None, None], (0, 1), region),
        ScoreMaps(torch.zeros(1, 1, 1), (2,), ~region),
    ]
    labels, _ = merge_score_maps(maps, (4, 6), 3)
    ranking = rank_classes(maps, labels, 3)
    assert [class_id for class_id, _ in ranking.at(0.1, 0.5)] == [1, 0]
    assert [class_id for class_id, _ in ranking.at(0.9, 0.5)] == [2]


def test_a_pixel_below_the_threshold_is_none_and_still_ranked():
    maps = [ScoreMaps(torch.tensor([0.1, 0.3])[:, None, None], (0, 1))]
    labels, _ = merge_score_maps(maps, (2, 2), 2, "plain", threshold=0.5)
    assert rank_classes(maps, labels, 2, "plain").at(0, 0) == [
        (-1, -1),
        (1, pytest.approx(0.3)),
        (0, pytest.approx(0.1)),
    ]


def test_a_large_image_has_a_coarser_ranking():
    labels = np.zeros((3 * RANKING_EDGE, RANKING_EDGE), dtype=np.int16)
    ranking = rank_classes([ScoreMaps(torch.zeros(1, 2, 2), (0,))], labels, 1)
    assert ranking.ids.shape == ranking.scores.shape == (4, RANKING_EDGE, round(RANKING_EDGE / 3))


def test_a_result_says_what_is_at_a_pixel(segmenter):
    image = draw("app", 0).image
    result = segmenter(image, NAMES, keep_ranking=True)
    assert np.array_equal(result.label_map, segmenter(image, NAMES).label_map)
    for x, y in [(0, 0), (image.width - 1, image.height - 1), (image.width // 2, image.height // 2)]:
        own, *others = result.at(x, y)
        label = result.label_map[y, x]
        assert own[0] == (None if label < 0 else result.classes[label])
        assert len(others) == 3 and all(own[1] >= score for _, score in others)
    with pytest.raises(ConfigurationError, match=r"\(-1, 0\) is outside the image"):
        result.at(-1, 0)
    with pytest.raises(ConfigurationError, match="keep_ranking=True"):
        segmenter(image, NAMES).at(0, 0)


def test_each_of_several_images_is_ranked(segmenter):
    images = [Image.new("RGB", (20, 10)), draw("app", 0).image]
    results = segmenter(images, NAMES, keep_ranking=True)
    assert [result.ranking.ids.shape[1:] for result in results] == [(image.height, image.width) for image in images]
