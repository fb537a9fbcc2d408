import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch.testing import assert_close
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from ovparts_hf.errors import ConfigurationError, OVPartsError
from ovparts_hf.models.clipseg import modeling_clipseg
from ovparts_hf.models.loading import ModelSource, load_model
from ovparts_hf.models.part_object import PartObjectNames
from ovparts_hf.models.partclipseg.modeling_partclipseg import _COPIES, PartCLIPSegForPartSegmentation

from ..tester import NAMES, PartModelTester
from .goldens import TINY, golden_config, golden_inputs, golden_processor


class TestPartCLIPSeg(PartModelTester):
    model_class = PartCLIPSegForPartSegmentation
    # The vision layers above the last one read, and what CLIP needs only to compare whole images with texts.
    silent_prefixes = ("clip.vision_model.post_layernorm", "clip.visual_projection", "clip.logit_scale")

    def make_config(self):
        return golden_config()

    def make_tokens(self, generator):
        """Random words for each name, and which of them each class is made of."""
        names = PartObjectNames.of(NAMES)
        self.num_classes = len(names.names)
        words = PartModelTester.make_tokens(self, generator)
        self.num_classes = len(NAMES)
        ids = names.ids()
        rows = torch.stack([*ids.T, ids[:, 1] - len(names.part_names)], dim=1)
        return {name: tokens[rows] for name, tokens in words.items()}

    @pytest.fixture
    def name_ids(self):
        return PartObjectNames.of(NAMES).ids()

    @torch.no_grad()
    @pytest.mark.parametrize("masked", [False, True])
    def test_equal_names_need_not_be_known(self, model, inputs, name_ids, masked):
        mask = torch.tensor([[True, False, True, False], [False, False, False, True]]) if masked else None
        once = model(**inputs, name_ids=name_ids, class_mask=mask)
        each = model(**inputs, class_mask=mask)
        assert_close(each.logits, once.logits, atol=1e-5, rtol=0)
        assert_close(each.none_logits, once.none_logits, atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_each_name_is_decoded_once_and_only_where_it_is_used(self, model, inputs, name_ids):
        seen = []
        model.decoder.layers[0].register_forward_hook(lambda _, __, out: seen.append(len(out)))
        names = len(PartObjectNames.of(NAMES).names)
        model(**inputs, name_ids=name_ids)
        assert sum(seen) == 2 * (names + 1)
        seen.clear()
        mask = torch.tensor([[True, True, False, False], [False, False, False, False]])
        model(**inputs, name_ids=name_ids, class_mask=mask, include_none=False)
        assert sum(seen) == 3  # ear, leg and dog

    @torch.no_grad()
    def test_classes_do_not_influence_each_other_once_encoded(self, model, inputs, name_ids):
        features = model.encode_classes(inputs["input_ids"], inputs["attention_mask"])
        pixels = inputs["pixel_values"]
        whole = model(pixels, class_features=features, name_ids=name_ids).logits
        some = model(pixels, class_features=features[[3, 0]], name_ids=name_ids[[3, 0]]).logits
        assert_close(some, whole[:, [3, 0]], atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_a_class_without_an_object_scores_as_its_name(self, model, inputs, name_ids):
        """Beside parts as alone, and with CLIPSeg's decoder."""
        tokens = {name: inputs[name].clone() for name in ("input_ids", "attention_mask")}
        tokens["attention_mask"][3, 1:] = 0
        name_ids[3, 1] = -1
        features = model.encode_classes(**tokens)
        assert (features[3, 1:] == 0).all() and (features[:3] != 0).all()
        pixels = inputs["pixel_values"]
        beside = model(pixels, class_features=features, name_ids=name_ids)
        each = model(pixels, class_features=features)
        alone = model(pixels, class_features=features[3:], name_ids=name_ids[3:])
        for outputs in (beside, each):
            assert_close(outputs.logits[:, 3:], alone.logits, atol=1e-5, rtol=0)
            assert_close(outputs.none_logits, alone.none_logits, atol=1e-5, rtol=0)
        rows = torch.cat([features[3:, 0], model.none_embedding])
        images, names = modeling_clipseg.all_pairs(2, 2, pixels.device)
        expected = model.decoder(model.encode_images(pixels), rows, images, names, (4, 4)).view(2, 2, 64, 64)
        assert_close(torch.cat([alone.logits, alone.none_logits], 1), expected, atol=1e-6, rtol=0)
        parts = model(pixels, class_features=features[:3], name_ids=name_ids[:3])
        assert_close(beside.logits[:, :3], parts.logits, atol=1e-5, rtol=0)
        assert (beside.none_logits - parts.none_logits).abs().max() > 1e-3

    def test_the_condition_can_be_the_object(self, inputs, name_ids):
        """Without the unshifted index of the released code, a class does not depend on the vocabulary."""
        torch.manual_seed(0)
        model = self.model_class(golden_config(object_condition="object")).eval()
        processor = golden_processor()
        with torch.no_grad():
            large, small = (
                model(inputs["pixel_values"], **model.encode_vocabulary(processor, names)).logits
                for names in (NAMES, NAMES[2:])
            )
            assert_close(large[:, 2:], small, atol=1e-5, rtol=0)
            model.config.object_condition = "part_row"
            released = model(inputs["pixel_values"], **model.encode_vocabulary(processor, NAMES)).logits
        assert (released - large).abs().max() > 1e-3
        assert model.describe() == {}
        model.config.object_condition = "object"
        assert model.describe() == {"object_condition": "object"}

    @torch.no_grad()
    def test_images_need_not_be_square(self, model, inputs):
        pixels = torch.randn(1, 3, 48, 80)
        assert model(**{**inputs, "pixel_values": pixels}).logits.shape == (1, 4, 48, 80)

    def test_other_shapes_are_refused(self, model, inputs, name_ids):
        pixels, tokens = inputs["pixel_values"], inputs["input_ids"]
        features = torch.zeros(4, model.config.projection_dim)
        with pytest.raises(ConfigurationError, match=r"\(classes, 3, length\)"):
            model(pixels, input_ids=tokens[:, 0])
        with pytest.raises(ConfigurationError, match=r"\(classes, 3, dim\)"):
            model(pixels, class_features=features)
        with pytest.raises(ConfigurationError, match="each of the 4 classes"):
            model(pixels, input_ids=tokens, name_ids=name_ids[:3])

    def test_only_parts_of_objects_can_be_trained(self, model, inputs, labels):
        features = torch.zeros(4, 3, model.config.projection_dim)
        features[:, 0] = torch.randn(4, model.config.projection_dim)
        with pytest.raises(ConfigurationError, match="none of the classes is one"):
            model(inputs["pixel_values"], class_features=features, labels=labels)

    @pytest.mark.parametrize("own_parts_only", [False, True])
    def test_objects_are_trained_where_they_are(self, model, inputs, labels, name_ids, own_parts_only):
        """Of an object any class may stand for it; without labels of objects they are where their parts are."""
        model.config.own_parts_only = own_parts_only
        wide = labels.clone()
        wide[:, :5] = 1
        other = torch.where(wide == 1, 0, wide)  # of the same dog
        losses = [
            model(**inputs, name_ids=name_ids, labels=labels, object_labels=objects).loss.item()
            for objects in (None, labels, wide, other)
        ]
        assert losses[0] == losses[1] and losses[2] == losses[3]
        assert losses[0] != losses[2]

    def test_images_without_labels_can_be_trained(self, model, inputs, labels, name_ids):
        nothing = torch.full_like(labels, 255)
        for some in (nothing, torch.cat([labels[:1], nothing[1:]])):
            loss = model(**inputs, name_ids=name_ids, labels=some).loss
            loss.backward()
            assert loss > 0 and loss.isfinite()

    def test_losses_do_not_need_known_names(self, model, inputs, labels, name_ids):
        known = model(**inputs, name_ids=name_ids, labels=labels).loss
        assert_close(model(**inputs, labels=labels).loss, known)

    def test_a_batch_without_background_teaches_if_told_to(self, model, inputs):
        labels = torch.arange(4).repeat(2, 16, 4)
        model.set_trainable("VA+L+F+D")
        losses = {}
        for skip in (False, True):
            model.config.skip_empty_background = skip
            losses[skip] = model(**inputs, labels=labels).loss
            losses[skip].backward()
            assert (model.decoder.film_mul.weight.grad.abs().max() > 0) == skip
        assert losses[False] == 0 and losses[True] > 0

    @torch.no_grad()
    def test_stored_names_are_not_encoded_again(self, model, monkeypatch):
        """Nor those of whole objects; and a class has its place in the vocabulary that is asked for."""
        processor = golden_processor()
        expected = model.encode_class_names(processor, ["cat's leg", "dog"])
        model.store_vocabulary(processor, ["dog's leg", "cat's tail", "cat's ear"], progress=False)
        monkeypatch.setattr("ovparts_hf.models.partclipseg.modeling_partclipseg.text_features", None)
        assert_close(model.encode_class_names(processor, ["cat's leg", "dog"]), expected, atol=1e-5, rtol=0)
        own = PartObjectNames.of(model.vocabulary)
        assert torch.equal(model.class_features[0, 0], model._stored_names()["leg"])
        assert own.object_names == ("cat", "dog")

    def test_starts_from_stock_weights(self, tmp_path):
        stock = CLIPSegForImageSegmentation(CLIPSegConfig(**TINY.facts["model_config"]))
        stock.save_pretrained(tmp_path)
        golden_processor().save_pretrained(tmp_path)
        model, processor = load_model(tmp_path, "partclipseg")
        assert isinstance(model, PartCLIPSegForPartSegmentation)
        assert type(processor) is type(golden_processor())
        assert ModelSource(tmp_path).config().model_type == "ovparts_clipseg"
        for new, old in _COPIES.items():
            copied, original = (getattr(model.decoder, name).state_dict() for name in (new, old))
            assert copied.keys() == original.keys() and copied
            assert all(torch.equal(copied[key], original[key]) for key in copied)
        assert torch.equal(model.decoder.film_mul.weight, stock.decoder.film_mul.weight)
        for half in (model.decoder.part_projection, model.decoder.object_projection):
            bound = (2 * half.in_features) ** -0.5
            assert 0.9 * bound < half.weight.abs().max() <= bound
        assert (model.decoder.part_projection.bias == 0).all()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("object_condition", "dog", "choose one of"),
        ("segmentation_loss", "ce_dice", "choose one of ['bce']"),
        ("none_threshold", 0.3, "learns a score"),
        ("enhancement_weight", -1, "0 or more"),
        ("attention_threshold", 2, "between 0 and 1"),
        ("attention_layer", 3, "layers 0 to 2"),
        ("attention_layer", -1, "None: the last"),
    ],
)
def test_wrong_settings_are_refused(field, value, message):
    with pytest.raises(StrictDataclassClassValidationError) as error:
        golden_config(**{field: value})
    assert message in str(error.value.__cause__ or error.value)


