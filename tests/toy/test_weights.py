"""The toy models that come with the package."""

from importlib import resources

import numpy as np
import pytest
import torch
from transformers import CLIPModel, CLIPSegForImageSegmentation, CLIPTokenizer

from ovparts_hf import CLIPSegForPartSegmentation, PartSegmenter
from ovparts_hf.evaluation.provenance import objection
from ovparts_hf.models.configuration_utils import SHIM
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.toy.world import TOY_WORLD, draw

TOY = resources.files("ovparts_hf") / "toy"
MODELS = {"clip": CLIPModel, "clipseg": CLIPSegForImageSegmentation}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param].from_pretrained(TOY / request.param)


def test_weights_are_small():
    assert sum((TOY / name / "model.safetensors").stat().st_size for name in MODELS) <= 3_000_000


def test_weights_load_completely_and_as_float32(model):
    name = "clip" if isinstance(model, CLIPModel) else "clipseg"
    _, info = type(model).from_pretrained(TOY / name, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}  # so there are some
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_clipseg_is_built_on_the_same_clip():
    clip = CLIPModel.from_pretrained(TOY / "clip").state_dict()
    clipseg = CLIPSegForImageSegmentation.from_pretrained(TOY / "clipseg").clip.state_dict()
    assert clip and clip.keys() == clipseg.keys()
    assert all(torch.equal(clip[key], clipseg[key]) for key in clip)


@pytest.mark.parametrize("name", MODELS)
def test_the_tokenizer_knows_the_words_of_the_toy_world(name):
    tokenizer = CLIPTokenizer.from_pretrained(TOY / name)
    words = {word for prompt in TOY_WORLD.prompts for word in prompt.split()}
    lengths = sorted(len(tokenizer(word)["input_ids"]) - 2 for word in words)
    assert lengths[len(lengths) // 2] == 1
    assert lengths[-1] <= 4


def test_the_tokenizer_takes_any_text_and_ends_it_with_its_last_token():
    tokenizer = CLIPTokenizer.from_pretrained(TOY / "clip")
    ids = tokenizer("Zebra's ear, 3 éclairs!")["input_ids"]
    assert ids[-1] == tokenizer.eos_token_id == len(tokenizer) - 1 == max(ids)
    assert ids.count(tokenizer.unk_token_id) == 1


def test_the_models_expect_the_tokenizer(model):
    name = "clip" if isinstance(model, CLIPModel) else "clipseg"
    tokenizer, text = CLIPTokenizer.from_pretrained(TOY / name), model.config.text_config
    assert (text.vocab_size, text.eos_token_id) == (len(tokenizer), tokenizer.eos_token_id)
    assert text.max_position_embeddings == tokenizer.model_max_length


@pytest.fixture(scope="module")
def trained():
    return PartSegmenter.from_pretrained("toy-trained", device="cpu")


def test_the_trained_model_says_what_it_was_trained_on(trained):
    seen = list(TOY_WORLD.seen().part_classes)
    about = {"task": "zero_shot", "dataset": TOY_WORLD.name, "seen_classes": seen}
    assert trained.model.config.trained_on == about
    assert objection(about, TOY_WORLD, get_task("zero_shot")) is None
    assert "--task zero_shot" in objection(about, TOY_WORLD, get_task("few_shot"))


def test_the_trained_model_is_small_complete_and_built_on_the_same_clip(trained):
    assert sum(path.stat().st_size for path in (TOY / "trained").iterdir()) <= 3_000_000
    _, info = CLIPSegForPartSegmentation.from_pretrained(TOY / "trained", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert {parameter.dtype for parameter in trained.model.parameters()} == {torch.float32}
    clip, learned = CLIPModel.from_pretrained(TOY / "clip").state_dict(), trained.model.clip.state_dict()
    assert clip and all(torch.equal(clip[key], learned[key]) for key in clip)


def test_the_trained_model_carries_the_file_of_this_version():
    assert (TOY / "trained" / SHIM.name).read_bytes() == SHIM.read_bytes()


@pytest.mark.parametrize("number", [13, 19])
def test_the_trained_model_finds_parts_and_leaves_the_background_empty(number, trained):
    scene = draw("app", number)
    name = scene.figures[0].name
    parts = [part for part in TOY_WORLD.part_classes if part.startswith(f"{name}'s")]
    answer = trained(scene.image, parts).label_map
    ids = np.array([TOY_WORLD.part_classes.index(part) for part in parts] + [TOY_WORLD.ignore_index])
    right = ids[answer] == scene.part_map
    background = scene.object_map == TOY_WORLD.ignore_index
    assert right[~background].mean() > 0.7
    assert right[background].mean() > 0.95
