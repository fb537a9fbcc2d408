"""CATSeg agrees with the stored run of the original."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from ovparts_hf.models.catseg.configuration_catseg import CATSegConfig
from ovparts_hf.models.catseg.convert_catseg import account_keys, convert_catseg
from ovparts_hf.models.catseg.image_processing_catseg import CATSegImageProcessor
from ovparts_hf.models.catseg.modeling_catseg import CATSegForPartSegmentation
from ovparts_hf.models.post_processing import label_map

from ...golden_folder import golden, resized
from .goldens import golden_config, prepared

GOLDEN = golden("catseg")
FULL_SIZE = {"vision_config": {"patch_size": 16}}
NONE = "sem_seg_head.predictor.non_object_embedding"


@pytest.fixture(scope="module")
def converted():
    return convert_catseg(GOLDEN.checkpoint, golden_config(GOLDEN))


@pytest.fixture(scope="module")
def model(converted):
    return converted[0]


@pytest.fixture(scope="module")
def class_features(model):
    with torch.no_grad():
        return model.encode_classes(GOLDEN.inputs["token_ids_test"])


@pytest.fixture(scope="module")
def inputs():
    return prepared(GOLDEN.inputs["infer.image"][None], GOLDEN)


@pytest.mark.parametrize("kind", ["part model", "object model"])
@pytest.mark.parametrize("name", GOLDEN.full_size_keys)
def test_all_full_size_keys_are_accounted_for(name, kind):
    shapes = GOLDEN.full_size_keys[name]
    if kind == "object model":
        del shapes[NONE]
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    config = CATSegConfig(**FULL_SIZE)
    report = account_keys(tensors, config)
    assert {*report.used, *report.derivable} == set(shapes)
    assert len(report.derivable) == config.num_hidden_layers
    assert not report.unused
    assert list(report.added) == ([] if kind == "part model" else ["none_embedding"])
    with torch.device("meta"):
        model = CATSegForPartSegmentation(config)
    own = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in report.state.items()} == own


def test_pixels_agree():
    config = golden_config(GOLDEN)
    size, backbone_size = ({"height": side, "width": side} for side in (config.image_size, config.guidance_size))
    processor = CATSegImageProcessor(
        size,
        size_divisor=GOLDEN.facts["size_divisibility"],
        image_mean=config.image_mean,
        image_std=config.image_std,
        backbone_size=backbone_size,
    )
    inputs = processor(GOLDEN.inputs["infer.image"], augmented=True)
    GOLDEN.check("infer.clip_input", inputs["pixel_values"], atol=1e-6)
    with torch.device("meta"):
        model = CATSegForPartSegmentation(config)
    backbone_image = model._for_backbone(inputs["backbone_pixel_values"], inputs["pixel_mask"])
    GOLDEN.check("infer.backbone_input_crop", _crop(backbone_image), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("split", ["test", "train"])
def test_class_features_agree(split, model):
    features = model.encode_classes(GOLDEN.inputs[f"token_ids_{split}"])
    none = F.normalize(model.none_embedding, dim=-1)[:, None].expand(-1, features.shape[1], -1)
    GOLDEN.check(f"text.text_features_{split}", torch.cat([features, none]), atol=1e-5)


@torch.no_grad()
def test_class_features_in_half_precision_agree(model, monkeypatch):
    expected = GOLDEN.outputs["text.text_features_test_halfclip"][:-1]
    single = model.encode_classes(GOLDEN.inputs["token_ids_test"])
    monkeypatch.setattr(model.config, "text_precision", "float16")
    half = model.encode_classes(GOLDEN.inputs["token_ids_test"])
    assert_close(half, expected, atol=0.02, rtol=0)  # how half precision is summed differs between processors
    assert not torch.equal(half, single)
    assert half.dtype == torch.float32
    assert next(model.clip.text_model.parameters()).dtype == torch.float32


@torch.no_grad()
def test_every_intermediate_agrees(model, class_features, inputs):
    aggregator, vision = model.aggregator, model.clip.vision_model
    modules = {
        "ln_pre": vision.pre_layrnorm,
        "block0": vision.encoder.layers[0],
        "dense": model.clip.visual_projection,
        "backbone": model.backbone,
        "embedding": aggregator.embedding,
        "image_guidance": aggregator.image_guidance,
        "text_guidance": aggregator.text_guidance,
        "swin_block1": aggregator.layers[0].spatial.block_1,
    }
    modules |= {f"decoder_guidance{i}": each for i, each in enumerate(aggregator.decoder_guidance)}
    modules |= {f"decoder{i + 1}": stage for i, stage in enumerate(aggregator.decoder.stages)}
    modules |= {f"layer{i}.swin": layer.spatial for i, layer in enumerate(aggregator.layers)}
    modules |= {f"layer{i}.class": layer for i, layer in enumerate(aggregator.layers)}
    seen = {}
    hooks = [module.register_forward_hook(_note(seen, name)) for name, module in modules.items()]
    outputs = model(**inputs, class_features=class_features)
    for hook in hooks:
        hook.remove()

    for depth, stage in enumerate(seen["backbone"].feature_maps):
        GOLDEN.check(f"infer.backbone.res{depth + 2}", stage, atol=2e-5)
    for name in ("ln_pre", "block0", "dense"):
        GOLDEN.check(f"infer.clip.{name}", seen[name], atol=1e-5)
    GOLDEN.check("infer.agg.corr_embed", _as_maps(seen["embedding"]), atol=2e-5)
    GOLDEN.check("infer.agg.guidance_proj", seen["image_guidance"].relu(), atol=2e-5)
    for i in range(len(aggregator.decoder_guidance)):
        GOLDEN.check(f"infer.agg.decoder_guidance_proj{i}", seen[f"decoder_guidance{i}"].relu(), atol=2e-5)
    GOLDEN.check("infer.agg.text_guidance_proj", seen["text_guidance"].relu()[None], atol=1e-5)
    GOLDEN.check("infer.agg.layer0.swin_block1", seen["swin_block1"], atol=2e-5)
    volumes = [name for name in GOLDEN.outputs if re.fullmatch(r"infer\.agg\.layer\d+\.(swin|class)", name)]
    assert volumes
    for name in volumes:
        GOLDEN.check(name, _as_maps(seen[name.removeprefix("infer.agg.")]).transpose(0, 1)[None], atol=1e-4)
    GOLDEN.check("infer.agg.decoder1", seen["decoder1"], atol=1e-4)
    GOLDEN.check("infer.agg.logits", torch.cat([outputs.logits, outputs.none_logits], 1), atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("number", GOLDEN.facts["infer"]["object_ids"])
def test_final_map_agrees(number, model, class_features, inputs):
    kept = GOLDEN.facts["infer"]["kept_classes"][str(number)]
    mask = torch.zeros(1, len(class_features), dtype=torch.bool)
    mask[:, kept] = True
    logits = model(**inputs, class_features=class_features, class_mask=mask, include_none=False).logits[0]
    expected = GOLDEN.outputs[f"infer.final_obj{number}"]
    probabilities = resized(logits.sigmoid()[None], expected.shape[-2:])[0]
    assert_close(probabilities[kept], expected[kept], atol=1e-5, rtol=0)
    answer = label_map(logits, expected.shape[-2:], kept, scores="probabilities")
    best = expected.topk(2, dim=0)
    clear = best.values[0] - best.values[1] > 2e-5
    assert torch.equal(answer[clear], best.indices[0][clear])
    assert clear.float().mean() > 0.5  # how sure the stored model is


def test_training_agrees(converted):
    model, report = converted
    model.train()
    model.set_trainable("B+D")
    features = model.encode_classes(GOLDEN.inputs["token_ids_train"])
    inputs = prepared(GOLDEN.inputs["train.images"], GOLDEN)
    outputs = model(**inputs, class_features=features, labels=GOLDEN.inputs["train.labels"])
    GOLDEN.check("train.logits", torch.cat([outputs.logits, outputs.none_logits], 1), atol=1e-4)
    GOLDEN.check("train.loss", outputs.loss[None], atol=1e-6)
    outputs.loss.backward()
    GOLDEN.check_gradients(model, report, "train.grad.", atol=lambda expected: 1e-4 * expected.abs().max().item())
    assert {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad} == {"backbone", "aggregator"}
    model.zero_grad()
    model.eval()


@torch.no_grad()
def test_a_converted_saved_and_loaded_model_agrees(model, inputs, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = CATSegForPartSegmentation.from_pretrained(tmp_path)
    outputs = loaded(**inputs, input_ids=GOLDEN.inputs["token_ids_test"])
    GOLDEN.check("infer.agg.logits", torch.cat([outputs.logits, outputs.none_logits], 1), atol=1e-4)


def _note(seen, name):
    def hook(_module, _inputs, output):
        seen[name] = torch.cat([seen[name], output]) if name.startswith("decoder") and name in seen else output

    return hook


def _as_maps(volume):
    return volume.transpose(1, 2).unflatten(2, GOLDEN.facts["aggregator"]["feature_resolution"])


def _crop(image):
    crop = GOLDEN.facts["infer"]["backbone_input_crop"]
    (top, left), size = crop["top_left"], crop["size"]
    return image[..., top : top + size, left : left + size]
