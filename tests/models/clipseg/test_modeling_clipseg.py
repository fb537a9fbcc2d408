import json

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch.testing import assert_close
from transformers import CLIPSegForImageSegmentation

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.clip import image_activations
from ovparts_hf.models.clipseg import modeling_clipseg
from ovparts_hf.models.clipseg.convert_clipseg import PREFIX, RENAMED, convert_clipseg
from ovparts_hf.models.clipseg.modeling_clipseg import CLIPSegForPartSegmentation
from ovparts_hf.models.post_processing import label_map

from ..tester import PartModelTester
from .goldens import FACTS, FOLDER, INPUTS, OUTPUTS, golden_config, golden_processor

ORIGINAL_NAME = {new: old for old, new in RENAMED.items()}


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

    def test_gradient_checkpointing_changes_nothing(self, model, inputs, labels):
        model.train()
        plain = model(**inputs, labels=labels).loss
        model.activation_checkpointing_enable()
        assert_close(model(**inputs, labels=labels).loss, plain)

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


@pytest.fixture(scope="module")
def golden_model():
    return convert_clipseg(FOLDER / "checkpoint.pth", golden_config())[0]


@pytest.fixture(scope="module")
def simpleconv_model(golden_model):
    model = CLIPSegForPartSegmentation(golden_config(use_complex_transposed_convolution=False)).eval()
    delta = torch.load(FOLDER / "checkpoint_simpleconv_delta.pth", weights_only=True)
    delta = {key.removeprefix(PREFIX): value for key, value in delta.get("model", delta).items()}
    shared = {k: v for k, v in golden_model.state_dict().items() if ".transposed_convolution." not in k}
    model.load_state_dict({**shared, **delta})
    return model


def tokens(case):
    return {key: INPUTS[f"{case}.{key}"] for key in ("input_ids", "attention_mask")}


CASES = {"train": "train", "eval": "eval", "native": "eval", "simpleconv": "eval"}


@torch.no_grad()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(("case", "text"), CASES.items())
def test_every_intermediate_agrees(case, text, attention, golden_model, simpleconv_model):
    model = simpleconv_model if case == "simpleconv" else golden_model
    model.set_attn_implementation(attention)
    pixels = INPUTS[f"{case}.pixel_values"]
    features = model.encode_classes(**tokens(text))
    rows = torch.cat([features, model.none_embedding])
    assert_close(rows, OUTPUTS[f"{case}.conditional_embeddings"], atol=1e-5, rtol=0)
    for depth, activation in enumerate(model.encode_images(pixels)):
        assert_close(activation, OUTPUTS[f"{case}.activation_adapted.{depth}"], atol=1e-5, rtol=0)
    outputs = model(pixels, class_features=features)
    logits = torch.cat([outputs.logits, outputs.none_logits], dim=1)
    assert_close(logits, OUTPUTS[f"{case}.logits"], atol=1e-4, rtol=0)
    best = OUTPUTS[f"{case}.logits"][:, :-1].topk(2, dim=1)
    clear = best.values[:, 0] - best.values[:, 1] > 1e-5
    assert torch.equal(outputs.logits.argmax(1)[clear], best.indices[:, 0][clear])
    assert clear.float().mean() > 0.999