def test_an_empty_vocabulary_is_refused():
    model, processor = PartCLIPSegForPartSegmentation(golden_config()), golden_processor()
    for encode in (model.encode_vocabulary, model.store_vocabulary):
        with pytest.raises(OVPartsError, match="vocabulary is empty"):
            encode(processor, [])
    with pytest.raises(OVPartsError, match="at least one non-empty string"):
        processor(classes=[])
    with pytest.raises(OVPartsError, match="templates is"):
        type(processor)(processor.image_processor, processor.tokenizer, templates=["a {}"])


@torch.no_grad()
def test_names_of_the_vocabulary_are_encoded_as_given_tokens():
    torch.manual_seed(0)
    model, processor = PartCLIPSegForPartSegmentation(golden_config()).eval(), golden_processor()
    names = ["dog's head", "cat's tail", "a red door", "dog"]
    tokens = processor(classes=names)
    assert tokens["input_ids"].shape[:2] == (4, 3)
    encoded = model.encode_vocabulary(processor, names)
    assert_close(model.encode_classes(**tokens), encoded["class_features"], atol=1e-5, rtol=0)
    assert encoded["name_ids"].tolist() == PartObjectNames.of(names).ids().tolist()
    assert golden_inputs("train")["name_ids"].shape[1] == 2
