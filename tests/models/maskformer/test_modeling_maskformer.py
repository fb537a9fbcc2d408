import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch.testing import assert_close

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.maskformer.configuration_maskformer import MaskFormerPartConfig
from ovparts_hf.models.maskformer.modeling_maskformer import MaskFormerForPartSegmentation

from ..tester import TWO_STAGES, PartModelTester, check_mask_loss_stride, each_layer_once
from .goldens import golden_config


class TestMaskFormer(PartModelTester):
    model_class = MaskFormerForPartSegmentation
    # Closed vocabulary: no words.
    test_class_features_replace_tokens = test_needs_words = None
    test_classes_left_out_do_not_weigh_in_the_loss = None
    test_own_vocabulary_is_saved_and_scored_without_words = None
    test_refuses_names_that_do_not_fit_their_features = None

    def make_config(self):
        config = golden_config(num_labels=self.num_classes)
        config.backbone_config.depths = [1] * len(config.backbone_config.depths)
        return config

    def make_small_config(self):
        return each_layer_once(golden_config(num_labels=self.num_classes, backbone_config=TWO_STAGES))

    @pytest.fixture
    def inputs(self):
        size = self.image_size
        return {"pixel_values": torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))}

    @torch.no_grad()
    def test_logits_cover_every_class_at_the_input_size(self, model, inputs):
        for size in ((64, 64), (50, 75)):
            outputs = model(inputs["pixel_values"][..., : size[0], : size[1]])
            assert outputs.logits.shape == (2, self.num_classes, min(64, size[0]), min(64, size[1]))
            assert outputs.loss is None and outputs.none_logits is None

    @torch.no_grad()
    def test_save_and_load_keep_every_bit(self, model, inputs, tmp_path):
        model.save_pretrained(tmp_path)
        loaded = MaskFormerForPartSegmentation.from_pretrained(tmp_path)
        assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)
        assert loaded.config.num_labels == self.num_classes

    @torch.no_grad()
    def test_with_a_stride_the_loss_sees_every_nth_pixel(self, model, inputs, labels):
        check_mask_loss_stride(model, inputs, labels)

    def test_some_classes_in_another_order(self, model, inputs, labels):
        names = [f"part {k}" for k in range(self.num_classes)]
        model.config.id2label = dict(enumerate(names))
        model.config.label2id = {name: k for k, name in enumerate(names)}
        found = model.find_classes(["part 3", "part 1"])
        assert_close(model(**inputs, class_features=found).logits, model(**inputs).logits[:, [3, 1]])
        own = torch.full_like(labels, 255)
        own[labels == 0], own[labels == 1] = 3, 1
        assert_close(model(**inputs, class_features=found, labels=labels).loss, model(**inputs, labels=own).loss)
        with pytest.raises(ConfigurationError, match=r"closed vocabulary of 4 classes, without \['dog'\]"):
            model.find_classes(["part 1", "dog"])

    def test_refuses_what_does_not_fit(self, model, inputs, labels):
        with pytest.raises(ConfigurationError, match=r"class_mask has shape \[2, 3\].*\[2, 4\]"):
            model(**inputs, class_mask=torch.ones(2, 3, dtype=torch.bool))
        with pytest.raises(ConfigurationError, match="one label map for each of the 2 rows"):
            model(**inputs, labels=labels[:1])
        with pytest.raises(ConfigurationError, match="include_none=False"):
            model(**inputs, include_none=True)

    @torch.no_grad()
    def test_all_layers_propose_for_the_loss_alone(self, model, inputs, labels):
        torch.testing.assert_close(model(**inputs, labels=labels).logits, model(**inputs).logits, atol=1e-6, rtol=0)
        features = model.pixel_level_module(inputs["pixel_values"])
        every, last = (model.propose(features, all_layers=flag).mask_logits for flag in (True, False))
        assert len(every) > 1 and len(last) == 1
        torch.testing.assert_close(last, every[-1:])

    def test_training_ignores_the_class_mask(self, model, inputs, labels):
        mask = torch.zeros(2, self.num_classes, dtype=torch.bool)
        assert_close(model(**inputs, labels=labels, class_mask=mask).loss, model(**inputs, labels=labels).loss)

    def test_training_makes_no_class_maps(self, model, inputs, labels):
        assert model.train()(**inputs, labels=labels).logits is None

    def test_images_without_labels_train_on_nothing_but_no_object(self, model, inputs):
        model.train()
        loss = model(**inputs, labels=torch.full((2, 64, 64), 255)).loss
        loss.backward()
        assert torch.isfinite(loss)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert gradients
        assert all(torch.isfinite(gradient).all() for gradient in gradients)

    def test_a_mask_is_learned(self, model):
        """One image, one square: the class map becomes the square."""
        torch.manual_seed(0)
        pixels, labels = torch.zeros(1, 3, 64, 64), torch.full((1, 64, 64), 255)
        pixels[..., 16:48, 16:48], labels[..., 16:48, 16:48] = 3.0, 2
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
        for _ in range(40):
            optimizer.zero_grad()
            model(pixels, labels=labels).loss.backward()
            optimizer.step()
        found = model(pixels).logits[0, 2] > 0.5
        overlap = (found & (labels[0] == 2)).sum() / (found | (labels[0] == 2)).sum()
        assert overlap > 0.8


def test_new_layers_are_drawn_as_in_the_original():
    """Not with transformers' deviation of 0.02, which keeps all masks the same for long."""
    torch.manual_seed(0)
    model = MaskFormerForPartSegmentation(MaskFormerPartConfig(decoder_layers=1))
    feed_forward = model.query_decoder.layers[0].mlp.fc1.weight
    assert feed_forward.std().item() == pytest.approx((2 / sum(feed_forward.shape)) ** 0.5, rel=0.02)
    head = model.mask_head.get_submodule("1.0").weight
    assert head.std().item() == pytest.approx((3 * head.shape[1]) ** -0.5, rel=0.02)
    assert model.query_decoder.queries.weight.std().item() == pytest.approx(1, rel=0.02)
    convolution = model.pixel_level_module.pixel_decoder.mask_projection
    assert convolution.weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.02)
    assert (convolution.bias == 0).all()
    deepest = model.pixel_level_module.backbone.encoder.stages[-1].layers[-1].layer[1].convolution.weight
    assert deepest.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.02)


def test_trainable_sets():
    model = MaskFormerForPartSegmentation(golden_config())
    model.set_trainable("none")
    assert not any(p.requires_grad for p in model.parameters())
    model.set_trainable("all")
    assert all(p.requires_grad for p in model.parameters())
    with pytest.raises(ConfigurationError, match=r"names \['head'\]; use 'none' or join some of \['all'\]"):
        model.set_trainable("head")


@pytest.mark.parametrize(
    ("field", "value"),
    [("hidden_size", 30), ("fpn_feature_size", 48), ("mask_loss_stride", 0), ("mask_loss_stride", 3)],
)
def test_configuration_refuses(field, value):
    with pytest.raises(StrictDataclassClassValidationError, match=field):
        golden_config(**{field: value})
