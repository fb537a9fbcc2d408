import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch.testing import assert_close
from transformers import CLIPSegForImageSegmentation

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.clipseg import modeling_clipseg
from ovparts_hf.models.clipseg.modeling_clipseg import CLIPSegForPartSegmentation

from ..tester import PartModelTester
from .goldens import golden_config


class TestCLIPSeg(PartModelTester):
    model_class = CLIPSegForPartSegmentation
    # The vision layers above the last one read, and what CLIP needs only to compare whole images with texts.
    silent_prefixes = ("clip.vision_model.post_layernorm", "clip.visual_projection", "clip.logit_scale")

    def make_config(self):
        return golden_config()

    @torch.no_grad()
    def test_images_need_not_be_square(self, model, inputs):
        pixels = torch.randn(1, 3, 48, 80)
        assert model(**{**inputs, "pixel_values": pixels}).logits.shape == (1, 4, 48, 80)

    @torch.no_grad()
    def test_many_pairs_are_decoded_in_chunks_with_the_same_result(self, model, inputs, monkeypatch):
        whole = model(**inputs).logits
        monkeypatch.setitem(modeling_clipseg.PAIRS_AT_ONCE, "cpu", 100)
        assert_close(model(**inputs).logits, whole, atol=1e-6, rtol=0)

    def test_chunks_of_pairs_have_the_same_gradients(self, model, inputs, labels, monkeypatch):
        monkeypatch.setitem(modeling_clipseg.PAIRS_AT_ONCE, "cpu", 3)
        model.train()
        pairs, gradients = [], []
        model.decoder.layers[0].mlp.register_forward_hook(lambda _, inputs, __: pairs.append(len(inputs[0])))
        for checkpointing in (False, True):
            if checkpointing:
                model.activation_checkpointing_enable()
            model.zero_grad()
            model(**inputs, labels=labels).loss.backward()
            gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
        whole, *chunks = pairs
        assert whole == 2 * (self.num_classes + 1) and set(chunks) == {whole % 3 or 3, 3}
        assert sum(chunks) == 2 * whole  # computed again in the backward pass
        assert gradients[0].keys() == gradients[1].keys() and gradients[0]
        for name, gradient in gradients[0].items():
            assert_close(gradients[1][name], gradient, atol=1e-6, rtol=1e-4, msg=name)

    def test_starts_from_stock_weights(self, inputs, tmp_path):
        stock = CLIPSegForImageSegmentation(golden_config())
        stock.save_pretrained(tmp_path)
        config = golden_config(adapter_ratio=0.0)
        model = CLIPSegForPartSegmentation.from_pretrained(tmp_path, config=config).eval()
        pixels = inputs["pixel_values"][:1].repeat(4, 1, 1, 1)
        with torch.no_grad():
            expected = stock.eval()(inputs["input_ids"], pixels, attention_mask=inputs["attention_mask"]).logits
            logits = model(**{**inputs, "pixel_values": pixels[:1]}).logits[0]
        assert_close(logits, expected, atol=1e-5, rtol=0)

    def test_unused_adapter_and_none_row_start_as_in_the_original(self):
        torch.manual_seed(0)
        model = CLIPSegForPartSegmentation(golden_config(projection_dim=512))
        assert model.none_embedding.std().item() == pytest.approx(512**-0.5, rel=0.15)
        width = model.config.vision_config.hidden_size
        assert model.visual_adapter.down.weight.abs().max().item() == pytest.approx(width**-0.5, rel=0.05)


def test_unknown_trainable_set():
    model = CLIPSegForPartSegmentation(golden_config())
    with pytest.raises(ConfigurationError, match=r"\['X'\].*VA"):
        model.set_trainable("VA+X")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("segmentation_loss", "l2"),
        ("adapter_ratio", 1.5),
        ("none_threshold", 0.0),
        ("extract_layers", [3, 9]),
        ("extract_layers", []),
        ("object_crop_margin", -0.1),
        ("object_crop_margin", float("nan")),
        ("object_crop_margin", float("inf")),
    ],
)
def test_configuration_refuses(field, value):
    with pytest.raises(StrictDataclassClassValidationError, match=field):
        golden_config(**{field: value})
