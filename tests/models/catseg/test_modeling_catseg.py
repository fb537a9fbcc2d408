import json
import math

import pytest
import torch
import torch.nn.functional as F
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch.testing import assert_close
from transformers import CLIPModel

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.catseg import aggregator
from ovparts_hf.models.catseg.convert_catseg import convert_catseg
from ovparts_hf.models.catseg.modeling_catseg import CATSegForPartSegmentation
from ovparts_hf.models.post_processing import label_map

from ..tester import NAMES, PartModelTester
from .goldens import TINY, golden_config, prepared


class TestCATSeg(PartModelTester):
    model_class = CATSegForPartSegmentation
    image_size = 64
    output_stride = 4
    traced_images = 1
    # The last layer's attention only maps values; the rest of CLIP compares whole images with texts.
    silent_prefixes = (
        f"clip.vision_model.encoder.layers.{TINY.facts['clip']['vision_layers'] - 1}.self_attn.",
        "clip.logit_scale",
    )

    def make_config(self):
        return golden_config(image_size=self.image_size, window_size=2)

    def make_tokens(self, generator):
        """Several templates for each class."""
        tokens = [super(TestCATSeg, self).make_tokens(generator) for _ in range(golden_config().num_templates)]
        return {name: torch.stack([each[name] for each in tokens], dim=1) for name in tokens[0]}

    @torch.no_grad()
    def test_the_other_classes_matter(self, model, inputs):
        features = model.encode_classes(inputs["input_ids"])
        pixels = inputs["pixel_values"]
        few, all_ = (model(pixels, class_features=each).logits[:, :2] for each in (features[:2], features))
        assert (few - all_).abs().max() > 1e-4

    @torch.no_grad()
    def test_the_order_of_classes_does_not_matter(self, model, inputs):
        features = model.encode_classes(inputs["input_ids"])
        pixels, order = inputs["pixel_values"], torch.tensor([2, 0, 3, 1])
        expected = model(pixels, class_features=features).logits[:, order]
        assert_close(model(pixels, class_features=features[order]).logits, expected, atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_many_classes_go_in_groups_with_the_same_result(self, model, inputs, monkeypatch):
        whole = model(**inputs).logits
        monkeypatch.setitem(aggregator.NUMBERS_AT_ONCE, "cpu", 1)
        assert_close(model(**inputs).logits, whole, atol=1e-5, rtol=0)

    def test_groups_leave_gradients_as_they_are(self, model, inputs, labels, monkeypatch):
        gradients = []
        for limit in (10**9, 1):
            monkeypatch.setitem(aggregator.NUMBERS_AT_ONCE, "cpu", limit)
            model.zero_grad()
            model(**inputs, labels=labels).loss.backward()
            gradients.append(model.aggregator.embedding.convolution.weight.grad.clone())
        assert_close(*gradients, atol=1e-7, rtol=1e-4)

    @torch.no_grad()
    def test_labels_follow_from_the_names_where_they_were_not_saved(self, model, inputs, tmp_path):
        model.store_class_features(NAMES, model.encode_classes(inputs["input_ids"]))
        model.save_pretrained(tmp_path)
        file = tmp_path / "config.json"
        settings = json.loads(file.read_text())
        del settings["id2label"], settings["label2id"]
        file.write_text(json.dumps(settings))
        loaded = CATSegForPartSegmentation.from_pretrained(tmp_path)
        assert loaded.config.id2label == dict(enumerate([*NAMES, "none"])) == model.config.id2label

    def test_starts_from_stock_clip(self, model, tmp_path):
        stock = CLIPModel(golden_config())
        stock.save_pretrained(tmp_path)
        loaded = CATSegForPartSegmentation.from_pretrained(tmp_path, config=model.config)
        assert all(torch.equal(loaded.clip.state_dict()[name], value) for name, value in stock.state_dict().items())
        assert loaded.none_embedding.std().item() == pytest.approx(model.config.text_config.hidden_size**-0.5, rel=0.5)
        assert loaded.aggregator.embedding.convolution.weight.abs().max() > 0.05

    @torch.no_grad()
    def test_half_precision_stays_close(self, model, inputs):
        expected = model(**inputs).logits
        with torch.autocast("cpu", torch.bfloat16):
            assert (model(**inputs).logits - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.fixture(scope="module")
def golden_model():
    """The stored weights: a model whose scores differ."""
    return convert_catseg(TINY.checkpoint, golden_config())[0]


@pytest.fixture(scope="module")
def golden_features(golden_model):
    with torch.no_grad():
        return golden_model.encode_classes(TINY.inputs["token_ids_test"])


@torch.no_grad()
def test_windows_are_scored_like_images_and_averaged(golden_model, golden_features):
    window = golden_model.config.image_size
    stride = int(window * 0.667)
    windows = torch.randn(1, 5, 3, window, window, generator=torch.Generator().manual_seed(0))
    logits = golden_model(windows, class_features=golden_features).logits
    alone = golden_model(windows[0], class_features=golden_features).logits
    enlarged = F.interpolate(alone, size=(window, window), mode="bilinear").sigmoid()
    side = window + stride
    whole = F.interpolate(enlarged[-1:], size=(side, side), mode="bilinear")[0]
    assert logits.shape == (1, len(golden_features), side, side)
    assert_close(logits[0, :, 0, 0].sigmoid(), (enlarged[0, :, 0, 0] + whole[:, 0, 0]) / 2, atol=1e-5, rtol=0)
    last = window - 1
    common = (enlarged[0, :, last, 0] + enlarged[2, :, last - stride, 0]) / 2
    assert_close(logits[0, :, last, 0].sigmoid(), (common + whole[:, last, 0]) / 2, atol=1e-5, rtol=0)


@torch.no_grad()
def test_five_hundred_classes(golden_model, golden_features):
    features = F.normalize(
        torch.randn(500, *golden_features.shape[1:], generator=torch.Generator().manual_seed(1)), dim=-1
    )
    mask = torch.zeros(1, 500, dtype=torch.bool)
    mask[0, 7] = True
    inputs = prepared(TINY.inputs["infer.image"][None])
    logits = golden_model(**inputs, class_features=features, class_mask=mask, include_none=False).logits
    assert logits.isfinite().flatten(2).all(2).nonzero().tolist() == [[0, 7]]
    assert_close(logits[0, 7], golden_model(**inputs, class_features=features).logits[0, 7], atol=1e-4, rtol=0)


@torch.no_grad()
def test_no_class_is_scored_without_candidates(golden_model, golden_features):
    inputs = prepared(TINY.inputs["infer.image"][None])
    nothing = torch.zeros(1, len(golden_features), dtype=torch.bool)
    logits = golden_model(**inputs, class_features=golden_features, class_mask=nothing, include_none=False).logits
    side = golden_model.config.image_size // 4
    assert logits.shape == (1, len(golden_features), side, side)
    assert torch.isneginf(logits).all()
    assert (label_map(logits[0], (9, 9), [], scores="probabilities") == -1).all()


def test_wrong_shapes_are_refused(golden_model, golden_features):
    pixels = prepared(TINY.inputs["infer.image"][None])["pixel_values"]
    with pytest.raises(
        ConfigurationError, match=f"images of {golden_model.config.image_size} x {golden_model.config.image_size}"
    ):
        golden_model(pixels[..., :96], class_features=golden_features)
    with pytest.raises(ConfigurationError, match=r"takes \(classes, {}, {}\)".format(*golden_features.shape[1:])):
        golden_model(pixels, class_features=golden_features[:, :2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segmentation_loss": "l2"}, "choose one of"),
        ({"window_size": 3}, "window_size 3 does not divide the grid of 8"),
        ({"pooling_size": 3}, "pooling_size 3 does not divide"),
        ({"decoder_sizes": [32]}, "one entry for each of the 2 ResNet stages"),
        ({"text_precision": "int8"}, "text_precision is 'int8'"),
    ],
)
def test_wrong_configurations(changes, message):
    with pytest.raises(StrictDataclassClassValidationError) as error:
        golden_config(**changes)
    assert message in str(error.value.__cause__)


@pytest.mark.parametrize("name", ["B+D", "D", "B+C+D"])
def test_whatever_is_trainable_gets_a_gradient(name, golden_model):
    """Several processes could not train together otherwise."""
    golden_model.set_trainable(name)
    inputs = prepared(TINY.inputs["train.images"])
    golden_model(**inputs, input_ids=TINY.inputs["token_ids_train"], labels=TINY.inputs["train.labels"]).loss.backward()
    trainable = {name for name, parameter in golden_model.named_parameters() if parameter.requires_grad}
    assert trainable == {name for name, parameter in golden_model.named_parameters() if parameter.grad is not None}
    golden_model.zero_grad()


def test_unknown_trainable_group(golden_model):
    with pytest.raises(ConfigurationError, match=r"names \['V'\]"):
        golden_model.set_trainable("B+V")
    assert math.isfinite(golden_model.none_embedding.sum())
