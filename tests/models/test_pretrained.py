"""Damaged folders: no weight stays random, or is no number, without a word."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, CLIPModel, ResNetConfig, ResNetModel

from ovparts_hf import CLIPSegForPartSegmentation, PartSegmenter
from ovparts_hf.errors import CheckpointError
from ovparts_hf.models.auto import FAMILIES, config_class, model_class
from ovparts_hf.models.loading import TOY_FOLDER, ModelSource, load_model
from ovparts_hf.models.prompts import LearnedPrompts
from ovparts_hf.models.resnet import load_backbone
from ovparts_hf.training.prompt_tuning.features import StockCLIP

WEIGHTS = "model.safetensors"


def damaged(folder, name, change):
    """A copy of a toy folder whose tensors `change` has changed in place."""
    shutil.copytree(TOY_FOLDER / name, folder)
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    return folder


def drop(key):
    return lambda tensors: tensors.pop(key)


def rename(key):
    return lambda tensors: tensors.update({f"{key}.other": tensors.pop(key)})


def cut(key):
    return lambda tensors: tensors.update({key: tensors[key][1:].clone()})


def put(key, value):
    return lambda tensors: tensors[key].view(-1)[0].fill_(value)


def replace(tensors):
    tensors.clear()
    tensors["a"] = torch.zeros(1)


NONE, FILM, FEATURES = "none_embedding", "decoder.film_mul.weight", "class_features"
DAMAGES = {
    "replaced": (replace, ("missing decoder", "unexpected a")),
    "none missing": (drop(NONE), (f"missing {NONE}",)),
    "renamed": (rename(FILM), (f"missing {FILM}", f"unexpected {FILM}.other")),
    "cut": (cut(FILM), (f"mismatched {FILM} of shape [63, 64], the model needs [64, 64]",)),
    "vocabulary cut": (cut(FEATURES), (f"mismatched {FEATURES}",)),
    "vocabulary missing": (drop(FEATURES), (f"missing {FEATURES}",)),
    "nan": (put(FILM, float("nan")), (f"not finite {FILM}",)),
    "infinite": (put(FEATURES, float("-inf")), (f"not finite {FEATURES}",)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_refused(damage, tmp_path):
    change, lines = DAMAGES[damage]
    folder = damaged(tmp_path / "model", "trained", change)
    for load in (load_model, PartSegmenter.from_pretrained, AutoModel.from_pretrained):
        with pytest.raises(CheckpointError, match="do not fit a CLIPSegForPartSegmentation") as error:
            load(folder)
        for line in lines:
            assert line in str(error.value)
        assert len(str(error.value).splitlines()) <= 11


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_refuses_what_is_missing(family, tmp_path):
    model, processor = load_model("toy" if family == "clipseg" else f"toy-{family}")
    for part in (model, processor):
        part.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    assert len(tensors) > 10
    for key in (list(tensors)[0], list(tensors)[-1]):
        save_file({name: tensor for name, tensor in tensors.items() if name != key}, tmp_path / WEIGHTS)
        with pytest.raises(CheckpointError, match=f"missing {key}"):
            load_model(tmp_path)


@pytest.mark.parametrize("family", ["clipseg", "partclipseg", "catseg", "zsseg"])
def test_a_pretrained_model_may_only_lack_what_is_new(family, tmp_path):
    name = config_class(family).base_model_type
    fields = {} if name == "clipseg" else ModelSource(f"toy-{family}").fields
    config = ModelSource(TOY_FOLDER / name, family, for_training=True).config(**fields)
    model = model_class(family).from_base_model(TOY_FOLDER / name, config)
    assert any(key.startswith(model.new_parts) for key in model.state_dict())
    key = "clip.logit_scale" if name == "clipseg" else "logit_scale"
    for change in (drop(key), put(key, float("nan")), rename(key), replace):
        folder = damaged(tmp_path / "base", name, change)
        with pytest.raises(CheckpointError, match="logit_scale|missing clip"):
            model_class(family).from_base_model(folder, config)
        shutil.rmtree(folder)


def test_prompts_are_not_tuned_for_a_damaged_clip(tmp_path):
    with pytest.raises(CheckpointError, match="missing logit_scale"):
        StockCLIP.load(damaged(tmp_path / "clip", "clip", drop("logit_scale")))


def test_a_damaged_backbone_is_refused(tmp_path):
    config = load_model("toy-maskformer")[0].config.backbone_config
    names = ("embedding_size", "hidden_sizes", "depths")
    resnet = ResNetModel(ResNetConfig(**{name: getattr(config, name) for name in names}))
    model = load_model("toy-maskformer")[0]
    resnet.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    [first] = [name for name in tensors if name.endswith("embedder.convolution.weight")]
    save_file({name: tensor for name, tensor in tensors.items() if name != first}, tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match=f"missing {first}"):
        load_backbone(model, tmp_path)
    save_file(tensors | {first: torch.full_like(tensors[first], torch.inf)}, tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match=f"not finite {first}"):
        load_backbone(model, tmp_path)


def test_damaged_prompts_are_refused(tmp_path):
    LearnedPrompts(8).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    save_file({"prefix_prompt": tensors["prefix_prompt"]}, tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match="holds no tuned prompts"):
        LearnedPrompts.from_pretrained(tmp_path)
    save_file(tensors | {"fuse_weight": torch.tensor(torch.nan)}, tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match="not finite fuse_weight"):
        LearnedPrompts.from_pretrained(tmp_path)


def test_an_index_on_the_hub_names_files_of_its_folder(tmp_path):
    repository = tmp_path / "models--me--mine"
    shutil.copytree(TOY_FOLDER / "trained", repository / "snapshots" / "main")
    load = CLIPSegForPartSegmentation.from_pretrained
    assert load("me/mine", cache_dir=tmp_path, local_files_only=True, revision="main").vocabulary
    index = repository / "snapshots" / "main" / f"{WEIGHTS}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"a": "../../../secret.safetensors"}}))
    with pytest.raises(CheckpointError, match="may only name files in the same folder"):
        load("me/mine", cache_dir=tmp_path, local_files_only=True, revision="main")


@pytest.mark.parametrize("file", ["../other.safetensors", "/tmp/other.safetensors", "a/b", "..", 3, "gone.safetensors"])
def test_an_index_names_files_of_its_folder(file, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(TOY_FOLDER / "trained", folder)
    (folder / WEIGHTS).rename(tmp_path / "other.safetensors")
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": {"a": file}}))
    with pytest.raises(CheckpointError, match="may only name files|is missing"):
        load_model(folder)


def test_shards_of_a_whole_model_load(tmp_path):
    model = CLIPModel.from_pretrained(TOY_FOLDER / "clip")
    shutil.copytree(TOY_FOLDER / "clip", tmp_path, dirs_exist_ok=True)
    (tmp_path / WEIGHTS).unlink()
    model.save_pretrained(tmp_path, max_shard_size="500KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    loaded = StockCLIP.load(tmp_path).model
    assert torch.equal(loaded.visual_projection.weight, model.visual_projection.weight)


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\xff" * 40, b"\x08\0\0\0\0\0\0\0{}      tail"])
def test_an_unreadable_file_is_one_sentence(content, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(TOY_FOLDER / "trained", folder)
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(CheckpointError, match="weights of .*") as error:
        load_model(folder)
    assert len(str(error.value).splitlines()) <= 11


def test_what_an_index_names_is_shortened(tmp_path):
    index = {"weight_map": {"a": [0] * 70_000}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="may only name files") as error:
        model_class("clipseg").from_pretrained(tmp_path)
    assert len(str(error.value)) < 500


def test_a_flipped_bit_in_pickled_weights(tmp_path):
    folder = shutil.copytree(TOY_FOLDER / "trained", tmp_path / "model")
    tensors, path = load_file(folder / WEIGHTS), folder / "pytorch_model.bin"
    (folder / WEIGHTS).unlink()
    torch.save(tensors, path)
    assert torch.equal(load_model(folder)[0].state_dict()[FILM], tensors[FILM])
    data = path.read_bytes()
    place = data.index(tensors[FILM].numpy().tobytes())
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(CheckpointError, match="pytorch_model.bin is damaged: the checksum"):
        load_model(folder)
