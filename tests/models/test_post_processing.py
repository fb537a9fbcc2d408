"""From scores to label maps of any size."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.errors import OVPartsError
from ovparts_hf.models import post_processing
from ovparts_hf.models.modeling_utils import PartSegmentationOutput
from ovparts_hf.models.post_processing import (
    SCORES,
    ScoreMaps,
    SemanticLabelMaps,
    best_position,
    label_map,
    merge_score_maps,
    upsample_scores,
)


def score_maps(*maps, ids=None, region=None):
    logits = torch.tensor(maps, dtype=torch.float32)
    return ScoreMaps(logits, tuple(range(len(logits)) if ids is None else ids), region)


def merge(maps, size, num_classes, **options):
    return merge_score_maps(maps, size, num_classes, "plain", **options)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 30), st.integers(1, 30), st.sampled_from(SCORES), st.data())
def test_bands_are_rows_of_the_whole(height, width, new_height, new_width, scores, data):
    logits = torch.randn(3, height, width, generator=torch.Generator().manual_seed(height * 10 + width))
    start = data.draw(st.integers(0, new_height - 1))
    rows = slice(start, data.draw(st.integers(start + 1, new_height)))
    size = (new_height, new_width)
    band = upsample_scores(logits, size, scores, rows)
    torch.testing.assert_close(band, upsample_scores(logits, size, scores)[:, rows], atol=5e-6, rtol=0)


def test_of_equal_scores_the_first_is_best():
    scores = torch.randint(0, 3, (9, 40, 50), generator=torch.Generator().manual_seed(0)).float()
    scores[4, 0, 0] = scores[6, 0, 0] = torch.nan
    best = best_position(scores)
    assert torch.equal(best, scores.argmax(0)) and best[0, 0] == 4
    assert (scores.max(0).values == scores).sum(0).max() > 1


@pytest.mark.parametrize("scores", SCORES)
def test_one_region_gives_the_plain_label_map(scores, monkeypatch):
    logits = torch.randn(5, 12, 10, generator=torch.Generator().manual_seed(0))
    none = torch.randn(1, 12, 10, generator=torch.Generator().manual_seed(1))
    size = (70, 50)
    expected = label_map(logits, size, none_logits=none, scores=scores).numpy()
    maps = [ScoreMaps(torch.cat([logits, none]), (0, 1, 2, 3, 4, -1))]
    merged, _ = merge_score_maps(maps, size, 5, scores)
    assert merged.dtype == np.int16
    assert (merged == expected).all()
    monkeypatch.setattr(post_processing, "BAND", 6 * 50 * 7)  # seven rows at once
    banded, _ = merge_score_maps(maps, size, 5, scores)
    assert (banded == expected).mean() > 0.999  # equal up to ties


def test_scores_are_means_over_the_pixels_of_a_class(monkeypatch):
    wide = score_maps([[0.5, 0.9, 0.1, 0.2]], [[0.4, 0.1, 0.8, 1.7]], [[0.0, 0.0, 0.0, 0.0]])
    for band in (post_processing.BAND, 1):
        monkeypatch.setattr(post_processing, "BAND", band)
        labels, scores = merge([wide], (1, 4), 3)
        assert labels.tolist() == [[0, 0, 1, 1]]
        assert scores.tolist() == pytest.approx([0.7, 1.0, 0.0])  # sums of probabilities can exceed 1


@pytest.mark.parametrize("band", [post_processing.BAND, 1])
def test_each_pixel_keeps_the_score_of_its_class(band, monkeypatch):
    monkeypatch.setattr(post_processing, "BAND", band)
    maps = score_maps([[0.5, 0.9], [0.1, 1.7]], [[0.75, 0.1], [0.2, 0.0]])
    for options, expected in (({}, [[0.75, 0.9], [0.2, 1]]), ({"threshold": 0.5, "top_k": 1}, [[0, 0.9], [0, 1]])):
        score_map = np.full((2, 2), np.nan, dtype=np.float16)
        merge([maps], (2, 2), 2, score_map=score_map, **options)
        np.testing.assert_allclose(score_map, expected, atol=1e-3)


def test_a_class_must_exceed_the_threshold():
    labels, scores = merge([score_maps([[0.5, 0.9, 0.1]])], (1, 3), 1, threshold=0.5)
    assert labels.tolist() == [[-1, 0, -1]]
    assert scores.tolist() == pytest.approx([0.9])


def test_the_highest_scoring_classes_stay_and_take_over():
    maps = score_maps([[0.6, 0.1, 0.1]], [[0.5, 0.7, 0.1]], [[0.2, 0.6, 0.9]])
    assert merge([maps], (1, 3), 3)[0].tolist() == [[0, 1, 2]]
    assert merge([maps], (1, 3), 3, top_k=2)[0].tolist() == [[1, 1, 2]]
    assert merge([maps], (1, 3), 3, top_k=1)[0].tolist() == [[2, 2, 2]]
    assert merge([maps], (1, 3), 3, top_k=9)[0].tolist() == [[0, 1, 2]]


def test_none_stays_among_the_highest():
    maps = score_maps([[0.6, 0.2, 0.1]], [[0.5, 0.4, 0.1]], [[0.1, 0.3, 0.3]], ids=(0, 1, -1))
    assert merge([maps], (1, 3), 2)[0].tolist() == [[0, 1, -1]]
    assert merge([maps], (1, 3), 2, top_k=1)[0].tolist() == [[0, -1, -1]]


def test_an_object_may_lose_all_of_its_parts():
    left = score_maps([[0.5, 0.5]], ids=(0,), region=np.array([[True, False]]))
    right = score_maps([[0.4, 0.4]], ids=(1,), region=np.array([[False, True]]))
    assert merge([left, right], (1, 2), 2, top_k=1)[0].tolist() == [[0, -1]]


def test_regions_bound_their_scores_and_the_best_wins_where_they_overlap():
    left = score_maps([[0.5, 0.5, 0.5, 0.5]], ids=(0,), region=np.array([[True, True, True, False]]))
    middle = score_maps([[0.4, 0.4, 0.6, 0.4]], ids=(1,), region=np.array([[False, True, True, False]]))
    for maps in ([left, middle], [middle, left]):
        assert merge(maps, (1, 4), 2)[0].tolist() == [[0, 0, 1, -1]]


def test_no_object_no_part():
    labels, scores = merge([], (2, 3), 4)
    assert (labels == -1).all() and labels.shape == (2, 3)
    assert scores.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("size", [(2000, 1500), (60, 50_000), (3_000_000, 1)])
def test_memory_is_bounded(size, monkeypatch):
    held, upsample = [], post_processing.upsample_scores

    def watched(*arguments):
        scores = upsample(*arguments)
        held.append(scores.numel())
        return scores

    monkeypatch.setattr(post_processing, "BAND", 2**20)
    monkeypatch.setattr(post_processing, "upsample_scores", watched)
    labels, _ = merge([score_maps([[0.1, 0.2]], [[0.2, 0.1]], [[0, 0]])], size, 3)
    assert labels.shape == size
    assert max(held) <= 2**20
    assert sum(held) == 3 * size[0] * size[1]


@pytest.mark.parametrize("scores", SCORES)
def test_semantic_maps_in_bands_are_those_at_once(scores, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    logits, none = (torch.rand(2, count, 9, 7, generator=generator) for count in (4, 1))
    outputs = PartSegmentationOutput(logits=logits, none_logits=none)
    sizes = [(37, 50), (23, 20)]
    processor = SemanticLabelMaps()
    processor.scores = scores
    semantic_maps = processor.post_process_semantic_segmentation
    whole = semantic_maps(outputs, sizes)
    monkeypatch.setattr(post_processing, "BAND", 1000)
    for number, (size, expected, found) in enumerate(zip(sizes, whole, semantic_maps(outputs, sizes), strict=True)):
        by_ids = label_map(logits[number], size, none_logits=none[number], scores=scores)
        assert torch.equal(expected, torch.where(by_ids < 0, 4, by_ids))
        assert (found == expected).float().mean() > 0.995
    with_scores = semantic_maps(outputs, sizes, return_segmentation_scores=True)
    for size, expected, found in zip(sizes, whole, with_scores, strict=True):
        assert found.segmentation_scores.shape == (5, *size)
        assert torch.equal(found.segmentation, found.segmentation_scores.argmax(0))
        assert (found.segmentation == expected).float().mean() > 0.995
    assert [tuple(each.shape) for each in semantic_maps(outputs)] == [(9, 7)] * 2
    with pytest.raises(OVPartsError, match="1 target_sizes were given for 2 images"):
        semantic_maps(outputs, sizes[:1])
