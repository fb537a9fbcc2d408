import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.testing import assert_close
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    CLIPConfig,
    CLIPModel,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    ResNetConfig,
    ResNetModel,
)

from ovparts_hf import PartSegmenter
from ovparts_hf.errors import CheckpointError, ConfigurationError
from ovparts_hf.models import loading
from ovparts_hf.models.catseg.modeling_catseg import CATSegForPartSegmentation
from ovparts_hf.models.clipseg.configuration_clipseg import STOCK_THRESHOLD, CLIPSegPartConfig
from ovparts_hf.models.clipseg.modeling_clipseg import CLIPSegForPartSegmentation
from ovparts_hf.models.loading import TOY_FOLDER, ModelSource, load_config, load_model
from ovparts_hf.models.maskformer.configuration_maskformer import MaskFormerPartConfig
from ovparts_hf.models.maskformer.modeling_maskformer import MaskFormerForPartSegmentation
from ovparts_hf.models.maskformer.modules import pad_to_multiple
from ovparts_hf.models.resnet import load_backbone
from ovparts_hf.models.zsseg.modeling_zsseg import ZSSegForPartSegmentation

from .clipseg.goldens import FACTS, golden_config, golden_processor
from .maskformer.goldens import Golden


@pytest.fixture
def stock(tmp_path):
    CLIPSegForImageSegmentation(CLIPSegConfig(**FACTS["model_config"])).save_pretrained(tmp_path)
    golden_processor().save_pretrained(tmp_path)
    return tmp_path


def test_a_stock_model_becomes_one_for_parts(stock):
    model, processor = load_model(stock, segmentation_loss="ce_dice")
    assert isinstance(model, CLIPSegForPartSegmentation)
    assert model.config.segmentation_loss == "ce_dice"
    assert model.config.vision_config.hidden_size == FACTS["model_config"]["vision_config"]["hidden_size"]
    original = CLIPSegForImageSegmentation.from_pretrained(stock)
    assert torch.equal(model.decoder.film_mul.weight, original.decoder.film_mul.weight)
    assert processor(classes=["dog's ear"])["input_ids"].shape[0] == 1


@torch.no_grad()
def test_a_stock_model_is_used_as_it_is(stock, tmp_path_factory):
    model, processor = load_model(stock)
    names, pixels = ["dog's ear", "a red door", "bus"], torch.randn(2, 3, 64, 64)
    tokens = processor(classes=names)
    original = CLIPSegForImageSegmentation.from_pretrained(stock)

    def check(model):
        outputs = model(pixels, **tokens)
        for image, logits in zip(pixels, outputs.logits):
            assert_close(logits, original(pixel_values=image.expand(3, -1, -1, -1), **tokens).logits, atol=1e-5, rtol=0)
        assert_close(outputs.none_logits.sigmoid(), torch.full((2, 1, 64, 64), STOCK_THRESHOLD))

    check(model)
    assert not {name for name, _ in model.named_parameters() if name.startswith(model.new_parts)}
    saved = tmp_path_factory.mktemp("saved")
    model.save_pretrained(saved)
    processor.save_pretrained(saved)
    check(load_model(saved)[0])
    assert load_config(saved).none_threshold == STOCK_THRESHOLD


def test_training_starts_with_adapter_and_none_row(stock):
    source = ModelSource(stock, for_training=True)
    model, _ = source.load()
    assert (model.config.adapter_ratio, model.config.none_threshold) == (0.2, None)
    assert model.none_embedding.requires_grad and source.starts_at_random
    model.set_trainable("VA+L+F+D")
    assert not ModelSource(stock).starts_at_random
    with pytest.raises(ConfigurationError, match=r"names \['VA'\]; use 'none' or join some of \['L', 'F', 'D'\]"):
        load_model(stock)[0].set_trainable("VA+L+F+D")


