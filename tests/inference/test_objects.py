"""Segmenters that find objects by their names."""

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    DetrConfig,
    MaskFormerConfig,
    MaskFormerForInstanceSegmentation,
    MaskFormerImageProcessor,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessor,
    SwinConfig,
)

from ovparts_hf.errors import CheckpointError, ConfigurationError
from ovparts_hf.inference.objects import PretrainedObjectSegmenter
from ovparts_hf.taxonomy.vocabulary import Vocabulary

VOCABULARY = Vocabulary.of({"cat": ["ear"], "dog": ["ear", "leg"]})
IMAGE = Image.new("RGB", (4, 3))


def save_semantic(folder, labels):
    size = dict(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 1, 1], decoder_hidden_size=8)
    config = SegformerConfig(id2label=labels, label2id={name: i for i, name in labels.items()}, **size)
    SegformerForSemanticSegmentation(config).save_pretrained(folder)
    SegformerImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def save_universal(folder, labels):
    backbone = dict(embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=2, image_size=64)
    decoder = dict(d_model=8, decoder_layers=1, encoder_layers=1, decoder_attention_heads=1, encoder_attention_heads=1)
    config = MaskFormerConfig(
        fpn_feature_size=32,
        mask_feature_size=32,
        backbone_config=SwinConfig(**backbone, out_features=["stage1", "stage2", "stage3", "stage4"]),
        decoder_config=DetrConfig(**decoder, encoder_ffn_dim=8, decoder_ffn_dim=8, num_queries=5),
        id2label=labels,
        label2id={name: i for i, name in labels.items()},
    )
    MaskFormerForInstanceSegmentation(config).save_pretrained(folder)
    MaskFormerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)


@pytest.mark.parametrize("save", [save_semantic, save_universal])
@pytest.mark.parametrize("damage", ["missing", "not finite"])
def test_weights_that_are_missing_or_no_numbers_are_refused(damage, save, tmp_path):
    save(tmp_path, {0: "sky", 1: "dog"})
    assert PretrainedObjectSegmenter.load(str(tmp_path)).labels == ["sky", "dog"]
    tensors = load_file(tmp_path / "model.safetensors")
    key = next(name for name in reversed(tensors) if "weight" in name)
    if damage == "missing":
        del tensors[key]
    else:
        tensors[key].view(-1)[0] = float("nan")
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=rf"\(1 problems\)[^\n]*\n  {damage} .*weight$"):
        PretrainedObjectSegmenter.load(str(tmp_path))


def segment(label, columns, score=None, size=(3, 4)):
    mask = np.zeros(size, dtype=np.uint8)
    mask[:, columns] = 255
    return {"label": label, "score": score, "mask": Image.fromarray(mask)}


def test_segments_are_taken_by_score():
    segments = [segment("dog", [1, 2], 0.9), segment("Cat, kitten", [0, 1], 0.5), segment("sky", [0, 1, 2, 3], 0.99)]
    segmenter = PretrainedObjectSegmenter(lambda image: segments, ["sky", "dog", "Cat, kitten"])
    cat, dog = segmenter(IMAGE, VOCABULARY)
    assert (cat.name, dog.name) == ("cat", "dog")
    np.testing.assert_array_equal(cat.mask, [[True, False, False, False]] * 3)
    np.testing.assert_array_equal(dog.mask, [[False, True, True, False]] * 3)
    semantic = PretrainedObjectSegmenter(lambda image: [segment("hound", [3])], ["hound"], {"hound": "dog"})
    [dog] = semantic(IMAGE, VOCABULARY)
    np.testing.assert_array_equal(dog.mask, [[False, False, False, True]] * 3)
    assert PretrainedObjectSegmenter(lambda image: [], ["dog"])(IMAGE, VOCABULARY) == []


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (["sky"], None, "0 are"),
        (["hound"], {"hund": "dog"}, r"\['hund'\] are none of its classes"),
        (["hound"], {"hound": "horse"}, r"\['horse'\] no objects"),
    ],
)
def test_names_must_fit(labels, names, message):
    with pytest.raises(ConfigurationError, match=message):
        PretrainedObjectSegmenter(lambda image: [], labels, names)(IMAGE, VOCABULARY)


def test_an_error_without_message_is_named(monkeypatch) -> None:
    def fail(*_args, **_options):
        raise OSError

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", fail)
    with pytest.raises(ConfigurationError, match="nowhere.*OSError"):
        PretrainedObjectSegmenter.load("nowhere")
