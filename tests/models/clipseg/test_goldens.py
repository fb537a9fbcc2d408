"""CLIPSeg agrees with the stored run of the original."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.testing import assert_close
from transformers import ViTImageProcessor

from ovparts_hf.models.clip import image_activations
from ovparts_hf.models.clipseg.configuration_clipseg import CLIPSegPartConfig
from ovparts_hf.models.clipseg.convert_clipseg import PREFIX, RENAMED, UNUSED, account_keys, convert_clipseg
from ovparts_hf.models.clipseg.modeling_clipseg import CLIPSegForPartSegmentation
from ovparts_hf.models.post_processing import label_map
from ovparts_hf.models.processing import PartSegmentationProcessor

from ...golden_folder import golden, resized
from .goldens import golden_config, golden_processor

GOLDEN = golden("clipseg")
INPUTS, OUTPUTS = GOLDEN.inputs, GOLDEN.outputs
CASES = [name.removesuffix(".logits") for name in OUTPUTS if name.endswith(".logits")]
PROCESSED = GOLDEN.path("processor.safetensors")
NORMALISATION = {
    "imagenet_mean": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "half_mean": ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]),
}
FULL_SIZE = {"vision_config": {"patch_size": 16}, "use_complex_transposed_convolution": True}
ORIGINAL_NAME = {new: old for old, new in RENAMED.items()}


@pytest.fixture(scope="module")
def model():
    return convert_clipseg(GOLDEN.checkpoint, golden_config(GOLDEN))[0]


@pytest.fixture(scope="module")
def simpleconv_model(model):
    """With the other kind of last layer, whose weights are stored as the difference."""
    other = CLIPSegForPartSegmentation(golden_config(GOLDEN, use_complex_transposed_convolution=False)).eval()
    delta = torch.load(GOLDEN.path("checkpoint_simpleconv_delta.pth"), weights_only=True)
    delta = {key.removeprefix(PREFIX): value for key, value in delta.get("model", delta).items()}
    shared = {k: v for k, v in model.state_dict().items() if ".transposed_convolution." not in k}
    other.load_state_dict({**shared, **delta})
    return other


def tokens(case):
    """The words of a case; those without have the evaluation's."""
    case = case if f"{case}.input_ids" in INPUTS else "eval"
    return {key: INPUTS[f"{case}.{key}"] for key in ("input_ids", "attention_mask")}


def training_images():
    return list(zip(GOLDEN.numbered("train.image_u8."), GOLDEN.numbered("train.labels."), strict=True))


@pytest.mark.parametrize("name", GOLDEN.full_size_keys)
def test_all_full_size_keys_are_accounted_for(name):
    shapes = GOLDEN.full_size_keys[name]
    tensors = {
        key: torch.arange(shape[-1])[None] if key.endswith("position_ids") else torch.empty(shape, device="meta")
        for key, shape in shapes.items()
    }
    report = account_keys(tensors)
    assert {*report.used, *report.derivable, *report.unused} == set(shapes)
    assert (len(report.derivable), set(report.unused)) == (2, {PREFIX + key for key in UNUSED})
    with torch.device("meta"):
        model = CLIPSegForPartSegmentation(CLIPSegPartConfig(**FULL_SIZE))
    own = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    assert {name: shapes[key] for key, (name,) in report.used.items()} == own
    assert f"{len(shapes)} keys: {len(report.used)} used, 2 derivable, 3 unused" in report.summary()
    assert report.unused
    assert all(reason in report.summary() for reason in report.unused.values())


@torch.no_grad()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("case", CASES)
def test_every_intermediate_agrees(case, attention, model, request):
    model = request.getfixturevalue("simpleconv_model") if case == "simpleconv" else model
    model.set_attn_implementation(attention)
    pixels = INPUTS[f"{case}.pixel_values"]
    features = model.encode_classes(**tokens(case))
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
    assert clear.float().mean() > 0.5  # how sure the stored model is