def test_an_adapter_that_is_not_used_need_not_be_loaded(tmp_path):
    CLIPSegForPartSegmentation(golden_config()).save_pretrained(tmp_path)
    golden_processor().save_pretrained(tmp_path)
    model, _ = load_model(tmp_path, adapter_ratio=0.0, none_threshold=0.4)
    assert model.none_embedding is None and model.describe() == {"threshold_of_none": 0.4, "adapter_ratio": 0.0}
    assert load_model(tmp_path)[0].describe() == {}


def test_new_parts_follow_the_seed(stock):
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        values.append(load_model(stock, for_training=True)[0].none_embedding)
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


def test_a_saved_model_comes_back(tmp_path):
    model = CLIPSegForPartSegmentation(golden_config(adapter_ratio=0.5))
    model.save_pretrained(tmp_path)
    golden_processor().save_pretrained(tmp_path)
    loaded, _ = load_model(tmp_path)
    assert loaded.config.adapter_ratio == 0.5
    assert not loaded.training
    assert_close(dict(loaded.state_dict()), dict(model.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize("place", ["last", "run/last"])
def test_of_the_folder_of_a_run_the_models_in_it_are_named(place, tmp_path):
    CLIPSegForPartSegmentation(golden_config()).save_pretrained(tmp_path / place)
    with pytest.raises(ConfigurationError) as refused:
        load_model(tmp_path)
    named = str(tmp_path / place)
    assert str(refused.value) == f"{str(tmp_path)!r} is no model, but a folder with models in it: name {named!r}."


def test_half_precision_files_load_in_single_precision(tmp_path):
    CLIPSegForPartSegmentation(golden_config()).half().save_pretrained(tmp_path)
    golden_processor().save_pretrained(tmp_path)
    assert load_model(tmp_path)[0].dtype == torch.float32


def test_refusals(stock, tmp_path_factory):
    for name in ("nowhere", "x" * 5000):
        with pytest.raises(ConfigurationError, match=f"No model configuration at '{name}'"):
            load_config(name)
    with pytest.raises(ConfigurationError, match="CLIPSegPartConfig has no field 'colour'"):
        load_config(stock, colour="red")
    other = tmp_path_factory.mktemp("bert")
    BertConfig().save_pretrained(other)
    with pytest.raises(ConfigurationError, match="is a 'bert' model; this library takes .*'clipseg'"):
        load_config(other)


def test_overrides_are_checked(stock):
    with pytest.raises(ConfigurationError, match="segmentation_loss is 'l2'"):
        load_config(stock, segmentation_loss="l2")
    assert isinstance(load_config(stock), CLIPSegPartConfig)


@pytest.fixture
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    facts = FACTS["model_config"]
    config = CLIPConfig(text_config=facts["text_config"], vision_config=facts["vision_config"], projection_dim=32)
    CLIPModel(config).save_pretrained(folder)
    golden_processor().tokenizer.save_pretrained(folder)
    return folder


def test_stock_clip_becomes_a_catseg(clip):
    model, processor = load_model(clip, "catseg", image_size=64, window_size=2)
    assert isinstance(model, CATSegForPartSegmentation)
    assert torch.equal(model.clip.visual_projection.weight, CLIPModel.from_pretrained(clip).visual_projection.weight)
    assert len(processor.templates) == len(set(processor.templates)) == model.config.num_templates == 80
    assert processor(classes=["dog's ear", "cat"])["input_ids"].shape[:2] == (2, 80)
    assert processor.scores == "probabilities"
    assert ModelSource(clip, "catseg").processor().image_processor.size == {"height": 384, "width": 384}


def test_a_family_must_fit(clip, stock):
    with pytest.raises(ConfigurationError, match="is a 'clip' model; a 'clipseg' model of this library takes"):
        load_config(clip, "clipseg")


def test_toy_models_share_one_clip():
    clipseg, _ = load_model("toy")
    catseg, processor = load_model("toy-catseg")
    assert torch.equal(catseg.clip.visual_projection.weight, clipseg.clip.visual_projection.weight)
    outputs = catseg(**processor(images=Image.new("RGB", (120, 90))), **processor(classes=["dog's ear", "a word"]))
    assert outputs.logits.shape == (1, 2, 48, 48)


def test_toy_zsseg_takes_objects_and_has_the_toy_clip():
    clip, _ = load_model("toy-catseg")
    model, processor = load_model("toy-zsseg")
    assert isinstance(model, ZSSegForPartSegmentation)
    assert torch.equal(model.clip.visual_projection.weight, clip.clip.visual_projection.weight)
    words = processor(classes=["dog's ear", "car's wheel"])
    assert (words["input_ids"] < 0).sum(1).tolist() == [8, 8]
    masks = torch.zeros(2, 90, 120, dtype=torch.bool)
    masks[0, 20:60, 10:50] = masks[1, :30, 70:] = True
    outputs = model(**processor(images=Image.new("RGB", (120, 90)), object_masks=masks), **words)
    assert outputs.logits.shape == (2, 2, 128, 171)


def test_plain_toy_zsseg_has_written_prompts():
    plain = {"object_mask_prompt": False, "prompt_lengths": None}
    model, processor = load_model("toy-zsseg", **plain)
    assert (model.config.crop_ratio, model.config.eval_label_size) == (1.0, None)
    assert ModelSource("toy-zsseg").config(crop_ratio=1.5, **plain).crop_ratio == 1.5
    on_clip = ModelSource(str(loading.TOY_FOLDER / "clip"), "zsseg")
    assert list(on_clip.config(**plain).eval_label_size) == [512, 2048]
    assert list(on_clip.config(num_queries=5).eval_label_size) == [512, 768]
    assert model.prompts is None and not model.requires_object_masks
    assert (processor(classes=["dog's ear"])["input_ids"] >= 0).all()
    assert processor.templates == ["a sculpture of a {}."]


def test_toy_maskformer_starts_from_nothing_but_the_seed():
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model, processor = load_model("toy-maskformer", id2label={0: "dog's ear"}, label2id={"dog's ear": 0})
        values.append(model.class_head.weight)
    assert torch.equal(values[0], values[1]) and not torch.equal(values[0], values[2])
    outputs = model(**processor(images=[Image.new("RGB", (120, 90))]))
    assert outputs.logits.shape == (1, 1, 128, 171)


TINY = {"embedding_size": 8, "hidden_sizes": [16, 24, 32, 40], "depths": [1, 1, 1, 1]}
SMALL = {"fpn_feature_size": 32, "mask_feature_size": 8, "hidden_size": 8, "decoder_layers": 1, "decoder_ffn_dim": 8}


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resnet")
    torch.manual_seed(0)
    ResNetModel(ResNetConfig(**TINY)).save_pretrained(folder)
    return folder


def test_a_stock_resnet_becomes_a_maskformer(resnet):
    model, processor = load_model(resnet, num_labels=3, **SMALL)
    assert isinstance(model, MaskFormerForPartSegmentation)
    assert processor.image_processor.size["longest_edge"] == 2048
    original = ResNetModel.from_pretrained(resnet).state_dict()
    own = model.pixel_level_module.backbone.state_dict()
    assert own and all(torch.equal(tensor, original[name]) for name, tensor in own.items())


def test_a_backbone_is_loaded_from_a_folder(resnet):
    model = MaskFormerForPartSegmentation(MaskFormerPartConfig(backbone_config=TINY, **SMALL)).eval()
    other = {name: tensor.clone() for name, tensor in model.state_dict().items() if ".backbone." not in name}
    load_backbone(model, resnet)
    original = ResNetModel.from_pretrained(resnet).eval()
    pixels = torch.randn(1, 3, 64, 64)
    assert_close(model.pixel_level_module.backbone(pixels).feature_maps[-1], original(pixels).last_hidden_state)
    assert other
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in other.items())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_backbone_is_loaded_from_a_file_with_other_names(suffix, tmp_path):
    golden, path = Golden("maskformer"), tmp_path / f"backbone{suffix}"
    tensors = {key.removeprefix("backbone."): value for key, value in golden.tensors().items() if "backbone" in key}
    tensors["fc.weight"] = torch.zeros(3, 3)  # of its classifier
    save_file(tensors, path) if suffix == ".safetensors" else torch.save({"model": tensors}, path)
    sizes = golden.mask_classification_sizes()
    model = MaskFormerForPartSegmentation(MaskFormerPartConfig(**sizes)).eval()
    load_backbone(model, path)
    padded = pad_to_multiple(golden.pixel_values("eval.image"))
    with torch.no_grad():
        golden.check("backbone.res5", model.pixel_level_module.backbone(padded).feature_maps[-1])


@pytest.mark.parametrize("changes", [{"depths": [1, 1, 2, 1]}, {"hidden_sizes": [16, 24, 32, 48]}, {"deep_stem": True}])
def test_a_backbone_that_does_not_fit_is_refused(changes, resnet):
    config = MaskFormerPartConfig(backbone_config={**TINY, **changes}, **SMALL)
    with pytest.raises(CheckpointError, match="does not fit the backbone: .* such as e"):
        load_backbone(MaskFormerForPartSegmentation(config), resnet)


def test_nested_settings_leave_the_rest():
    changed = load_config("toy-zsseg", backbone_config={"depths": [1, 2, 1, 1]})
    assert changed.backbone_config.depths == [1, 2, 1, 1]
    assert changed.backbone_config.hidden_sizes == load_config("toy-zsseg").backbone_config.hidden_sizes
    with pytest.raises(ConfigurationError, match="PartResNetConfig has no field 'depth'"):
        load_config("toy-zsseg", backbone_config={"depth": 3})
    with pytest.raises(ConfigurationError, match="cannot have .*hidden_size.*many"):
        load_config("toy-maskformer", hidden_size="many")


@pytest.mark.parametrize("name", ["toy-trained", "toy-catseg"])
def test_a_configuration_is_read_once(name, monkeypatch):
    calls = []

    class Counted:
        @staticmethod
        def from_pretrained(location, **options):
            calls.append(location)
            return AutoConfig.from_pretrained(location, **options)

    monkeypatch.setattr(loading, "AutoConfig", Counted)  # transformers itself reads it once more for the tokenizer
    source = ModelSource(name)
    model, _ = source.load(ignore_index=77)
    assert model.config.ignore_index == 77
    assert source.config().ignore_index != 77
    assert source.is_base_model == (name == "toy-catseg")
    assert len(calls) == 1
    PartSegmenter.from_pretrained(name, device="cpu")
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("field", "value"), [("reduce_dim", "wide"), ("segmentation_loss", "none"), ("vision_config", 3)]
)
def test_a_configuration_of_other_types_is_one_sentence(field, value, tmp_path):
    folder = shutil.copytree(TOY_FOLDER / "trained", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, field: value}))
    for load in (load_model, AutoConfig.from_pretrained, AutoModel.from_pretrained):
        with pytest.raises(
            ConfigurationError, match=f"The ovparts_clipseg configuration at '{folder}' is wrong: .*"
        ) as e:
            load(folder)
        assert field in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize("name", ["config.json", "processor_config.json", "tokenizer_config.json"])
def test_a_byte_order_mark_is_named(name, tmp_path):
    folder = shutil.copytree(TOY_FOLDER / "trained", tmp_path / "model")
    (folder / name).write_text("\ufeff" + (folder / name).read_text())
    with pytest.raises(ConfigurationError, match=f"{name} begins with a byte order mark: save it as UTF-8 without one"):
        load_model(folder)
