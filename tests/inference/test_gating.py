"""Parts inside the objects that the same model finds first, as with a stock CLIPSeg."""

import numpy as np
import pytest
import torch

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.gating import gated_candidates
from ovparts_hf.inference.objects import OpenVocabularyObjectSegmenter
from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.models.loading import load_model
from ovparts_hf.taxonomy.vocabulary import Vocabulary
from ovparts_hf.toy.world import draw

PARTS = {"castle": ["wall", "roof"], "plane": ["wing", "body", "tail"]}


@pytest.fixture(scope="module")
def image():
    return draw("validation", 1).image  # a plane and a castle


@pytest.fixture(scope="module")
def stock():
    return load_model("toy")


@pytest.fixture(scope="module")
def trained():
    return load_model("toy-trained")


def test_candidates_are_parts_free_text_and_objects():
    vocabulary = Vocabulary.of(["dog's ear", "a red door", "cat's tail", "dog's leg"])
    assert [list(ids) for ids in gated_candidates(vocabulary)] == [[0, 3], [2], [1], [4, 5]]


@pytest.mark.parametrize("background", [None, True, False])
@pytest.mark.parametrize("loaded", ["stock", "trained"])
def test_one_pass_gives_what_two_give(loaded, background, image, request):
    model, processor = request.getfixturevalue(loaded)
    first = OpenVocabularyObjectSegmenter(PartSegmenter(model, processor, None))
    expected = PartSegmenter(model, processor, first)(image, PARTS, background=background)
    result = PartSegmenter(model, processor, "model")(image, PARTS, background=background)
    assert (result.label_map == expected.label_map).mean() > 0.999
    np.testing.assert_allclose(result.scores, expected.scores, atol=1e-3)
    assert 0 < (result.label_map >= 0).mean() < 1


def test_parts_stay_inside_their_objects(trained, image):
    model, processor = trained
    objects = PartSegmenter(model, processor, None)(image, list(PARTS)).masks()
    assert len(objects) == 2
    segmenter = PartSegmenter(model, processor, "model")
    result = segmenter(image, PARTS)
    for name, ids in Vocabulary.of(PARTS).objects.items():
        assert (np.isin(result.label_map, ids) == objects[name]).all()  # as with any masks, every pixel gets a part
    sparse = segmenter(image, PARTS, background=True)
    assert (sparse.label_map == -1)[result.label_map >= 0].any()


def test_what_a_stock_model_does_by_default_can_be_chosen(stock, trained, image):
    asked = {"castle": ["wall", "roof"]}
    maps = {how: PartSegmenter(*stock, how)(image, asked).label_map for how in ("auto", "model", None)}
    assert (maps["auto"] == maps["model"]).all() and not (maps["auto"] == maps[None]).all()
    maps = {how: PartSegmenter(*trained, how)(image, asked).label_map for how in ("auto", "model", None)}
    assert (maps["auto"] == maps[None]).all() and not (maps["auto"] == maps["model"]).all()


def test_pixels_below_the_threshold_are_none(stock, image):
    """With one object that is everywhere, a part is where it scores more than "none" does."""
    model, processor = stock
    whole = [("castle", np.ones((image.height, image.width), dtype=bool))]
    result = PartSegmenter(model, processor, lambda image, vocabulary: whole)(image, {"castle": ["wall"]})
    with torch.no_grad():
        logits = model(**processor(images=image, classes=["castle's wall"])).logits
    size = (image.height, image.width)
    scores = torch.nn.functional.interpolate(logits, size, mode="bilinear")[0, 0].sigmoid()
    clear = (scores - model.config.none_threshold).abs() > 1e-4
    assert clear.float().mean() > 0.99
    assert ((result.label_map == 0) == (scores > model.config.none_threshold).numpy())[clear.numpy()].all()
    given = PartSegmenter(model, processor)(image, {"castle": ["wall"]}, object_masks=whole[0][1])
    assert (given.label_map == 0).all()  # masks that are given are filled, as with every model


def test_free_text_is_looked_for_everywhere(stock, image):
    segmenter, everywhere = PartSegmenter(*stock), PartSegmenter(*stock, None)
    free_text = everywhere(image, ["house"]).label_map
    assert (segmenter(image, ["house"]).label_map == free_text).all() and (free_text == 0).any()
    castle = segmenter(image, ["castle's wall"]).label_map
    mixed = segmenter(image, ["house", "castle's wall"]).label_map
    assert (mixed[(free_text == 0) & (castle == -1)] == 0).all() and (mixed == 1).any()
    assert (mixed[castle == -1] != 1).all()


def test_an_object_that_is_not_found_has_no_parts(stock, image):
    parts = {"plane": ["wing"]}
    result = PartSegmenter(*stock)(image, parts, background=False)
    assert (result.label_map == -1).all() and not result.scores.any()
    assert (PartSegmenter(*stock, None)(image, parts, background=False).label_map == 0).all()


def test_models_that_cannot_are_refused():
    for name, settings in (("toy-catseg", {}), ("toy-zsseg", {}), ("toy-zsseg", {"object_mask_prompt": False})):
        model, processor = load_model(name, **settings)
        with pytest.raises(ConfigurationError, match="cannot find objects besides their parts"):
            PartSegmenter(model, processor, "model")


@pytest.fixture(scope="module")
def partclipseg():
    torch.manual_seed(0)
    return load_model("toy-partclipseg")


def test_found_objects_are_filled_by_a_model_that_learned_both(partclipseg, image):
    """Without being asked to; unlike a stock CLIPSeg, it leaves no pixel of an object empty."""
    model, processor = partclipseg
    objects = PartSegmenter(model, processor)(image, list(PARTS))
    result = PartSegmenter(model, processor)(image, PARTS)
    for number, ids in enumerate(Vocabulary.of(PARTS).objects.values()):
        assert (np.isin(result.label_map, ids) == (objects.label_map == number)).all()
    assert (result.label_map >= 0).any()
    everywhere = PartSegmenter(model, processor, None)(image, PARTS, background=False)
    assert (everywhere.label_map >= 0).all()
    with torch.no_grad():
        outputs = model(**processor(images=image), **model.encode_vocabulary(processor, everywhere.classes))
    [expected] = processor.post_process_part_segmentation(outputs, [everywhere.label_map.shape])
    assert (everywhere.label_map == expected.numpy()).mean() > 0.999


def test_parts_objects_and_free_text_share_a_pass(partclipseg, image, monkeypatch):
    model, processor = partclipseg
    passes, forward = [], model.forward
    monkeypatch.setattr(model, "forward", lambda **inputs: passes.append(inputs) or forward(**inputs))
    result = PartSegmenter(model, processor)(image, ["castle's wall", "a blue sky", "castle's roof"], background=True)
    assert len(passes) == 1 and len(passes[0]["class_features"]) == 4
    assert passes[0]["name_ids"][:, 1].tolist() == [2, -1, 2, -1]
    assert result.label_map.min() >= -1
