"""PartCATSeg agrees with the stored run of its authors' code."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from ovparts_hf.models.catseg.image_processing_catseg import CATSegImageProcessor
from ovparts_hf.models.clip import text_features
from ovparts_hf.models.part_object import level_targets
from ovparts_hf.models.partcatseg.configuration_partcatseg import PartCATSegConfig
from ovparts_hf.models.partcatseg.convert_partcatseg import account_keys, convert_partcatseg
from ovparts_hf.models.partcatseg.losses import compositional_shares, part_catseg_losses
from ovparts_hf.models.partcatseg.modeling_partcatseg import PartCATSegForPartSegmentation
from ovparts_hf.models.partcatseg.vocabulary import Vocabulary
from ovparts_hf.models.post_processing import label_map

from ...golden_folder import golden, resized
from .goldens import golden_config, object_labels, prepared, stored_order, stored_tokens

GOLDEN = golden("partcatseg")
CASES = sorted({name.split(".")[1] for name in GOLDEN.inputs if name.endswith(".part_labels")})


@pytest.fixture(scope="module")
def converted():
    return convert_partcatseg(GOLDEN.checkpoint, golden_config(GOLDEN))


@pytest.fixture(scope="module")
def model(converted):
    return converted[0]


@pytest.fixture(scope="module")
def class_features(model):
    with torch.no_grad():
        return model.encode_classes(stored_tokens("test", GOLDEN))


@pytest.fixture(scope="module")
def inputs():
    return prepared(GOLDEN.inputs["infer.image"][None], GOLDEN)


@pytest.mark.parametrize("name", GOLDEN.full_size_keys)
def test_all_full_size_keys_are_accounted_for(name):
    shapes = GOLDEN.full_size_keys[name]
    assert len(shapes) == 804
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    config = PartCATSegConfig(vision_config={"patch_size": 16})
    report = account_keys(tensors, config)
    assert {*report.used, *report.derivable, *report.unused} == set(shapes)
    assert len(report.derivable) == 2 * config.num_hidden_layers
    reasons = {key.removeprefix("sem_seg_head.predictor.transformer.").split(".")[0] for key in report.unused}
    assert reasons == {"layers_object", "backbone"} and len(report.unused) == 98 + 1
    assert not report.added
    with torch.device("meta"):
        model = PartCATSegForPartSegmentation(config)
    own = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in report.state.items()} == own


def test_pixels_agree(model):
    config = model.config
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
    seen = model._for_backbone(inputs["backbone_pixel_values"], inputs["pixel_mask"])
    GOLDEN.check("infer.dino_input_crop", _crop(seen), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("split", ["test", "train"])
def test_texts_agree(split, model):
    """The stored tables name each part and object once; here they are found again among the features of classes."""
    features = model.encode_classes(stored_tokens(split, GOLDEN))
    none = F.normalize(model.none_embedding, dim=-1)[:, None].expand(-1, model.config.num_templates, -1)
    vocabulary = Vocabulary.of(features, none)
    GOLDEN.check(f"text.features_specific_{split}", vocabulary.classes, atol=1e-5)
    GOLDEN.check(f"text.features_part_obj_{split}", vocabulary.names[stored_order(split, GOLDEN)], atol=1e-5)
    for level in ("specific", "part_obj"):
        tokens = GOLDEN.inputs[f"token_ids_{level}_{split}"]
        encoded = text_features(model.clip, tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2])
        GOLDEN.check(f"text.encode_text_{level}_{split}", encoded, atol=2e-5)


@torch.no_grad()
def test_every_intermediate_agrees(model, class_features, inputs):
    """Every stored tensor of inference is compared; those of names come in the order of the stored run."""
    names = stored_order("test", GOLDEN)
    actual = _intermediates(model, class_features, inputs, names)
    stored = [name for name in GOLDEN.outputs if name.startswith("infer.") and "final" not in name]
    stored = [name for name in stored if name not in ("infer.clip_input", "infer.dino_input_crop")]  # see above
    assert len(stored) > 30
    for name in stored:
        short = re.sub(r"_first\d+$|_0_1_last$", "", name)
        tensor, axis = actual[short]
        if found := re.search(r"_first(\d+)$", name):
            tensor = tensor.narrow(axis, 0, int(found[1]))
        if name.endswith("_0_1_last"):
            tensor = tensor.index_select(axis, torch.tensor([0, 1, tensor.shape[axis] - 1]))
        expected = GOLDEN.outputs[name]
        GOLDEN.compare(name, tensor.reshape(expected.shape), expected, atol=1e-4 if "logits" in name else 5e-5)


@torch.no_grad()
@pytest.mark.parametrize("number", GOLDEN.facts["infer"]["object_ids"])
def test_map_of_an_object_agrees(number, model, class_features, inputs):
    kept = GOLDEN.facts["infer"]["kept_classes"][str(number)]
    mask = torch.zeros(1, len(class_features), dtype=torch.bool)
    mask[:, kept] = True
    logits = model(**inputs, class_features=class_features, class_mask=mask, include_none=False).logits[0]
    expected = GOLDEN.outputs[f"infer.final_oracle_obj{number}"]
    probabilities = resized(logits.sigmoid()[None], expected.shape[-2:])[0]
    assert_close(probabilities[kept], expected[kept], atol=2e-5, rtol=0)
    others = [i for i in range(len(expected)) if i not in kept]
    assert (expected[others] < -0.99).all() and torch.isneginf(logits[others]).all()
    answer = label_map(logits, expected.shape[-2:], kept, scores="probabilities")
    best = expected.topk(2, dim=0)
    clear = best.values[0] - best.values[1] > 4e-5
    assert torch.equal(answer[clear], best.indices[0][clear])
    assert clear.float().mean() > 0.5  # how sure the stored model is


@torch.no_grad()
def test_map_of_all_objects_agrees(model, class_features, inputs):
    outputs = model(**inputs, class_features=class_features)
    expected = GOLDEN.outputs["infer.final_pred_all"]
    scores = torch.cat([outputs.logits, outputs.none_logits], 1).sigmoid()
    assert_close(resized(scores, expected.shape[-2:])[0], expected, atol=2e-5, rtol=0)


@torch.no_grad()
def test_training_scores_and_shares_agree(model):
    vocabulary, levels = _train_levels(model)
    order = stored_order("train", GOLDEN)
    GOLDEN.check("train.specific.logits", levels.classes, atol=1e-4)
    GOLDEN.check("train.part_obj.logits", levels.names[:, order], atol=1e-4)
    by_parts, by_name = compositional_shares(levels.class_correlation, levels.object_correlation, vocabulary.object_ids)
    objects = order[vocabulary.num_parts :] - vocabulary.num_parts
    GOLDEN.check("train.jsd_mapped_specific", by_parts[:, objects], atol=1e-6)
    GOLDEN.check("train.jsd_object", by_name[:, objects], atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_each_loss_agrees(case, model):
    vocabulary, levels = _train_levels(model)
    labels = GOLDEN.inputs[f"train.{case}.part_labels"].long()
    losses = part_catseg_losses(levels, vocabulary, labels, object_labels(case, GOLDEN), model.config)
    names = {
        "specific_labelled": losses.classes_on_parts,
        "specific_background": losses.classes_on_background,
        "part": losses.parts,
        "obj": losses.objects,
        "jsd": losses.divergence,
        "total": losses.total(model.config),
    }
    for name, loss in names.items():
        expected = GOLDEN.outputs.get(f"train.{case}.loss_{name}", torch.zeros(1))  # which is left out in this case
        GOLDEN.compare(name, loss.reshape(1), expected, atol=1e-5)


def test_targets_agree(model):
    facts = GOLDEN.facts["train"]
    labels, of_objects = GOLDEN.inputs["train.a.part_labels"].long(), object_labels("a", GOLDEN)
    ids = (torch.tensor(facts[name]) for name in ("class_to_part", "class_to_obj_in_part"))
    targets = level_targets(labels, of_objects, *ids, labels.shape[-2:])
    ignored = GOLDEN.facts["ignore_value"]
    for name, found in (("part_targets", targets.parts), ("obj_in_part_targets", targets.objects)):
        assert torch.equal(torch.where(found < 0, ignored, found).float(), GOLDEN.outputs[f"train.a.{name}"])


def test_gradients_agree(converted):
    model, report = converted
    model.train()
    model.set_trainable("B+D")
    model.zero_grad()
    outputs = model(
        **prepared(GOLDEN.inputs["train.images"], GOLDEN),
        class_features=model.encode_classes(stored_tokens("train", GOLDEN)),
        labels=GOLDEN.inputs["train.a.part_labels"].long(),
        object_labels=object_labels("a", GOLDEN),
    )
    GOLDEN.check("train.a.loss_total", outputs.loss[None], atol=1e-5)
    outputs.loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    prefix = "train.a.grad."
    stored = [name for name in GOLDEN.outputs if name.startswith(prefix)]
    assert stored
    for name in stored:
        expected = GOLDEN.outputs[name]
        own = torch.cat([gradients[part] for part in report.used[name.removeprefix(prefix)]])
        own = (
            own[:, : expected.shape[1]] if own.numel() > expected.numel() else own
        )  # of positions, the first are stored
        GOLDEN.compare(name, own.reshape(expected.shape), expected, atol=1e-4 * expected.abs().max().item())
    norm = torch.linalg.vector_norm(torch.stack([gradient.norm() for gradient in gradients.values()]))
    assert_close(norm[None], GOLDEN.outputs["train.a.grad_global_norm"], rtol=1e-4, atol=0)
    assert {name.split(".")[0] for name in gradients} == {"backbone", "aggregator"}
    model.zero_grad()
    model.eval()


@torch.no_grad()
def test_a_converted_saved_and_loaded_model_agrees(model, inputs, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = PartCATSegForPartSegmentation.from_pretrained(tmp_path)
    outputs = loaded(**inputs, input_ids=stored_tokens("test", GOLDEN))
    GOLDEN.check("infer.specific.logits", torch.cat([outputs.logits, outputs.none_logits], 1), atol=1e-4)


def _train_levels(model):
    features = model.encode_classes(stored_tokens("train", GOLDEN))
    none = F.normalize(model.none_embedding, dim=-1)[:, None].expand(-1, model.config.num_templates, -1)
    vocabulary = Vocabulary.of(features, none)
    inputs = prepared(GOLDEN.inputs["train.images"], GOLDEN)
    images = model._for_backbone(inputs["backbone_pixel_values"], inputs["pixel_mask"])
    decoded = torch.ones(len(images), len(vocabulary), dtype=torch.bool)
    return vocabulary, model._score_levels(inputs["pixel_values"], images, vocabulary, decoded)


def _intermediates(model, class_features, inputs, order):
    """Name of a stored tensor -> our own in its layout, and the axis of classes, of channels or of places."""
    aggregator, backbone, vision = model.aggregator, model.backbone, model.clip.vision_model
    modules = {
        "clip.ln_pre": vision.pre_layrnorm,
        "clip.block0": vision.encoder.layers[0],
        "clip.dense": model.clip.visual_projection,
        "dino.embeddings": backbone.embeddings,
        "dino.block0": backbone.encoder.layer[0],
        "dino.norm": backbone.layernorm,
        "backbone": backbone,
        "guidance_proj": aggregator.image_guidance,
        "text_guidance": aggregator.text_guidance,
        "composition": aggregator.composition,
        "part_obj.embedding": aggregator.embedding.convolution,
        "specific.embedding": aggregator.class_embedding.convolution,
        "decoder1": aggregator.decoder.stages[0],
    }
    modules |= {f"decoder_guidance_proj{i}": each for i, each in enumerate(aggregator.decoder_guidance)}
    for level, layers in (("part_obj", aggregator.layers), ("specific", aggregator.class_layers)):
        for depth, layer in enumerate(layers):
            modules[f"{level}.layer{depth}"] = layer
            modules[f"{level}.layer{depth}.swin"] = layer.spatial
            modules[f"{level}.layer{depth}.class_attention"] = layer.across_classes.attention
    seen = {name: [] for name in modules}
    hooks = [
        module.register_forward_hook(lambda _module, given, output, calls=seen[name]: calls.append((given, output)))
        for name, module in modules.items()
    ]
    outputs = model(**inputs, class_features=class_features)
    for hook in hooks:
        hook.remove()
    results = {name: [output for _, output in calls] for name, calls in seen.items()}

    found = {name: (output, 0) for name, [output, *_] in results.items() if name.startswith(("clip.", "dino."))}
    for name, calls in results.items():
        if "guidance_proj" in name:
            found[name] = calls[0].relu(), 1
        elif re.fullmatch(r"\w+\.layer\d+(\.swin)?", name):
            volume = calls[0] if name.startswith("specific") else calls[0][order]
            found[name] = _as_maps(volume).transpose(0, 1)[None], 2
        elif name.endswith("class_attention"):
            attended = calls[0] if name.startswith("specific") else calls[0][order]
            found[name] = attended.transpose(0, 1), 0
    for stage, size in zip(results["backbone"][0].feature_maps, ("res2", "res3", "res4")):
        found[f"dino.{size}"] = stage, 1
    names, classes = (each.relu()[None] for each in results["text_guidance"])
    found |= {"part_obj.text_guidance": (names[:, order], 1), "specific.text_guidance": (classes, 1)}
    for level in ("part_obj", "specific"):
        correlation = torch.cat([given[0] for given, _ in seen[f"{level}.embedding"]])
        embedded = torch.cat(results[f"{level}.embedding"])
        if level == "part_obj":
            correlation, embedded = correlation[order], embedded[order]
        found[f"{level}.corr"] = correlation.transpose(0, 1)[None], 2
        found[f"{level}.corr_embed"] = embedded, 0

    none = F.normalize(model.none_embedding, dim=-1)[:, None].expand(-1, model.config.num_templates, -1)
    vocabulary = Vocabulary.of(class_features, none)
    last = results[f"part_obj.layer{len(aggregator.layers) - 1}"][0]
    parts = torch.cat([last[: vocabulary.num_parts], last[-1:]])[vocabulary.part_ids]
    objects = last[vocabulary.num_parts :][vocabulary.object_ids]
    found["specific.combined"] = _as_maps(torch.cat([parts, objects], dim=-1)), 0
    of_parts, of_objects = results["composition"][0]
    composed = of_parts[vocabulary.part_ids] + of_objects[vocabulary.object_ids]
    found["specific.cost_feats"] = _as_maps(composed)[None], 1
    found["specific.decoder1"] = torch.cat(results["decoder1"]), 0
    found["specific.logits"] = torch.cat([outputs.logits, outputs.none_logits], 1), 1
    images = model._for_backbone(inputs["backbone_pixel_values"], inputs["pixel_mask"])
    levels = model._score_levels(inputs["pixel_values"], images, vocabulary, torch.ones(1, len(vocabulary)).bool())
    found["part_obj.logits"] = levels.names[:, order], 1
    tokens, side = torch.empty(1, results["dino.norm"][0].shape[1], 1), model.config.guidance_size
    found["dino.pos_embed_resized"] = backbone.embeddings.interpolate_pos_encoding(tokens, side, side), 0
    tokens, side = results["clip.ln_pre"][0], model.config.image_size
    found["clip.pos_embed_resized"] = vision.embeddings.interpolate_pos_encoding(tokens, side, side)[0], 0
    return {f"infer.{name}": pair for name, pair in found.items()}


def _as_maps(volume):
    return volume.transpose(1, 2).unflatten(2, GOLDEN.facts["aggregator"]["feature_resolution"])


def _crop(image):
    crop = GOLDEN.facts["infer"]["dino_input_crop"]
    (top, left), size = crop["top_left"], crop["size"]
    return image[..., top : top + size, left : left + size]
