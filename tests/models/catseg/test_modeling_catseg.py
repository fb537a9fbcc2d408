import json
import math

import pytest
import torch
import torch.nn.functional as F
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch.testing import assert_close
from transformers import CLIPModel

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.catseg import CATSegForPartSegmentation, aggregator
from ovparts_hf.models.catseg.convert_catseg import convert_catseg
from ovparts_hf.models.post_processing import label_map

from ..tester import NAMES, PartModelTester
from .goldens import FACTS, FOLDER, INPUTS, OUTPUTS, golden_config, prepared


class TestCATSeg(PartModelTester):
    model_class = CATSegForPartSegmentation
    image_size = 64
    output_stride = 4
    # The last layer's attention only maps values; the rest of CLIP compares whole images with texts.
    silent_prefixes = ("clip.vision_model.encoder.layers.1.self_attn.", "clip.logit_scale")

    def make_config(self):
        return golden_config(image_size=self.image_size, window_size=2)

    def make_tokens(self, generator):
        """Three sentences for each class."""
        tokens = [super(TestCATSeg, self).make_tokens(generator) for _ in range(3)]
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

    def test_gradient_checkpointing_changes_nothing(self, model, inputs, labels):
        model.train()
        plain = model(**inputs, labels=labels).loss
        model.gradient_checkpointing_enable()
        assert_close(model(**inputs, labels=labels).loss, plain)

    @torch.no_grad()
    def test_labels_follow_from_the_names_where_they_were_not_saved(self, model, inputs, tmp_path):
        model.store_classes(NAMES, model.encode_classes(inputs["input_ids"]))
        model.save_pretrained(tmp_path)
        file = tmp_path / "config.json"
        settings = json.loads(file.read_text())
        del settings["id2label"], settings["label2id"]
        file.write_text(json.dumps(settings))
        loaded = CATSegForPartSegmentation.from_pretrained(tmp_path)
        assert loaded.config.id2label == {**dict(enumerate(NAMES)), 4: "none"} == model.config.id2label

    def test_starts_from_stock_clip(self, model, tmp_path):
        stock = CLIPModel(golden_config())
        stock.save_pretrained(tmp_path)
        loaded = CATSegForPartSegmentation.from_pretrained(tmp_path, config=model.config)
        assert all(torch.equal(loaded.clip.state_dict()[name], value) for name, value in stock.state_dict().items())
        assert loaded.none_embedding.std().item() == pytest.approx(64**-0.5, rel=0.5)
        assert loaded.aggregator.embedding.convolution.weight.abs().max() > 0.05

    @torch.no_grad()
    def test_half_precision_stays_close(self, model, inputs):
        expected = model(**inputs).logits
        with torch.autocast("cpu", torch.bfloat16):
            assert (model(**inputs).logits - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.fixture(scope="module")
def golden_model():
    return convert_catseg(FOLDER / "checkpoint.pth", golden_config())[0]


@pytest.fixture(scope="module")
def golden_features(golden_model):
    with torch.no_grad():
        return golden_model.encode_classes(INPUTS["token_ids_test"])


def agrees(value, name, atol=1e-5):
    assert_close(value, OUTPUTS[name], atol=atol, rtol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("split", ["test", "train"])
def test_class_features_agree(split, golden_model):
    features = golden_model.encode_classes(INPUTS[f"token_ids_{split}"])
    none = F.normalize(golden_model.none_embedding, dim=-1)[:, None].expand(-1, 3, -1)
    agrees(torch.cat([features, none]), f"text.text_features_{split}")


@torch.no_grad()
def test_class_features_in_half_precision_agree(golden_model, monkeypatch):
    expected = OUTPUTS["text.text_features_test_halfclip"][:-1]
    single = golden_model.encode_classes(INPUTS["token_ids_test"])
    monkeypatch.setattr(golden_model.config, "text_precision", "float16")
    half = golden_model.encode_classes(INPUTS["token_ids_test"])
    assert_close(half, expected, atol=0.02, rtol=0)  # how half precision is summed differs between processors
    assert not torch.equal(half, single)
    assert half.dtype == torch.float32
    assert next(golden_model.clip.text_model.parameters()).dtype == torch.float32


@torch.no_grad()
def test_every_intermediate_agrees(golden_model, golden_features):
    seen = {}

    def note(name):
        return lambda module, inputs, output: seen.setdefault(name, output)

    modules = {
        "swin_block1": golden_model.aggregator.layers[0].spatial.block_1,
        "swin": golden_model.aggregator.layers[0].spatial,
        "layer0": golden_model.aggregator.layers[0],
        "layer1": golden_model.aggregator.layers[1],
        "embedding": golden_model.aggregator.embedding,
        "text_guidance": golden_model.aggregator.text_guidance,
        "image_guidance": golden_model.aggregator.image_guidance,
        "decoder_guidance0": golden_model.aggregator.decoder_guidance[0],
        "decoder_guidance1": golden_model.aggregator.decoder_guidance[1],
        "decoder1": golden_model.aggregator.decoder.stages[0],
        "ln_pre": golden_model.clip.vision_model.pre_layrnorm,
        "block0": golden_model.clip.vision_model.encoder.layers[0],
        "dense": golden_model.clip.visual_projection,
        "backbone": golden_model.backbone,
    }
    hooks = [module.register_forward_hook(note(name)) for name, module in modules.items()]
    inputs = prepared(INPUTS["infer.image"][None])
    agrees(inputs["pixel_values"], "infer.clip_input")
    outputs = golden_model(**inputs, class_features=golden_features)
    for hook in hooks:
        hook.remove()

    crop = FACTS["infer"]["backbone_input_crop"]
    top, left = crop["top_left"]
    agrees(golden_model._for_backbone(**inputs)[..., top:, left:], "infer.backbone_input_crop")
    for name, stage in zip(("res2", "res3", "res4"), seen["backbone"].feature_maps):
        agrees(stage, f"infer.backbone.{name}", atol=2e-5)
    agrees(seen["ln_pre"], "infer.clip.ln_pre")
    agrees(seen["block0"], "infer.clip.block0")
    agrees(seen["dense"], "infer.clip.dense")
    grid = (8, 8)
    image = lambda volume: volume.transpose(1, 2).unflatten(2, grid)  # noqa: E731
    agrees(image(seen["embedding"])[:3], "infer.agg.corr_embed_first3", atol=2e-5)
    agrees(seen["image_guidance"].relu(), "infer.agg.guidance_proj", atol=2e-5)
    agrees(seen["decoder_guidance0"].relu(), "infer.agg.decoder_guidance_proj0", atol=2e-5)
    agrees(seen["decoder_guidance1"].relu(), "infer.agg.decoder_guidance_proj1", atol=2e-5)
    agrees(seen["text_guidance"].relu()[None], "infer.agg.text_guidance_proj")
    agrees(seen["swin_block1"][:3], "infer.agg.layer0.swin_block1_first3", atol=2e-5)
    for name, golden in (("swin", "layer0.swin"), ("layer0", "layer0.class"), ("layer1", "layer1.class")):
        agrees(image(seen[name]).transpose(0, 1)[None], f"infer.agg.{golden}", atol=1e-4)
    agrees(seen["decoder1"][:1], "infer.agg.decoder1_first1", atol=1e-4)
    agrees(torch.cat([outputs.logits, outputs.none_logits], 1), "infer.agg.logits", atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("number", FACTS["infer"]["object_ids"])
def test_final_map_agrees(number, golden_model, golden_features):
    kept = FACTS["infer"]["kept_classes"][str(number)]
    mask = torch.zeros(1, 7, dtype=torch.bool)
    mask[:, kept] = True
    inputs = prepared(INPUTS["infer.image"][None])
    logits = golden_model(**inputs, class_features=golden_features, class_mask=mask, include_none=False).logits[0]
    expected = OUTPUTS[f"infer.final_obj{number}"]
    probabilities = F.interpolate(logits.sigmoid()[None], size=expected.shape[-2:], mode="bilinear")[0]
    assert_close(probabilities[kept], expected[kept], atol=1e-5, rtol=0)
    answer = label_map(logits, expected.shape[-2:], kept, scores="probabilities")
    assert (answer == expected.argmax(0)).float().mean() > 0.999


def test_training_agrees(golden_model):
    model = golden_model.train()
    model.set_trainable("B+D")
    features = model.encode_classes(INPUTS["token_ids_train"])
    inputs = prepared(INPUTS["train.images"])
    outputs = model(**inputs, class_features=features, labels=INPUTS["train.labels"])
    agrees(torch.cat([outputs.logits, outputs.none_logits], 1), "train.logits", atol=1e-4)
    agrees(outputs.loss[None], "train.loss", atol=1e-6)
    outputs.loss.backward()
    for name, weight in {
        "backbone.stem.conv1.weight": model.backbone.embedder.embedder.convolution.weight,
        "sem_seg_head.predictor.transformer.conv1.weight": model.aggregator.embedding.convolution.weight,
        "sem_seg_head.predictor.transformer.head.weight": model.aggregator.decoder.head.weight,
    }.items():
        expected = OUTPUTS[f"train.grad.{name}"]
        assert (weight.grad - expected).abs().max() < 1e-4 * expected.abs().max()
    assert {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad} == {"backbone", "aggregator"}
    model.zero_grad()
    model.eval()


@torch.no_grad()
def test_windows_are_scored_like_images_and_averaged(golden_model, golden_features):
    windows = torch.randn(1, 5, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    logits = golden_model(windows, class_features=golden_features).logits
    each = golden_model(windows[0], class_features=golden_features).logits
    enlarged = F.interpolate(each, size=(128, 128), mode="bilinear").sigmoid()
    side = 128 + 85
    whole = F.interpolate(enlarged[-1:], size=(side, side), mode="bilinear")[0]
    assert logits.shape == (1, 7, side, side)
    assert_close(logits[0, :, 0, 0].sigmoid(), (enlarged[0, :, 0, 0] + whole[:, 0, 0]) / 2, atol=1e-5, rtol=0)
    common = (enlarged[0, :, -1, 0] + enlarged[2, :, 127 - 85, 0]) / 2
    assert_close(logits[0, :, 127, 0].sigmoid(), (common + whole[:, 127, 0]) / 2, atol=1e-5, rtol=0)


@torch.no_grad()
def test_five_hundred_classes(golden_model):
    features = F.normalize(torch.randn(500, 3, 32, generator=torch.Generator().manual_seed(1)), dim=-1)
    mask = torch.zeros(1, 500, dtype=torch.bool)
    mask[0, 7] = True
    inputs = prepared(INPUTS["infer.image"][None])
    logits = golden_model(**inputs, class_features=features, class_mask=mask, include_none=False).logits
    assert logits.isfinite().flatten(2).all(2).nonzero().tolist() == [[0, 7]]
    assert_close(logits[0, 7], golden_model(**inputs, class_features=features).logits[0, 7], atol=1e-4, rtol=0)


@torch.no_grad()
def test_nothing_asked_is_nothing_scored(golden_model, golden_features):
    inputs = prepared(INPUTS["infer.image"][None])
    nothing = torch.zeros(1, 7, dtype=torch.bool)
    logits = golden_model(**inputs, class_features=golden_features, class_mask=nothing, include_none=False).logits
    assert logits.shape == (1, 7, 32, 32)
    assert torch.isneginf(logits).all()
    assert (label_map(logits[0], (9, 9), [], scores="probabilities") == -1).all()


def test_wrong_shapes_are_refused(golden_model, golden_features):
    pixels = prepared(INPUTS["infer.image"][None])["pixel_values"]
    with pytest.raises(ConfigurationError, match="images of 128 x 128"):
        golden_model(pixels[..., :96], class_features=golden_features)
    with pytest.raises(ConfigurationError, match=r"takes \(classes, 3, 32\)"):
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
    inputs = prepared(INPUTS["train.images"])
    golden_model(**inputs, input_ids=INPUTS["token_ids_train"], labels=INPUTS["train.labels"]).loss.backward()
    trainable = {name for name, parameter in golden_model.named_parameters() if parameter.requires_grad}
    assert trainable == {name for name, parameter in golden_model.named_parameters() if parameter.grad is not None}
    golden_model.zero_grad()


def test_unknown_trainable_group(golden_model):
    with pytest.raises(ConfigurationError, match=r"names \['V'\]"):
        golden_model.set_trainable("B+V")
    assert math.isfinite(golden_model.none_embedding.sum())