@torch.no_grad()
@pytest.mark.parametrize("case", ["train", "eval"])
def test_what_lies_inside_the_towers_agrees(case, model):
    clip, pixels = model.clip, INPUTS[f"{case}.pixel_values"]
    raw = image_activations(clip.vision_model, pixels, model.config.extract_layers)
    for depth, activation in enumerate(raw):
        assert_close(activation, OUTPUTS[f"{case}.activation_raw.{depth}"], atol=1e-5, rtol=0)
    text = clip.text_model(**tokens(case))
    assert_close(text.pooler_output, OUTPUTS[f"{case}.text_pooler"], atol=1e-5, rtol=0)
    states = OUTPUTS.get(f"{case}.text_last_hidden")
    if states is not None:
        assert_close(text.last_hidden_state[: len(states)], states, atol=1e-5, rtol=0)
    pooled = clip.get_image_features(pixels).pooler_output
    assert_close(pooled, OUTPUTS[f"{case}.pooled_output"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_decoder_layers_agree(model):
    seen = {layer: [] for layer in model.decoder.layers}
    hooks = [layer.register_forward_hook(lambda module, _, out: seen[module].append(out)) for layer in seen]
    model(INPUTS["train.pixel_values"], **tokens("train"))
    for hook in hooks:
        hook.remove()
    assert seen
    for depth, chunks in enumerate(seen.values()):
        assert_close(torch.cat(chunks), OUTPUTS[f"train.decoder_layer.{depth}"], atol=3e-5, rtol=0)


@torch.no_grad()
def test_text_encoded_once_and_trimmed_gives_the_same(model):
    text = tokens("eval")
    longest = int(text["attention_mask"].sum(1).max())
    trimmed = model.encode_classes(text["input_ids"][:, :longest], text["attention_mask"][:, :longest])
    assert_close(trimmed, OUTPUTS["eval.conditional_embeddings"][:-1], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_batches_of_any_size_agree(more, model):
    """One image less than in training, as many, and one more."""
    images = torch.cat([INPUTS["train.pixel_values"], INPUTS["eval.pixel_values"]])
    stored = OUTPUTS["train.logits"]
    batch = max(1, len(stored) + more)
    outputs = model(images[:batch], **tokens("train"))
    logits = torch.cat([outputs.logits, outputs.none_logits], dim=1)
    assert len(logits) == batch
    assert_close(logits[: len(stored)], stored[:batch], atol=1e-4, rtol=0)


@pytest.mark.parametrize("resized_labels", [True, False])
def test_loss_and_gradients_agree(model, resized_labels):
    model.zero_grad()
    model.set_trainable("VA+L+F+D")
    pixels, text = INPUTS["train.pixel_values"], tokens("train")
    if resized_labels:
        loss = model(pixels, **text, labels=INPUTS["train.labels_resized"]).loss
    else:
        labels = [labels[None] for _, labels in training_images()]
        losses = [model(image[None], **text, labels=of_image).loss for image, of_image in zip(pixels, labels)]
        loss = sum(losses) / len(losses)
    loss.backward()
    assert loss.item() == pytest.approx(OUTPUTS["train.loss"].item(), abs=1e-6)
    gradients = {
        f"train.grad.{PREFIX}{ORIGINAL_NAME.get(name, name)}": parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    assert set(gradients) == {name for name in OUTPUTS if name.startswith("train.grad.")}
    norm = sum(grad.square().sum() for grad in gradients.values()).sqrt().item()
    for name, grad in gradients.items():
        assert_close(grad, OUTPUTS[name], atol=1e-6 * norm, rtol=0, msg=name)


@pytest.mark.skipif("simpleconv.train_loss" not in OUTPUTS, reason="not stored")
def test_loss_of_the_simple_decoder_agrees(simpleconv_model):
    images, labels = zip(*training_images())
    processor = golden_processor(GOLDEN.facts["processor"]["native_size"], GOLDEN)
    pixels = processor(images=list(images))["pixel_values"]
    losses = [
        simpleconv_model(image[None], **tokens("train"), labels=of_image[None]).loss.item()
        for image, of_image in zip(pixels, labels, strict=True)
    ]
    assert sum(losses) / len(losses) == pytest.approx(OUTPUTS["simpleconv.train_loss"].item(), abs=1e-6)


@torch.no_grad()
def test_evaluation_map_agrees(model):
    """The original's map, zero for the parts of absent objects, and ours from the candidates alone."""
    objects, names = GOLDEN.facts["obj_classes"], GOLDEN.facts["test_stuff_classes"]
    present = {objects[i] for i in GOLDEN.facts["eval_present_object_ids"]}
    candidates = [i for i, name in enumerate(names) if name.split("'s")[0] in present]
    assert candidates
    mask = torch.zeros(1, len(names), dtype=torch.bool)
    mask[:, candidates] = True
    outputs = model(INPUTS["eval.pixel_values"], **tokens("eval"), class_mask=mask, include_none=False)
    assert outputs.none_logits is None
    size = tuple(OUTPUTS["eval.argmax"].shape)
    scores = resized(outputs.logits[:, candidates], size).sigmoid()
    assert_close(scores[0], OUTPUTS["eval.sem_seg"][candidates], atol=1e-5, rtol=0)
    answer = label_map(outputs.logits[0], size, candidates)
    assert torch.equal(answer, OUTPUTS["eval.argmax"].long())


@torch.no_grad()
def test_a_converted_saved_and_loaded_model_agrees(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = CLIPSegForPartSegmentation.from_pretrained(tmp_path)
    outputs = loaded(INPUTS["eval.pixel_values"], **tokens("eval"))
    logits = torch.cat([outputs.logits, outputs.none_logits], dim=1)
    assert_close(logits, OUTPUTS["eval.logits"], atol=1e-4, rtol=0)


@pytest.mark.skipif(not PROCESSED.exists(), reason="not stored")
@pytest.mark.parametrize("kind", ["tensor", "pil"])
def test_pixels_are_bit_identical(kind):
    stored = load_file(PROCESSED)
    image = stored.get("image_u8")
    if image is None:  # the larger layout has it as the one image that is named after its size
        (path,) = PROCESSED.parent.glob("*_*x*.png")
        image = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)
    names = [name for name in stored if name.startswith("pixel_values_")]
    assert names
    for name in names:
        size, stats, normalisation = re.fullmatch(r"pixel_values_(\d+)(_stats)?\.(\w+)", name).groups()
        mean, std = NORMALISATION[normalisation]
        settings = ViTImageProcessor(size={"height": int(size), "width": int(size)}, image_mean=mean, image_std=std)
        processor = PartSegmentationProcessor(settings, golden_processor(golden=GOLDEN).tokenizer)
        given = Image.fromarray(image.permute(1, 2, 0).numpy()) if kind == "pil" else image
        pixels = processor(images=[given])["pixel_values"]
        if stats:
            values = pixels[0].double()
            some = [values[0, 100, 100], values[2, -1, -1], values[1, 0, 0]]
            found = torch.stack([values.mean(), values.std(), values.abs().sum(), *some])
            assert_close(found, stored[name], rtol=1e-9, atol=1e-9)
        else:
            assert torch.equal(pixels, stored[name])


def test_images_and_words_are_prepared_alike():
    processor = golden_processor(golden=GOLDEN)
    pixels = processor(images=[image for image, _ in training_images()])["pixel_values"]
    assert torch.equal(pixels, INPUTS["train.pixel_values"])
    for case, names in (("train", "train_stuff_classes"), ("eval", "test_stuff_classes")):
        words = processor(classes=GOLDEN.facts[names])
        length = words["input_ids"].shape[1]
        assert length == INPUTS[f"{case}.attention_mask"].sum(1).max()
        for key, value in words.items():
            assert torch.equal(value, INPUTS[f"{case}.{key}"][:, :length])


@pytest.mark.skipif(not GOLDEN.path("trainable_sets.json").exists(), reason="not stored")
@pytest.mark.parametrize("name", ["none", "VA+L+F", "VA+L+F+D"])
def test_trainable_sets_are_the_published_ones(name):
    """Of the full-size model."""
    expected = json.loads(GOLDEN.path("trainable_sets.json").read_text())
    expected = expected.get("sets", expected)[name]
    with torch.device("meta"):
        model = CLIPSegForPartSegmentation(CLIPSegPartConfig(**FULL_SIZE))
    model.set_trainable(name)
    trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert {PREFIX + ORIGINAL_NAME.get(n, n) for n in trainable} == set(expected["parameters"])
    assert sum(p.numel() for p in trainable.values()) == expected["num_parameters"]
