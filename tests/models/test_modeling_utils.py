import pytest
import torch

from ovparts_hf.errors import ConfigurationError, OVPartsError
from ovparts_hf.models.loading import load_model

WORDS = ["dog's ear", "bus's wheel", "dog's ear", "cat's tail"]


@pytest.fixture(scope="module")
def toy():
    return load_model("toy-catseg")


def test_each_name_is_encoded_once_and_has_its_row(toy, monkeypatch):
    model, processor = toy
    asked = []
    encode = model.encode_classes
    monkeypatch.setattr(model, "encode_classes", lambda **tokens: asked.append(tokens) or encode(**tokens))
    rows = model.encode_class_names(processor, WORDS)
    assert sum(len(tokens["input_ids"]) for tokens in asked) == 3
    assert torch.equal(rows[0], rows[2])
    for name, row in zip(WORDS, rows):
        torch.testing.assert_close(row, encode(**processor(classes=[name]))[0], atol=1e-6, rtol=0)


def test_stored_names_are_looked_up(monkeypatch):
    model, processor = load_model("toy-catseg")
    assert model.stored_class_features == {}
    kept = torch.randn(1, 2, 64)
    model.store_class_features(["cat's tail"], kept)
    rows = model.encode_class_names(processor, WORDS)
    assert torch.equal(rows[3], kept[0])
    assert rows.shape == (4, 2, 64)


def test_a_text_encoder_that_learns_is_noticed():
    model, processor = load_model("toy", for_training=True)
    for trainable, expected in (("VA+F+D", False), ("VA+L+F+D", True), ("none", False)):
        model.set_trainable(trainable)
        assert model.text_encoder_is_trainable(processor, WORDS) is expected


@pytest.mark.parametrize("name", ["toy-catseg", "toy-partcatseg"])
def test_of_many_prompts_one_shows_whether_their_encoder_learns(name, monkeypatch):
    model, processor = load_model(name, for_training=True)
    seen, encode = [], model.encode_classes
    monkeypatch.setattr(model, "encode_classes", lambda **tokens: seen.append(tokens["input_ids"]) or encode(**tokens))
    model.set_trainable("B+C+D")
    assert model.text_encoder_is_trainable(processor, WORDS) is False
    model.clip.text_model.requires_grad_(True)
    assert model.text_encoder_is_trainable(processor, WORDS) is True
    assert [ids.shape[:2] for ids in seen] == [(1, 1)] * 2


def test_an_empty_vocabulary_is_refused(toy):
    with pytest.raises(OVPartsError, match="vocabulary is empty"):
        toy[0].encode_class_names(toy[1], [])


def test_a_stored_vocabulary_replaces_another_and_looks_up_what_it_shares():
    model, processor = load_model("toy-catseg")
    assert model.vocabulary is None
    kept = torch.randn(2, 2, 64)
    model.store_class_features(["cat's tail", "bus's door"], kept)
    names = ["dog's ear", "cat's tail"]
    model.store_vocabulary(processor, names)
    assert model.vocabulary == list(model.stored_class_features) == names
    assert torch.equal(model.stored_class_features["cat's tail"], kept[0])


def test_a_closed_vocabulary_is_the_model_s_own():
    names = {0: "dog's ear", 1: "bus's wheel", 2: "cat's tail"}
    model, processor = load_model("toy-maskformer", id2label=names, label2id={name: i for i, name in names.items()})
    model.store_vocabulary(processor, ["dog's ear"])
    assert model.vocabulary == list(names.values())


@pytest.mark.parametrize(("names", "message"), [(["none"], "'none' is what pixels without"), (["x", "x"], "each name")])
def test_names_that_labels_could_not_tell_apart_are_refused(names, message, toy):
    model, processor = toy
    with pytest.raises(ConfigurationError, match=message):
        model.store_vocabulary(processor, names, progress=False)
    assert model.vocabulary is None
