"""What a model is run with, and which scores come back; models of every kind are compared in test_segmenter.py."""

from functools import cache

import numpy as np
import pytest
import torch

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.engine import Request, check_whole_images, predict_scores, prepare_image
from ovparts_hf.models.loading import load_model
from ovparts_hf.toy.world import draw

NAMES = ["bench's seat", "bench's back", "duck's head", "duck's wing"]
IMAGES = [draw("validation", number).image for number in (8, 9)]


@pytest.fixture(scope="module")
def loaded():
    @cache
    def load(name):
        torch.manual_seed(0)
        model, processor = load_model(name)
        return model, processor, model.encode_vocabulary(processor, NAMES)

    return load


def calls_of(model, monkeypatch):
    calls, forward = [], model.forward
    monkeypatch.setattr(model, "forward", lambda **inputs: calls.append(inputs) or forward(**inputs))
    return calls


@torch.no_grad()
@pytest.mark.parametrize("name", ["toy", "toy-partclipseg", "toy-catseg", "toy-partcatseg"])
def test_each_list_of_candidates_gets_its_scores(name, loaded):
    model, processor, class_inputs = loaded(name)
    inputs = [prepare_image(processor, image) for image in IMAGES]
    first, second = predict_scores(
        model, class_inputs, [Request(inputs[0], [(1, 0), (3,)]), Request(inputs[1], [range(4)], include_none=True)]
    )
    assert [maps.ids for maps in first] == [(1, 0), (3,)] and [maps.ids for maps in second] == [(0, 1, 2, 3, -1)]
    for each, image_inputs in zip((first, second), inputs):
        outputs = model(**image_inputs, **class_inputs, include_none=True)
        scores = torch.cat([outputs.logits[0], outputs.none_logits[0]])
        for maps in each:
            assert maps.logits.dtype == torch.float32 and maps.region is None
            torch.testing.assert_close(maps.logits, scores[list(maps.ids)], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["toy", "toy-partclipseg", "toy-catseg", "toy-partcatseg"])
def test_images_of_one_shape_go_together_and_only_their_candidates_are_scored(name, loaded, monkeypatch):
    model, processor, class_inputs = loaded(name)
    calls = calls_of(model, monkeypatch)
    candidates = [(3, 0)], [(0,), (2,)]
    requests = [Request(prepare_image(processor, image), ids) for image, ids in zip(IMAGES, candidates)]
    predict_scores(model, class_inputs, requests)
    [call] = calls
    assert len(call["pixel_values"]) == 2 and not call["include_none"]
    assert call["class_mask"].tolist() == [[True, False, False, True], [True, False, True, False]]


def test_images_of_different_shapes_go_one_by_one(loaded, monkeypatch):
    model, processor, class_inputs = loaded("toy")
    calls = calls_of(model, monkeypatch)
    inputs = [prepare_image(processor, image) for image in IMAGES]
    inputs[1]["pixel_values"] = inputs[1]["pixel_values"][..., :-16]
    predict_scores(model, class_inputs, [Request(each, [range(4)]) for each in inputs])
    assert [call["pixel_values"].shape for call in calls] == [each["pixel_values"].shape for each in inputs]
    assert [call["class_mask"] for call in calls] == [None, None]


@pytest.mark.parametrize("name", ["toy", "toy-partclipseg", "toy-catseg", "toy-partcatseg", "toy-zsseg"])
def test_without_candidates_nothing_is_computed(name, loaded, monkeypatch):
    model, processor, class_inputs = loaded(name)
    calls = calls_of(model, monkeypatch)
    masks = np.zeros((1, IMAGES[0].height, IMAGES[0].width), dtype=bool) if model.requires_object_masks else None
    inputs = prepare_image(processor, IMAGES[0], masks)
    [[maps]] = predict_scores(model, class_inputs, [Request(inputs, [()])])
    assert maps.ids == () and len(maps.logits) == 0
    assert predict_scores(model, class_inputs, [Request(inputs, [])]) == [[]]
    assert calls == []


def test_a_model_that_requires_masks_gets_those_of_one_image_at_a_time(loaded, monkeypatch):
    model, processor, class_inputs = loaded("toy-zsseg")
    calls = calls_of(model, monkeypatch)
    masks = np.ones((2, IMAGES[0].height, IMAGES[0].width), dtype=bool)
    masks[1, 40:] = False
    request = Request(prepare_image(processor, IMAGES[0], masks), [(0, 1), (2, 3)])
    scores = predict_scores(model, class_inputs, [request, request])
    assert [call["object_masks"].shape[0] for call in calls] == [2, 2]
    assert calls[0]["class_mask"].tolist() == [[True, True, False, False], [False, False, True, True]]
    assert [[maps.ids for maps in each] for each in scores] == [[(0, 1), (2, 3)]] * 2
    with pytest.raises(ConfigurationError, match="requires the mask of each object, so it cannot segment whole images"):
        check_whole_images(model)
