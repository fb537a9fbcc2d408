"""The wording of parts."""

import pytest
import torch

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.adapters.loading import load_segmenter
from ovparts_hf.inference.adapters.prompts import PROMPTS, phrase
from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.models.loading import load_model
from ovparts_hf.toy.world import draw


def test_parts_are_put_into_words():
    assert {name: phrase("dog's front leg", name) for name in PROMPTS} == {
        "possessive": "dog's front leg",
        "of": "front leg of a dog",
        "part": "front leg",
    }
    assert all(phrase("a red door", name) == "a red door" for name in PROMPTS)


@torch.no_grad()
@pytest.mark.parametrize("name", ["toy-trained", "toy-catseg"])
def test_models_of_this_library_take_a_wording(name):
    model, processor = load_segmenter(name, prompt="of")
    _, plain = load_model(name)
    expected = model.encode_classes(**plain(classes=["ear of a dog"]))
    torch.testing.assert_close(model.encode_class_names(processor, ["dog's ear"]), expected)
    assert model.vocabulary == load_model(name)[0].vocabulary
    assert processor.templates == plain.templates and processor.scores == plain.scores


def test_without_a_choice_the_wording_is_that_of_training():
    image = draw("validation", 8).image
    default, possessive = (
        PartSegmenter.from_pretrained(device="cpu", prompt=prompt) for prompt in (None, "possessive")
    )
    assert default(image, "bench: seat").scores != possessive(image, "bench: seat").scores
    assert possessive(image, "bench: seat").classes == ("bench's seat",)


def test_wordings_that_cannot_be_chosen_are_refused():
    with pytest.raises(ConfigurationError, match="choose one of"):
        PartSegmenter.from_pretrained(device="cpu", prompt="ear of a dog")
    with pytest.raises(ConfigurationError, match="knows its own classes only"):
        PartSegmenter.from_pretrained("toy-maskformer", "cpu", prompt="of")