@torch.no_grad()
@pytest.mark.parametrize("case", ["train", "eval"])
def test_what_lies_inside_the_towers_agrees(case, golden_model):
    clip, pixels = golden_model.clip, INPUTS[f"{case}.pixel_values"]
    raw = image_activations(clip.vision_model, pixels, golden_model.config.extract_layers)
    for depth, activation in enumerate(raw):
        assert_close(activation, OUTPUTS[f"{case}.activation_raw.{depth}"], atol=1e-5, rtol=0)
    text = clip.text_model(**tokens(case))
    assert_close(text.pooler_output, OUTPUTS[f"{case}.text_pooler"], atol=1e-5, rtol=0)
    if case == "train":
        assert_close(text.last_hidden_state[:2], OUTPUTS["train.text_last_hidden"], atol=1e-5, rtol=0)
    pooled = clip.get_image_features(pixels).pooler_output
    assert_close(pooled, OUTPUTS[f"{case}.pooled_output"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_decoder_layers_agree(golden_model):
    seen = {layer: [] for layer in golden_model.decoder.layers}
    hooks = [layer.register_forward_hook(lambda module, _, out: seen[module].append(out)) for layer in seen]
    golden_model(INPUTS["train.pixel_values"], **tokens("train"))
    for hook in hooks:
        hook.remove()
    for depth, chunks in enumerate(seen.values()):
        assert_close(torch.cat(chunks), OUTPUTS[f"train.decoder_layer.{depth}"], atol=3e-5, rtol=0)


@torch.no_grad()
def test_text_encoded_once_and_trimmed_gives_the_same(golden_model):
    text = tokens("eval")
    longest = int(text["attention_mask"].sum(1).max())
    trimmed = golden_model.encode_classes(text["input_ids"][:, :longest], text["attention_mask"][:, :longest])
    assert_close(trimmed, OUTPUTS["eval.conditional_embeddings"][:-1], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_batches_agree(batch, golden_model):
    pixels = torch.cat([INPUTS["train.pixel_values"], INPUTS["eval.pixel_values"]])[:batch]
    outputs = golden_model(pixels, **tokens("train"))
    logits = torch.cat([outputs.logits, outputs.none_logits], dim=1)
    assert_close(logits[:2], OUTPUTS["train.logits"][:batch], atol=1e-4, rtol=0)


@pytest.mark.parametrize("labels", ["train.labels_resized", "original sizes"])
def test_loss_and_gradients_agree(golden_model, labels):
    golden_model.zero_grad()
    golden_model.set_trainable("VA+L+F+D")
    pixels, text = INPUTS["train.pixel_values"], tokens("train")
    if labels in INPUTS:
        loss = golden_model(pixels, **text, labels=INPUTS[labels]).loss
    else:
        losses = [
            golden_model(pixels[i : i + 1], **text, labels=INPUTS[f"train.labels.{i}"][None]).loss for i in range(2)
        ]
        loss = sum(losses) / 2
    loss.backward()
    assert loss.item() == pytest.approx(OUTPUTS["train.loss"].item(), abs=1e-6)
    gradients = {name: p.grad for name, p in golden_model.named_parameters() if p.requires_grad}
    assert len(gradients) == 68
    norm = sum(grad.square().sum() for grad in gradients.values()).sqrt().item()
    for name, grad in gradients.items():
        expected = OUTPUTS[f"train.grad.{PREFIX}{ORIGINAL_NAME.get(name, name)}"]
        assert_close(grad, expected, atol=1e-6 * norm, rtol=0, msg=name)


def test_loss_of_the_simple_decoder_agrees(simpleconv_model):
    size = FACTS["processor"]["native_size"]
    pixels = golden_processor(size)(images=[INPUTS[f"train.image_u8.{i}"] for i in range(2)])["pixel_values"]
    losses = [
        simpleconv_model(pixels[i : i + 1], **tokens("train"), labels=INPUTS[f"train.labels.{i}"][None]).loss.item()
        for i in range(2)
    ]
    assert sum(losses) / 2 == pytest.approx(OUTPUTS["simpleconv.train_loss"].item(), abs=1e-6)


@torch.no_grad()
def test_evaluation_map_agrees(golden_model):
    """The original's map, zero for the parts of absent objects, and ours from the candidates alone."""
    objects = FACTS["obj_classes"]
    present = {objects[i] for i in FACTS["eval_present_object_ids"]}
    candidates = [i for i, name in enumerate(FACTS["test_stuff_classes"]) if name.split("'s")[0] in present]
    mask = torch.zeros(1, 7, dtype=torch.bool)
    mask[:, candidates] = True
    outputs = golden_model(INPUTS["eval.pixel_values"], **tokens("eval"), class_mask=mask, include_none=False)
    assert outputs.none_logits is None
    size = tuple(OUTPUTS["eval.argmax"].shape)
    scores = torch.nn.functional.interpolate(outputs.logits[:, candidates], size=size, mode="bilinear").sigmoid()
    assert_close(scores[0], OUTPUTS["eval.sem_seg"][candidates], atol=1e-5, rtol=0)
    answer = label_map(outputs.logits[0], size, candidates)
    assert torch.equal(answer, OUTPUTS["eval.argmax"].long())


@pytest.mark.parametrize("name", ["none", "VA+L+F", "VA+L+F+D"])
def test_trainable_sets_are_the_published_ones(name):
    expected = json.loads((FOLDER / "trainable_sets.json").read_text())[name]
    with torch.device("meta"):
        model = CLIPSegForPartSegmentation(golden_config())
    model.set_trainable(name)
    trainable = {PREFIX + ORIGINAL_NAME.get(n, n) for n, p in model.named_parameters() if p.requires_grad}
    assert trainable == set(expected["parameters"])


def test_unknown_trainable_set(golden_model):
    with pytest.raises(ConfigurationError, match=r"\['X'\].*VA"):
        golden_model.set_trainable("VA+X")


@pytest.mark.parametrize(
    ("field", "value"),
    [("segmentation_loss", "l2"), ("adapter_ratio", 1.5), ("extract_layers", [3, 9]), ("extract_layers", [])],
)
def test_configuration_refuses(field, value):
    with pytest.raises(StrictDataclassClassValidationError, match=field):
        golden_config(**{field: value})
