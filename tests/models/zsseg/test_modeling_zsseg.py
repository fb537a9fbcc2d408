from functools import cache

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch._dynamo.backends.debugging import ExplainWithBackend
from torch.testing import assert_close

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models import clip_regions as regions
from ovparts_hf.models.zsseg.convert_zsseg import convert_zsseg
from ovparts_hf.models.zsseg.modeling_zsseg import ZSSegForPartSegmentation

from ..tester import NAMES, TWO_STAGES, PartModelTester, check_mask_loss_stride, each_layer_once, needs_compiler
from .goldens import PLAIN, PLUS, golden_config, prompt_row


@cache
def stored_weights(golden):
    return convert_zsseg(golden.checkpoint, golden_config(golden))[0].state_dict()


def shallow_config(golden, **changes):
    """With a ResNet of which the first block of each stage is left."""
    config = golden_config(golden, **changes)
    config.backbone_config.depths = [1] * len(config.backbone_config.depths)
    return config


class ZSSegTester(PartModelTester):
    model_class = ZSSegForPartSegmentation
    golden = PLUS
    test_classes_left_out_do_not_weigh_in_the_loss = None  # the class mask is about the answer
    test_compiles_to_one_graph = None

    def make_small_config(self):
        return each_layer_once(golden_config(self.golden, backbone_config=TWO_STAGES))

    @needs_compiler
    @torch.no_grad()
    def test_first_stage_compiles_to_one_graph(self, small_model, inputs):
        graphs = ExplainWithBackend("eager")
        expected = small_model(**inputs).logits
        torch.compiler.reset()
        assert_close(torch.compile(small_model, backend=graphs)(**inputs).logits, expected, atol=1e-5, rtol=0)
        assert len(graphs.graphs) == len(graphs.break_reasons) == 1

    def make_model(self):
        """The stored weights: their queries differ enough for the preferred class of a pixel not to be a coin toss."""
        torch.manual_seed(0)
        model = ZSSegForPartSegmentation(self.make_config()).eval()
        model.load_state_dict(stored_weights(self.golden), strict=False)
        return model

    @torch.no_grad()
    def test_logits_cover_every_class_at_the_input_size(self, model, inputs):
        for height, width in ((64, 64), (50, 41)):
            inputs = {key: value[..., :height, :width] for key, value in inputs.items() if value.dim() > 2} | {
                key: value for key, value in inputs.items() if value.dim() == 2
            }
            outputs = model(**inputs)
            assert outputs.logits.shape == (2, self.num_classes, height, width)
            assert outputs.loss is None and outputs.none_logits is None
            assert (outputs.logits >= 0).all() and (outputs.logits > 0).any()

    @torch.no_grad()
    def test_class_features_replace_tokens(self, model, inputs):
        features = model.encode_classes(inputs.pop("input_ids"), inputs.pop("attention_mask"))
        assert_close(features.norm(dim=-1), torch.ones(self.num_classes))
        outputs = model(**inputs, class_features=features)
        assert torch.equal(outputs.class_features, features)

    @torch.no_grad()
    def test_save_and_load_keep_every_bit(self, model, inputs, tmp_path):
        model.save_pretrained(tmp_path)
        loaded = ZSSegForPartSegmentation.from_pretrained(tmp_path)
        assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)
        assert loaded.config.to_diff_dict().keys() == model.config.to_diff_dict().keys()

    @torch.no_grad()
    def test_starts_from_stock_clip(self, model, inputs, tmp_path):
        model.clip.save_pretrained(tmp_path)
        config = self.make_config()
        loaded, notes = ZSSegForPartSegmentation.from_pretrained(tmp_path, config=config, output_loading_info=True)
        assert {name.split(".")[0] for name in notes["missing_keys"]}.isdisjoint({"clip"})
        for name, tensor in model.clip.state_dict().items():
            assert torch.equal(loaded.clip.state_dict()[name], tensor), name
        assert torch.isfinite(loaded.eval()(**inputs).logits).all()

    @torch.no_grad()
    def test_an_accelerator_need_not_wait(self, model, inputs):
        """In the first stage; the second cuts out boxes, whose sizes depend on the masks."""
        features = model.encode_classes(inputs["input_ids"], inputs["attention_mask"]).to("meta")
        masks = inputs.get("object_masks")
        masks = None if masks is None else masks.to("meta")
        model.to("meta")
        maps = model.pixel_level_module(inputs["pixel_values"].to("meta"))
        proposals = model.propose(maps, features, masks, all_layers=False)
        assert proposals.class_logits.is_meta and proposals.class_logits.shape[-1] == self.num_classes + 1
        assert proposals.mask_logits.is_meta and len(proposals.mask_logits) == 1

    @torch.no_grad()
    def test_all_layers_propose_for_the_loss_alone(self, model, inputs, labels):
        torch.testing.assert_close(model(**inputs, labels=labels).logits, model(**inputs).logits, atol=1e-6, rtol=0)

    @torch.no_grad()
    def test_with_a_stride_the_loss_sees_every_nth_pixel(self, model, inputs, labels):
        check_mask_loss_stride(model, inputs, labels)

    def test_refuses_to_score_none(self, model, inputs):
        with pytest.raises(ConfigurationError, match="include_none=False"):
            model(**inputs, include_none=True)

    @torch.no_grad()
    def test_clip_sees_images_in_its_own_normalisation(self, model, inputs, monkeypatch):
        before = model(**inputs).logits
        monkeypatch.setattr(model.config, "clip_std", [1.0, 1.0, 1.0])
        assert not torch.allclose(model(**inputs).logits, before)

    def test_refuses_shapes_that_do_not_fit(self, model, inputs, labels):
        with pytest.raises(ConfigurationError, match=r"class_mask has shape \[1, 4\].*\[2, 4\]"):
            model(**inputs, class_mask=torch.ones(1, 4, dtype=torch.bool))
        for wrong in (labels[:1], labels[0]):
            with pytest.raises(ConfigurationError, match="one label map for each of the 2 rows"):
                model(**inputs, labels=wrong)

    def test_training_makes_no_class_maps(self, model, inputs, labels):
        outputs = model.train()(**inputs, labels=labels)
        assert outputs.logits is None and torch.isfinite(outputs.loss)

    def test_trainable_sets(self, model, inputs, labels):
        model.set_trainable("segmenter")
        model.train()(**inputs, labels=labels).loss.backward()
        trained = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
        own = {"pixel_level_module", "query_decoder", "class_head", "mask_head", "no_object_embedding"}
        assert trained == own
        model.set_trainable("none")
        assert not any(p.requires_grad for p in model.parameters())
        with pytest.raises(ConfigurationError, match=r"names \['VA'\]; use 'none' or join some of \['segmenter'\]"):
            model.set_trainable("VA")

    @torch.no_grad()
    def test_seen_classes_change_the_ensemble(self, model, inputs, monkeypatch):
        monkeypatch.setattr(model.config, "ensemble_weight", 0.9)
        none, some = (
            model(**inputs, seen_classes=seen).logits for seen in (None, torch.tensor([True, False, False, False]))
        )
        assert_close(some[:, 1:], none[:, 1:], atol=0, rtol=0)
        assert not torch.allclose(some[:, 0], none[:, 0])

    @torch.no_grad()
    def test_own_vocabulary_knows_what_was_seen(self, model, inputs, monkeypatch):
        monkeypatch.setattr(model.config, "ensemble_weight", 0.9)
        expected = model(**inputs, seen_classes=torch.tensor([False, True, False, True])).logits
        model.store_class_features(NAMES, model.encode_classes(inputs.pop("input_ids"), inputs.pop("attention_mask")))
        assert not torch.allclose(model(**inputs).logits, expected)
        monkeypatch.setattr(model.config, "seen_class_names", [NAMES[3], "table's leg", NAMES[1]])
        assert torch.equal(model(**inputs).logits, expected)


