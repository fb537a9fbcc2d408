import pytest
import torch
from PIL import Image
from transformers import BertConfig, CLIPConfig, CLIPModel, CLIPSegConfig, CLIPSegForImageSegmentation

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.loading import load_config, load_model, load_processor
from ovparts_hf.models.catseg import CATSegForPartSegmentation
from ovparts_hf.models.clipseg import CLIPSegForPartSegmentation, CLIPSegPartConfig

from .models.clipseg.goldens import FACTS, golden_config, golden_processor


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


def test_new_parts_follow_the_seed(stock):
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        values.append(load_model(stock)[0].none_embedding)
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


def test_a_saved_model_comes_back(tmp_path):
    model = CLIPSegForPartSegmentation(golden_config(adapter_ratio=0.5))
    model.save_pretrained(tmp_path)
    golden_processor().save_pretrained(tmp_path)
    loaded, _ = load_model(tmp_path)
    assert loaded.config.adapter_ratio == 0.5
    assert not loaded.training
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values()))


def test_half_precision_files_load_in_single_precision(tmp_path):
    CLIPSegForPartSegmentation(golden_config()).half().save_pretrained(tmp_path)
    golden_processor().save_pretrained(tmp_path)
    assert load_model(tmp_path)[0].dtype == torch.float32


def test_refusals(stock, tmp_path_factory):
    with pytest.raises(ConfigurationError, match="No model configuration at 'nowhere'"):
        load_config("nowhere")
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
    assert load_processor(clip, "catseg").image_processor.size == {"height": 384, "width": 384}


def test_a_family_must_fit(clip, stock):
    with pytest.raises(ConfigurationError, match="is a 'clip' model; a 'clipseg' model of this library takes"):
        load_config(clip, "clipseg")


def test_toy_models_share_one_clip():
    clipseg, _ = load_model("toy")
    catseg, processor = load_model("toy-catseg")
    assert torch.equal(catseg.clip.visual_projection.weight, clipseg.clip.visual_projection.weight)
    outputs = catseg(**processor(images=Image.new("RGB", (120, 90))), **processor(classes=["dog's ear", "a word"]))
    assert outputs.logits.shape == (1, 2, 48, 48)
