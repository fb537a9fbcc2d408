"""From scores to label maps of any size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ovparts_hf.models import post_processing as label_maps
from ovparts_hf.models.painting import Layer, paint
from ovparts_hf.models.post_processing import SCORES, LabelMaps, score_band, score_maps


class Processor(LabelMaps):
    def __init__(self, scores="plain"):
        self.scores = scores


def layer(*maps, ids=None, inside=None):
    logits = torch.tensor(maps, dtype=torch.float32)
    return Layer(logits, tuple(range(len(logits)) if ids is None else ids), inside)


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 30), st.integers(1, 30), st.sampled_from(SCORES), st.data())
def test_bands_are_rows_of_the_whole(height, width, new_height, new_width, scores, data):
    logits = torch.randn(3, height, width, generator=torch.Generator().manual_seed(height * 10 + width))
    start = data.draw(st.integers(0, new_height - 1))
    rows = slice(start, data.draw(st.integers(start + 1, new_height)))
    size = (new_height, new_width)
    band = score_band(logits, size, rows, scores)
    torch.testing.assert_close(band, score_maps(logits, size, scores)[:, rows], atol=2e-6, rtol=0)


@pytest.mark.parametrize("scores", SCORES)
def test_one_layer_gives_what_the_processor_gives(scores, monkeypatch):
    logits = torch.randn(5, 12, 10, generator=torch.Generator().manual_seed(0))
    none = torch.randn(1, 12, 10, generator=torch.Generator().manual_seed(1))
    processor, size = Processor(scores), (70, 50)
    expected = processor.label_map(logits, size, none_logits=none).numpy()
    layers = [Layer(torch.cat([logits, none]), (0, 1, 2, 3, 4, -1))]
    label_map, _ = paint(layers, size, 5, processor)
    assert label_map.dtype == np.int16
    assert (label_map == expected).all()
    monkeypatch.setattr(label_maps, "BAND", 6 * 50 * 7)  # seven rows at once
    banded, _ = paint(layers, size, 5, processor)
    assert (banded == expected).mean() > 0.999  # equal up to ties


def test_scores_are_means_over_the_pixels_of_a_class(monkeypatch):
    wide = layer([[0.5, 0.9, 0.1, 0.2]], [[0.4, 0.1, 0.8, 1.7]], [[0.0, 0.0, 0.0, 0.0]])
    for band in (label_maps.BAND, 1):
        monkeypatch.setattr(label_maps, "BAND", band)
        label_map, scores = paint([wide], (1, 4), 3, Processor())
        assert label_map.tolist() == [[0, 0, 1, 1]]
        assert scores.tolist() == pytest.approx([0.7, 1.0, 0.0])  # sums of probabilities can exceed 1


def test_a_class_must_exceed_the_threshold():
    label_map, scores = paint([layer([[0.5, 0.9, 0.1]])], (1, 3), 1, Processor(), threshold=0.5)
    assert label_map.tolist() == [[-1, 0, -1]]
    assert scores.tolist() == pytest.approx([0.9])


def test_the_highest_scoring_classes_stay_and_take_over():
    maps = layer([[0.6, 0.1, 0.1]], [[0.5, 0.7, 0.1]], [[0.2, 0.6, 0.9]])
    assert paint([maps], (1, 3), 3, Processor())[0].tolist() == [[0, 1, 2]]
    assert paint([maps], (1, 3), 3, Processor(), top_k=2)[0].tolist() == [[1, 1, 2]]
    assert paint([maps], (1, 3), 3, Processor(), top_k=1)[0].tolist() == [[2, 2, 2]]
    assert paint([maps], (1, 3), 3, Processor(), top_k=9)[0].tolist() == [[0, 1, 2]]


def test_none_stays_among_the_highest():
    maps = layer([[0.6, 0.2, 0.1]], [[0.5, 0.4, 0.1]], [[0.1, 0.3, 0.3]], ids=(0, 1, -1))
    assert paint([maps], (1, 3), 2, Processor())[0].tolist() == [[0, 1, -1]]
    assert paint([maps], (1, 3), 2, Processor(), top_k=1)[0].tolist() == [[0, -1, -1]]


def test_an_object_may_lose_all_of_its_parts():
    left = layer([[0.5, 0.5]], ids=(0,), inside=np.array([[True, False]]))
    right = layer([[0.4, 0.4]], ids=(1,), inside=np.array([[False, True]]))
    assert paint([left, right], (1, 2), 2, Processor(), top_k=1)[0].tolist() == [[0, -1]]


def test_regions_bound_their_layers_and_the_best_wins_where_they_overlap():
    left = layer([[0.5, 0.5, 0.5, 0.5]], ids=(0,), inside=np.array([[True, True, True, False]]))
    middle = layer([[0.4, 0.4, 0.6, 0.4]], ids=(1,), inside=np.array([[False, True, True, False]]))
    for layers in ([left, middle], [middle, left]):
        assert paint(layers, (1, 4), 2, Processor())[0].tolist() == [[0, 0, 1, -1]]


def test_no_object_no_part():
    label_map, scores = paint([], (2, 3), 4, Processor())
    assert (label_map == -1).all() and label_map.shape == (2, 3)
    assert scores.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("size", [(2000, 1500), (60, 50_000), (3_000_000, 1)])
def test_only_so_many_scores_are_held_at_once(size, monkeypatch):
    held = []

    class Watched(Processor):
        def score_band(self, logits, size, rows):
            maps = super().score_band(logits, size, rows)
            held.append(maps.numel())
            return maps

    monkeypatch.setattr(label_maps, "BAND", 2**20)
    label_map, _ = paint([layer([[0.1, 0.2]], [[0.2, 0.1]], [[0, 0]])], size, 3, Watched())
    assert label_map.shape == size
    assert max(held) <= 2**20
    assert sum(held) == 3 * size[0] * size[1]
