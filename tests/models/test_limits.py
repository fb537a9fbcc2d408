"""Damaged and hostile settings of saved models: one sentence within seconds."""

import json
import shutil
import time

import pytest

from ovparts_hf.errors import OVPartsError
from ovparts_hf.models.auto import FAMILIES
from ovparts_hf.models.loading import TOY_FOLDER, load_model

MANY = 10**6
TOY = {family: "toy" if family == "clipseg" else f"toy-{family}" for family in FAMILIES}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved toy model of each family; not to be changed."""
    root = tmp_path_factory.mktemp("saved")
    for family, name in TOY.items():
        for part in load_model(name):
            part.save_pretrained(root / family)
    return root


def refused(folder, file, path, value):
    """Sets a setting, found by its path, and loads the folder."""
    settings = json.loads((folder / file).read_text())
    place = settings
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value
    (folder / file).write_text(json.dumps(settings))
    started = time.monotonic()
    with pytest.raises(OVPartsError) as error:
        load_model(folder)
    assert time.monotonic() - started < 10
    assert len(str(error.value).splitlines()) <= 11 and len(str(error.value)) < 3000
    return str(error.value)


WIDE = [MANY, 10**9, 10**400, -(10**9), -1, 0, 1.5, "many", [], None, {"a": 1}]
FIELDS = {
    "clipseg": [
        ("vision_config", "num_hidden_layers"),
        ("text_config", "hidden_size"),
        ("num_labels",),
        ("reduce_dim",),
    ],
    "partclipseg": [("reduce_dim",), ("decoder_intermediate_size",)],
    "catseg": [("num_hidden_layers",), ("backbone_config", "depths"), ("hidden_size",), ("window_size",)],
    "partcatseg": [("backbone_config", "hidden_size"), ("backbone_config", "patch_size"), ("text_guidance_size",)],
    "zsseg": [("num_queries",), ("prompt_lengths",), ("backbone_config", "embedding_size"), ("decoder_layers",)],
    "maskformer": [("num_queries",), ("decoder_ffn_dim",), ("hidden_size",), ("backbone_config",)],
}
UNUSED = ("num_labels",)  # which follows from id2label


@pytest.mark.parametrize(("family", "path"), [(family, path) for family in FIELDS for path in FIELDS[family]])
def test_absurd_sizes_are_refused(family, path, saved, tmp_path):
    for number, value in enumerate(WIDE[:3] if path == UNUSED else WIDE):
        folder = tmp_path / str(number)
        shutil.copytree(saved / family, folder)
        refused(folder, "config.json", path, value)


@pytest.mark.parametrize("value", [MANY, 0, -5, 2.5, "large", [1], True])
@pytest.mark.parametrize("family", FAMILIES)
def test_absurd_image_sizes_are_refused(family, value, saved, tmp_path):
    shutil.copytree(saved / family, tmp_path / "model")
    settings = json.loads((tmp_path / "model" / "processor_config.json").read_text())
    key = next(iter(settings["image_processor"]["size"]))
    refused(tmp_path / "model", "processor_config.json", ("image_processor", "size", key), value)


@pytest.mark.parametrize("key", ["image_mean", "image_std"])
@pytest.mark.parametrize("value", [[0.5], [0, 0, "a"], [float("nan")] * 3, "none"])
def test_a_normalisation_is_three_numbers(value, key, saved, tmp_path):
    shutil.copytree(saved / "catseg", tmp_path / "model")
    refused(tmp_path / "model", "processor_config.json", ("image_processor", key), value)


def test_pretrained_models_are_checked_likewise(tmp_path):
    for number, value in enumerate((MANY, "many", 10**400)):
        shutil.copytree(TOY_FOLDER / "clipseg", tmp_path / str(number))
        refused(tmp_path / str(number), "config.json", ("vision_config", "num_hidden_layers"), value)


@pytest.mark.parametrize("content", ["", "[]", "3", "null", "{", '{"model_type": 3}', "[" * 100_000, "\udcff"])
def test_a_file_that_is_no_configuration(content, tmp_path):
    (tmp_path / "config.json").write_text(content, errors="surrogateescape")
    with pytest.raises(OVPartsError) as error:
        load_model(tmp_path)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("templates", [[], "a {}", [3], ["a {}", None], ["a name"], {"{}": 1}])
def test_templates_are_sentences_with_a_place_for_the_name(templates, saved, tmp_path):
    shutil.copytree(saved / "catseg", tmp_path / "model")
    assert "templates is" in refused(tmp_path / "model", "processor_config.json", ("templates",), templates)


@pytest.mark.parametrize("lengths", [[4, 4, 1], None, [], 4])
def test_a_processor_with_other_learned_vectors_is_refused(lengths, saved, tmp_path):
    shutil.copytree(saved / "zsseg", tmp_path / "model")
    refused(tmp_path / "model", "processor_config.json", ("prompt_lengths",), lengths)


def test_a_tokenizer_without_an_end(saved):
    model, processor = load_model(saved / "zsseg")
    processor.tokenizer.eos_token = None
    with pytest.raises(OVPartsError, match="no token for the start or the end"):
        model.encode_class_names(processor, ["dog's ear"])


@pytest.mark.parametrize("family", ["catseg", "clipseg", "zsseg"])
def test_a_tokenizer_of_another_model_is_refused(family, saved, tmp_path):
    folder = shutil.copytree(saved / family, tmp_path / "model")
    settings = json.loads((folder / "tokenizer.json").read_text())
    settings["model"]["vocab"] = {word: number + 10**5 for word, number in settings["model"]["vocab"].items()}
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    with pytest.raises(OVPartsError, match="The tokenizer gives the token 10.*do not belong together"):
        load_model(folder)[0].encode_class_names(load_model(folder)[1], ["dog's ear", "cat's tail"])


@pytest.mark.parametrize("value", [0, 2, -2, "a", float("nan")])
def test_a_scale_of_colours_is_at_most_one(value, saved, tmp_path):
    shutil.copytree(saved / "catseg", tmp_path / "model")
    refused(tmp_path / "model", "processor_config.json", ("image_processor", "rescale_factor"), value)