class TestPlain(ZSSegTester):
    golden = PLAIN
    int8_similarity = 0.97
    silent_prefixes = ("clip.vision_model", "clip.visual_projection", "clip.logit_scale")  # not trained on regions

    def make_config(self):
        return shallow_config(PLAIN)

    @torch.no_grad()
    def test_templates_of_a_class_are_averaged(self, model, inputs):
        ids = inputs["input_ids"]
        other = ids.flip(0).clone()
        both = model.encode_classes(torch.stack([ids, other], dim=1))
        mean = model.encode_classes(ids) + model.encode_classes(other)
        assert_close(both, mean / mean.norm(dim=-1, keepdim=True))
        assert_close(model.encode_classes(torch.stack([ids, ids, ids], dim=1)), model.encode_classes(ids))

    @torch.no_grad()
    def test_proposals_without_a_pixel_leave_clip_out(self, model, inputs, monkeypatch):
        monkeypatch.setattr(model.config, "mask_threshold", 1.0)
        monkeypatch.setattr(regions, "expand_box", None)
        assert torch.isfinite(model(**inputs).logits).all()

    def test_refuses_object_masks_and_learned_vectors(self, model, inputs):
        with pytest.raises(ConfigurationError, match="Leave them out"):
            model(**inputs, object_masks=torch.ones(2, 64, 64))
        inputs["input_ids"][0, 2] = -1
        with pytest.raises(ConfigurationError, match="negative ids"):
            model(**inputs)


