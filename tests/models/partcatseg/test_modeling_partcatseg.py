import pytest
import torch
import torch.nn.functional as F
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch.testing import assert_close
from transformers import CLIPModel, Dinov2Config, Dinov2Model

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.catseg import aggregator
from ovparts_hf.models.partcatseg.convert_partcatseg import convert_partcatseg
from ovparts_hf.models.partcatseg.modeling_partcatseg import PartCATSegForPartSegmentation
from ovparts_hf.models.partcatseg.vocabulary import LEVELS, Vocabulary

from ..tester import PartModelTester, each_layer_once, needs_compiler
from .goldens import TINY, golden_config, object_labels, prepared, stored_tokens

SIDE = 64


class TestPartCATSeg(PartModelTester):
    model_class = PartCATSegForPartSegmentation
    image_size = SIDE
    output_stride = 2
    traced_images = 1
    # The last layer's attention only maps values; the rest of CLIP compares whole images with texts.
    silent_prefixes = (
        f"clip.vision_model.encoder.layers.{TINY.facts['clip']['vision_layers'] - 1}.self_attn.",
        "clip.logit_scale",
    )

    def make_config(self):
        backbone = {"hidden_size": 36, "num_hidden_layers": 2, "num_attention_heads": 3, "patch_size": 8}
        return golden_config(backbone_config={**backbone, "image_size": 40}, backbone_image_size=SIDE)

    def make_tokens(self, generator):
        """Several templates for each class, for its part and for its object; "ear" and "tail" are one word here."""
        templates = golden_config().num_templates
        tokens = [super(TestPartCATSeg, self).make_tokens(generator) for _ in range(LEVELS * templates)]
        found = {name: torch.stack([each[name] for each in tokens], dim=1) for name in tokens[0]}
        for of_objects, classes in ((0, [0, 3]), (1, [0, 1])):
            first = (1 + of_objects) * templates
            ids = found["input_ids"][:, first : first + templates]
            ids[classes[1]] = ids[classes[0]]
        return found

    def test_classes_left_out_do_not_weigh_in_the_loss(self, model, inputs, labels):
        """With class 3 left out everywhere, neither its words matter nor those of its object, which no other has: but
        for what the other classes see of it.
        """
        labels[labels == 3] = 255
        mask = torch.tensor([[True, True, True, False]] * 2)
        loss = model(**inputs, labels=labels, class_mask=mask).loss
        templates = model.config.num_templates
        inputs["input_ids"][3, :templates, 1:-1] = 5
        inputs["input_ids"][3, 2 * templates :, 1:-1] = 6
        assert torch.isfinite(loss)
        assert_close(model(**inputs, labels=labels, class_mask=mask).loss, loss, rtol=2e-3, atol=0)

    @needs_compiler
    def test_compiles_to_one_graph(self, small_model, inputs):
        """In which equal names are scored as when every class has a part and an object of its own that count less."""
        seen = []
        small_model.aggregator.layers[0].register_forward_hook(lambda _module, given, _: seen.append(len(given[0])))
        super().test_compiles_to_one_graph(small_model, inputs)
        assert seen == [3 + 3 + 1, 4 + 4 + 1]  # parts, objects and "none"

    @torch.no_grad()
    def test_the_order_of_classes_does_not_matter(self, model, inputs):
        features = model.encode_classes(inputs["input_ids"])
        pixels, order = inputs["pixel_values"], torch.tensor([2, 0, 3, 1])
        expected = model(pixels, class_features=features).logits[:, order]
        assert_close(model(pixels, class_features=features[order]).logits, expected, atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_changed_features_are_grouped_anew(self, model, inputs):
        features = model.encode_classes(inputs["input_ids"])
        model(inputs["pixel_values"], class_features=features)
        features[3] = features[2].clone()
        expected = model(inputs["pixel_values"], class_features=features.clone()).logits
        assert torch.equal(model(inputs["pixel_values"], class_features=features).logits, expected)

    @torch.no_grad()
    def test_linear_attention_is_that_of_catseg(self, small_model, inputs):
        """Names that classes share may be weighed, as in a graph, or be one name."""
        config = self.make_small_config()
        config.class_attention = "linear"
        linear = self.model_class(config).eval()
        linear.load_state_dict(small_model.state_dict())
        kinds = {type(layer.across_classes.attention) for layer in linear.aggregator.class_layers}
        assert kinds == {aggregator.GuidedLinearAttention}
        pixels, features = inputs["pixel_values"][:1], small_model.encode_classes(inputs["input_ids"])
        scores = [each(pixels, class_features=features).logits for each in (linear, small_model)]
        assert (scores[0] - scores[1]).abs().max() > 1e-4
        image, stages = linear._encode_images(pixels)[0], linear.backbone(pixels).feature_maps
        none = features[:1, : config.num_templates]
        vocabularies = [Vocabulary.of(features, none, static) for static in (False, True)]
        assert [len(each.names) for each in vocabularies] == [3 + 3 + 1, 4 + 4 + 1]
        assert_close(*(linear.aggregator(image, each, stages) for each in vocabularies), atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_many_classes_go_in_groups_with_the_same_result(self, model, inputs, monkeypatch):
        whole = model(**inputs).logits
        monkeypatch.setitem(aggregator.NUMBERS_AT_ONCE, "cpu", 1)
        assert_close(model(**inputs).logits, whole, atol=1e-5, rtol=0)

    def test_starts_from_stock_clip_and_dino(self, model, tmp_path):
        CLIPModel(self.make_config()).save_pretrained(tmp_path / "clip")
        backbone = self.make_config().backbone_config
        fields = ("hidden_size", "num_hidden_layers", "num_attention_heads", "patch_size", "image_size")
        stock = Dinov2Model(Dinov2Config(**{name: getattr(backbone, name) for name in fields}))
        stock.save_pretrained(tmp_path / "dino")
        config = self.make_config()
        config.backbone_weights = str(tmp_path / "dino")
        loaded = PartCATSegForPartSegmentation.from_base_model(tmp_path / "clip", config)
        own = loaded.backbone.state_dict()
        assert own and all(torch.equal(value, stock.state_dict()[name]) for name, value in own.items())
        assert loaded.config.backbone_weights is None
        config.backbone_config.num_hidden_layers = 1
        config.backbone_weights = str(tmp_path / "dino")
        message = r"backbone_weights .* do not fit the model: 1\d tensors differ, such as encoder\.layer\.1"
        with pytest.raises(ConfigurationError, match=message):
            PartCATSegForPartSegmentation.from_base_model(tmp_path / "clip", config)

    @torch.no_grad()
    def test_half_precision_stays_close(self, model, inputs):
        expected = model(**inputs).logits
        with torch.autocast("cpu", torch.bfloat16):
            assert (model(**inputs).logits - expected).abs().max() < 0.05 * expected.abs().max()

    @torch.no_grad()
    def test_positions_of_another_offset(self, model, inputs):
        """0 resizes positions as transformers does; the native grid needs no resizing."""
        embeddings = model.backbone.embeddings
        tokens = torch.empty(1, 65, 36)
        default = embeddings.interpolate_pos_encoding(tokens, SIDE, SIDE)
        embeddings.config.position_offset = 0
        plain = embeddings.interpolate_pos_encoding(tokens, SIDE, SIDE)
        assert default.shape == plain.shape and (default - plain).abs().max() > 1e-3
        assert torch.equal(default[:, 0], plain[:, 0])
        native = embeddings.interpolate_pos_encoding(torch.empty(1, 26, 36), 40, 40)
        assert torch.equal(native, embeddings.position_embeddings)


@pytest.fixture(scope="module")
def golden_model():
    """The stored weights: a model whose scores differ."""
    return convert_partcatseg(TINY.checkpoint, golden_config())[0]


@pytest.fixture(scope="module")
def golden_features(golden_model):
    with torch.no_grad():
        return golden_model.encode_classes(stored_tokens("test"))


def training_inputs(case="a"):
    labels = TINY.inputs[f"train.{case}.part_labels"].long()
    inputs = prepared(TINY.inputs["train.images"]) | {"input_ids": stored_tokens("train"), "labels": labels}
    return inputs | {"object_labels": object_labels(case)}


@pytest.mark.parametrize("name", ["B+D", "D", "B+C+D"])
def test_whatever_is_trainable_gets_a_gradient(name, golden_model):
    """Several processes could not train together otherwise."""
    golden_model.set_trainable(name)
    golden_model(**training_inputs()).loss.backward()
    trainable = {name for name, parameter in golden_model.named_parameters() if parameter.requires_grad}
    assert trainable == {name for name, parameter in golden_model.named_parameters() if parameter.grad is not None}
    golden_model.zero_grad()


@torch.no_grad()
def test_objects_are_where_their_parts_are_unless_they_are_given(golden_model):
    inputs = training_inputs("b")
    of_parts = {**inputs, "object_labels": inputs["labels"]}
    without = {name: tensor for name, tensor in inputs.items() if name != "object_labels"}
    assert torch.equal(golden_model(**without).loss, golden_model(**of_parts).loss)
    assert not torch.equal(golden_model(**without).loss, golden_model(**inputs).loss)


@needs_compiler
@torch.no_grad()
def test_compiled_it_has_the_same_loss(golden_model):
    """Names that classes share are one name in training, also in a graph."""
    model = PartCATSegForPartSegmentation(each_layer_once(golden_config())).train(golden_model.training)
    model.load_state_dict(golden_model.state_dict(), strict=False)
    features = model.encode_classes(training_inputs()["input_ids"])
    inputs = {name: tensor[:1] for name, tensor in training_inputs().items() if name != "input_ids"}
    inputs["class_features"] = features
    for part, name in ((model, "_encode_images"), (model.backbone, "forward")):  # `test_compiles_to_one_graph` has them
        setattr(part, name, torch.compiler.disable(getattr(part, name)))
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager")
    assert_close(compiled(**inputs).loss, model(**inputs).loss)


@torch.no_grad()
@pytest.mark.parametrize("name", ["none_weight", "part_weight", "object_weight", "divergence_weight"])
def test_each_weight_of_the_loss_counts(name, golden_model, monkeypatch):
    before = golden_model(**training_inputs()).loss
    monkeypatch.setattr(golden_model.config, name, 0)
    assert golden_model(**training_inputs()).loss < before - 1e-4


@torch.no_grad()
def test_classes_may_be_trained_as_in_catseg(golden_model, monkeypatch):
    before = golden_model(**training_inputs()).loss
    monkeypatch.setattr(golden_model.config, "segmentation_loss", "ce_dice")
    after = golden_model(**training_inputs()).loss
    assert torch.isfinite(after) and after > before


@torch.no_grad()
def test_windows_are_scored_like_images(golden_model, golden_features):
    config = golden_model.config
    generator = torch.Generator().manual_seed(0)
    windows = torch.randn(1, 5, 3, config.image_size, config.image_size, generator=generator)
    side = config.guidance_size
    for_dino = F.interpolate(windows[0], size=(side, side), mode="bilinear")[None]
    inputs = {"pixel_values": windows, "backbone_pixel_values": for_dino, "class_features": golden_features}
    logits = golden_model(**inputs).logits
    canvas = side + int(side * 0.667)
    assert logits.shape == (1, len(golden_features), canvas, canvas)
    alone = golden_model(windows[0], backbone_pixel_values=for_dino[0], class_features=golden_features).logits
    enlarged = F.interpolate(alone, (side, side), mode="bilinear").sigmoid()
    whole = F.interpolate(enlarged[-1:], (canvas, canvas), mode="bilinear")
    assert_close(logits[0, :, 0, 0].sigmoid(), (enlarged[0, :, 0, 0] + whole[0, :, 0, 0]) / 2, atol=1e-5, rtol=0)
    with pytest.raises(ConfigurationError, match="sliding windows"):
        golden_model(**inputs, labels=torch.zeros(1, 40, 40, dtype=torch.long))


def test_wrong_shapes_are_refused(golden_model, golden_features):
    inputs = prepared(TINY.inputs["infer.image"][None])
    rows = golden_features.shape[1]
    with pytest.raises(ConfigurationError, match=rf"takes \(classes, {rows}, 32\).*of its part and of its object"):
        golden_model(**inputs, class_features=golden_features[:, : rows // LEVELS])
    with pytest.raises(ConfigurationError, match="backbone_pixel_values is missing"):
        golden_model(inputs["pixel_values"], class_features=golden_features)
    with pytest.raises(ConfigurationError, match="object_labels"):
        golden_model(**{**training_inputs(), "object_labels": torch.zeros(2, 9, 9, dtype=torch.long)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_attention": "softmax"}, "class_attention is 'softmax'; choose one of"),
        ({"backbone_image_size": 100}, "backbone_image_size is 100; DINOv2 needs a multiple of its patches of 14"),
        ({"decoder_sizes": [32]}, "one entry for each of the 2 DINOv2 feature maps"),
        ({"divergence_weight": -1}, "divergence_weight is -1; give 0 or more"),
        ({"window_size": 3}, "window_size 3 does not divide the grid of 8"),
        ({"segmentation_loss": "l2"}, "choose one of"),
    ],
)
def test_wrong_configurations(changes, message):
    with pytest.raises(StrictDataclassClassValidationError) as error:
        golden_config(**changes)
    assert message in str(error.value.__cause__)
