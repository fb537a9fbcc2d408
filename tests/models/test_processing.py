import json
import logging

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, CLIPSegConfig

from ovparts_hf.errors import OVPartsError
from ovparts_hf.models.modeling_utils import PartSegmentationOutput
from ovparts_hf.models.post_processing import label_map
from ovparts_hf.models.processing import PartSegmentationImageProcessor, PartSegmentationProcessor

from .clipseg.goldens import FACTS, TINY, golden_config, golden_processor

INPUTS = TINY.inputs


@pytest.fixture(scope="module")
def processor():
    return golden_processor()


def test_images_of_different_sizes_make_a_batch(processor):
    pixels = processor(images=[INPUTS["train.image_u8.0"], INPUTS["train.image_u8.1"]])["pixel_values"]
    assert torch.equal(pixels, INPUTS["train.pixel_values"])


def test_images_and_words_together(processor):
    batch = processor(images=INPUTS["eval.image_u8"], classes=["dog's ear"])
    assert set(batch) == {"pixel_values", "input_ids", "attention_mask"}


def test_save_and_load_keep_the_backend_and_the_tokens(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    golden_config().save_pretrained(tmp_path)
    for loaded in (PartSegmentationProcessor.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)):
        assert type(loaded) is PartSegmentationProcessor
        assert type(loaded.image_processor) is PartSegmentationImageProcessor
        before, after = (p(images=INPUTS["eval.image_u8"], classes=["dog's ear"]) for p in (processor, loaded))
        assert before.keys() == after.keys() != set()
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_loads_the_folder_of_a_stock_model(processor, tmp_path):
    processor.tokenizer.save_pretrained(tmp_path)
    settings = {
        "feature_extractor_type": "ViTFeatureExtractor",
        "size": FACTS["processor"]["size"],
        "do_resize": True,
        "do_normalize": True,
    }
    settings |= {key: FACTS["processor"][key] for key in ("image_mean", "image_std")}
    CLIPSegConfig(**FACTS["model_config"]).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**settings, "resample": 2}))
    loaded = PartSegmentationProcessor.from_pretrained(tmp_path)
    assert torch.equal(loaded(images=INPUTS["eval.image_u8"])["pixel_values"], INPUTS["eval.pixel_values"])


@pytest.mark.parametrize("apostrophe", "\u2018\u2019\u02bc\u2032")
@pytest.mark.parametrize("possessive", [False, True])
def test_typographic_apostrophes_are_read_as_the_plain_one(processor, apostrophe, possessive, monkeypatch):
    monkeypatch.setattr(processor, "possessive", possessive)
    typed, plain = (processor(classes=[f"dog{each}s ear", "cat"]) for each in (apostrophe, "'"))
    assert typed.keys() == plain.keys() == {"input_ids", "attention_mask"}
    assert all(torch.equal(typed[key], plain[key]) for key in plain)


@pytest.mark.parametrize("classes", ["dog's ear", [], ["dog's ear", " "], [3], ["\ud800"]])
def test_refuses_what_are_no_class_names(processor, classes):
    with pytest.raises(OVPartsError, match="list of at least one non-empty string"):
        processor(classes=classes)


def test_refuses_nothing_and_too_much(processor, caplog, monkeypatch):
    with pytest.raises(OVPartsError, match="neither was given"):
        processor()
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    with pytest.raises(OVPartsError, match="takes at most 77"):
        processor(classes=["dog's ear", "dog's " + "ear " * 100])
    assert not caplog.records, "the error says it all"


def test_text_is_another_name_of_classes(processor):
    expected = processor(classes=["dog's ear", "cat's tail"])
    found = processor(text=["dog's ear", "cat's tail"])
    assert expected.keys() == found.keys() != set()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert torch.equal(processor(text="dog's ear")["input_ids"], processor(classes=["dog's ear"])["input_ids"])
    with pytest.raises(OVPartsError, match="both given"):
        processor(classes=["dog's ear"], text=["dog's ear"])


@pytest.mark.parametrize("settings", [{}, {"templates": ["{}", "a {}."]}, {"prompt_lengths": [2, 1, 0]}])
def test_text_becomes_arrays_or_tensors(settings, processor):
    processor = PartSegmentationProcessor(processor.image_processor, processor.tokenizer, **settings)
    tensors, arrays = (processor(classes=["dog's ear"], return_tensors=kind) for kind in ("pt", "np"))
    assert {type(value) for value in arrays.values()} == {np.ndarray}
    assert np.array_equal(tensors["input_ids"], arrays["input_ids"])


def test_options_reach_the_tokenizer_and_the_image_processor(processor):
    options = {"text_kwargs": {"padding": "max_length", "max_length": 20}, "do_normalize": False}
    inputs = processor(images=INPUTS["eval.image_u8"], classes=["dog's ear"], **options)
    assert inputs["input_ids"].shape == (1, 20)
    expected = processor.image_processor(INPUTS["eval.image_u8"], do_normalize=False)
    assert torch.equal(inputs["pixel_values"], expected["pixel_values"])


def scores(*levels):
    """Logits (classes, 2, 2) with one level per class."""
    return torch.tensor(levels, dtype=torch.float32)[:, None, None].expand(-1, 2, 2).clone()


def test_label_map_resizes_scores_not_labels():
    logits = torch.tensor([[[4.0, -4.0]], [[-4.0, 4.0]]])
    expected = torch.nn.functional.interpolate(logits[None], size=(1, 7), mode="bilinear")[0].argmax(0)
    assert torch.equal(label_map(logits, (1, 7)), expected)


def test_label_map_answers_only_candidates():
    logits = scores(5, 1, 3)
    assert (label_map(logits) == 0).all()
    assert (label_map(logits, candidates=[1, 2]) == 2).all()
    assert (label_map(logits, (3, 3), candidates=[]) == -1).all()


def test_lowest_id_wins_where_sigmoids_saturate():
    assert (label_map(scores(0, 30, 40)) == 1).all()


def test_none_wins_only_where_asked(processor):
    outputs = PartSegmentationOutput(logits=scores(1, 2)[None], none_logits=scores(3)[None])
    assert (processor.post_process_part_segmentation(outputs)[0] == 1).all()
    assert (processor.post_process_part_segmentation(outputs, include_none=True)[0] == -1).all()
    with pytest.raises(OVPartsError, match="include_none=True"):
        processor.post_process_part_segmentation(PartSegmentationOutput(logits=scores(1)[None]), include_none=True)


def test_one_size_and_one_candidate_list_per_image(processor):
    outputs = PartSegmentationOutput(logits=torch.stack([scores(1, 2), scores(2, 1)]))
    maps = processor.post_process_part_segmentation(outputs, [(3, 4), (5, 6)], [[0], None])
    assert [tuple(m.shape) for m in maps] == [(3, 4), (5, 6)]
    assert (np.array([m.unique().item() for m in maps]) == 0).all()
    with pytest.raises(OVPartsError, match="1 target_sizes were given for 2 images"):
        processor.post_process_part_segmentation(outputs, [(3, 4)])