class TestPlus(ZSSegTester):
    silent_prefixes = ("clip.vision_model", "clip.visual_projection", "clip.logit_scale", "prompts.fuse_weight")

    def make_config(self):
        return shallow_config(PLUS)

    @pytest.fixture
    def inputs(self):
        """Every class has learned vectors around its one token."""
        generator = torch.Generator().manual_seed(1)
        rows = [prompt_row(PLUS, [40 + k], [60 + k]) for k in range(self.num_classes)]
        masks = torch.zeros(2, 64, 64)
        masks[0, 10:40, 5:60], masks[1, 30:45, 20:35] = 1, 1
        pixels = torch.randn(2, 3, 64, 64, generator=generator)
        ids = torch.tensor(rows)
        return {
            "pixel_values": pixels,
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "object_masks": masks,
        }

    @torch.no_grad()
    def test_masked_classes_score_minus_infinity_and_the_others_the_same(self, model, inputs):
        """Here the others compete among themselves for CLIP's vote."""
        mask = torch.tensor([[True, False, True, False], [False, False, False, True]])
        logits, full = model(**inputs, class_mask=mask).logits, model(**inputs).logits
        assert torch.isneginf(logits[~mask]).all()
        assert (logits[mask] >= full[mask]).all()

    @torch.no_grad()
    def test_images_do_not_influence_each_other(self, model, inputs):
        together = model(**inputs).logits
        for key in ("pixel_values", "object_masks"):
            inputs[key] = inputs[key][1:]
        assert_close(together[1:], model(**inputs).logits, atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_several_objects_of_an_image_are_as_one_call_each(self, model, inputs, monkeypatch):
        calls, encode = [], model.pixel_level_module.forward
        monkeypatch.setattr(model.pixel_level_module, "forward", lambda pixels: calls.append(1) or encode(pixels))
        masks = torch.cat([inputs.pop("object_masks"), torch.ones(1, 64, 64)])
        mask = torch.tensor([[True, True, False, False], [False, True, True, True], [True, False, False, True]])
        inputs["pixel_values"] = inputs["pixel_values"][:1]
        together = model(**inputs, object_masks=masks, class_mask=mask).logits
        assert len(calls) == 1
        for row in range(3):
            one = slice(row, row + 1)
            alone = model(**inputs, object_masks=masks[one], class_mask=mask[one]).logits
            assert_close(together[one], alone, atol=1e-5, rtol=0)
        order = torch.tensor([2, 0, 1])
        permuted = model(**inputs, object_masks=masks[order], class_mask=mask[order]).logits
        assert_close(permuted, together[order], atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_clip_looks_once_at_each_object(self, model, inputs, monkeypatch):
        looks, look = [], regions.dense_features

        def counted(clip, crops):
            looks.append(len(crops))
            return look(clip, crops)

        monkeypatch.setattr(regions, "dense_features", counted)
        model(**inputs)
        assert looks == [1, 1]

    @torch.no_grad()
    def test_the_order_of_classes_does_not_matter(self, model, inputs):
        order = torch.tensor([3, 1, 0, 2])
        expected = model(**inputs).logits[:, order]
        inputs["input_ids"] = inputs["input_ids"][order]
        assert_close(model(**inputs).logits, expected, atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_an_object_without_parts_has_no_candidate(self, model, inputs):
        mask = torch.tensor([[False] * 4, [True] * 4])
        logits = model(**inputs, class_mask=mask).logits
        assert torch.isneginf(logits[0]).all() and torch.isfinite(logits[1]).all()

    @torch.no_grad()
    def test_an_empty_object_scores_zero(self, model, inputs):
        inputs["object_masks"][0] = 0
        assert (model(**inputs).logits[0] == 0).all()

    def test_training_uses_the_mask_of_every_sample(self, model, inputs, labels):
        loss = model(**inputs, labels=labels).loss
        inputs["object_masks"] = inputs["object_masks"].flip(0)
        assert not torch.allclose(model(**inputs, labels=labels).loss, loss)

    def test_object_masks_are_needed_and_must_fit(self, model, inputs):
        masks = inputs.pop("object_masks")
        with pytest.raises(ConfigurationError, match="object_masks is missing.*annotations or an object segmenter"):
            model(**inputs)
        for wrong in (masks[:, :32], torch.cat([masks, masks]), masks[:, None], masks[:0]):
            with pytest.raises(ConfigurationError, match=r"for 2 images of size \[64, 64\]"):
                model(**inputs, object_masks=wrong)


class TestImageConditioned(TestPlus):
    """CPTCoCoOp: CLIP's vote comes from prompts that the object has moved."""

    silent_prefixes = (*TestPlus.silent_prefixes, "prompts.meta_net")
    test_first_stage_compiles_to_one_graph = None  # it is that of ZSseg+

    def make_config(self):
        return shallow_config(PLUS, image_conditioned_prompts=True)

    @torch.no_grad()
    def test_class_features_replace_tokens(self, model, inputs):
        features = model.encode_classes(inputs["input_ids"], inputs["attention_mask"])
        expected = model(**inputs).logits
        assert torch.equal(model(**inputs, class_features=features).logits, expected)
        del inputs["input_ids"]
        with pytest.raises(ConfigurationError, match="depend on the image"):
            model(**inputs, class_features=features)

    @torch.no_grad()
    def test_own_vocabulary_is_saved_and_scored_without_words(self, model, inputs):
        """Its names are kept, but the image decides what they mean."""
        words = {name: inputs.pop(name) for name in ("input_ids", "attention_mask")}
        expected = model(**inputs, **words).logits
        model.store_class_features(NAMES, model.encode_classes(**words))
        with pytest.raises(ConfigurationError, match="depend on the image"):
            model(**inputs)
        assert torch.equal(model(**inputs, **words, class_features=model.class_features).logits, expected)

    test_own_vocabulary_knows_what_was_seen = None

    @torch.no_grad()
    def test_the_network_moves_the_answer(self, model, inputs):
        before = model(**inputs).logits
        torch.nn.init.normal_(model.prompts.meta_net.up.bias)
        assert not torch.allclose(model(**inputs).logits, before)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt_lengths", [4, 4]),
        ("mask_feature_size", 64),
        ("ensemble_weight", 1.5),
        ("region_size", 100),
    ],
)
def test_configuration_refuses(field, value):
    with pytest.raises(StrictDataclassClassValidationError, match=field):
        golden_config(PLUS, **{field: value})


def test_conditioned_prompts_need_learned_ones():
    with pytest.raises(StrictDataclassClassValidationError, match="image_conditioned_prompts"):
        golden_config(PLUS, image_conditioned_prompts=True, prompt_lengths=None)
