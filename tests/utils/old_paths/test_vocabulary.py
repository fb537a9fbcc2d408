"""The module `ovparts_hf.vocabulary` of versions up to 0.1."""

from ovparts_hf.vocabulary import store_vocabulary

import ovparts_hf
from ovparts_hf import load_model


def test_a_vocabulary_is_stored_as_before():
    model, processor = load_model("toy-trained")
    store_vocabulary(model, processor, ["dog's ear", "dog's tail"], progress=False)
    assert model.vocabulary == ["dog's ear", "dog's tail"]
    assert ovparts_hf.vocabulary.store_vocabulary is store_vocabulary
