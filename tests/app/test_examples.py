"""Images to try."""

import pytest

from ovparts_hf import PartSegmenter
from ovparts_hf.app.examples import PHOTOGRAPHS, drawings, examples_for, knows_photographs, parts_by_object
from ovparts_hf.taxonomy.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def segmenter():
    return PartSegmenter.from_pretrained("toy-trained", device="cpu")


def test_the_toy_is_shown_drawings_alone(segmenter, tmp_path):
    assert not knows_photographs(segmenter)
    assert [example.name for example in examples_for(segmenter)] == [example.name for example in drawings()]
    segmenter.model.save_pretrained(tmp_path)
    segmenter.processor.save_pretrained(tmp_path)
    assert not knows_photographs(PartSegmenter.from_pretrained(tmp_path, device="cpu"))


def test_other_models_are_shown_photographs_too(segmenter, monkeypatch):
    monkeypatch.setattr("ovparts_hf.app.examples.known_parts", lambda segmenter: ["dog's paw"])
    examples = examples_for(segmenter)
    assert [example.name for example in examples[:3]] == list(PHOTOGRAPHS)
    assert len(examples) == len(drawings()) and examples[3].name == drawings()[0].name
    for example in examples[:3]:
        assert min(example.image.size) >= 300
        assert Vocabulary.of(example.text).objects


def test_parts_are_listed_by_object():
    assert parts_by_object(["dog's head", "a red door", "dog's ear"]) == {"dog": ["head", "ear"], "": ["a red door"]}
