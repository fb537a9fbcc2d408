"""Comparison with stored runs of the original: first stage, CLIP's look, ensemble, training."""

import pytest
import torch
import torch.nn.functional as F

from ovparts_hf.models.clip import dense_features
from ovparts_hf.models.clip_regions import (
    clip_normalized,
    expand_box,
    mask_box,
    masked_crops,
    masked_means,
    object_region,
    patch_features,
    patch_masks,
)
from ovparts_hf.models.maskformer.modules import (
    class_probabilities,
    mask_probabilities,
    pad_to_multiple,
    sum_of_queries,
)
from ovparts_hf.models.zsseg.convert_zsseg import convert_zsseg
from ovparts_hf.models.zsseg.modeling_zsseg import ClassInputs
from ovparts_hf.models.zsseg.stages import (
    attention_bias,
    clip_part_features,
    clip_proposal_scores,
    ensemble,
    object_mask_features,
)

from ..maskformer.goldens import resized
from .goldens import PLAIN, PLUS, class_ids, every, golden_config, same_substring, seen


@pytest.fixture(scope="module")
def plus():
    return convert_zsseg(PLUS.checkpoint, golden_config(PLUS))


@pytest.fixture(scope="module")
def plain():
    return convert_zsseg(PLAIN.checkpoint, golden_config(PLAIN))


def object_mask(name: str = "eval.obj_mask") -> torch.Tensor:
    return PLUS.inputs[name].bool()


@pytest.fixture(scope="module")
def plus_run(plus):
    """Features, class features and proposals of the evaluation image."""
    model = plus[0]
    with torch.no_grad():
        words = model.encode_classes(**class_ids(PLUS, "eval"))
        features = model.pixel_level_module(pad_to_multiple(PLUS.pixel_values("eval.image")))
        return features, words, model.propose(features, words, object_mask())


@torch.no_grad()
def test_text_of_both_agrees(plus, plain):
    for golden, (model, _) in ((PLUS, plus), (PLAIN, plain)):
        words = model.encode_classes(**class_ids(golden, "eval"))
        rows = torch.cat([words, F.normalize(model.no_object_embedding, dim=-1)])
        golden.check("text_features_with_non_object", rows)


@torch.no_grad()
def test_first_stage_of_zsseg_plus_agrees(plus, plus_run):
    model, _ = plus
    features, _, proposals = plus_run
    padded = pad_to_multiple(PLUS.pixel_values("eval.image"))
    PLUS.check("net_input_normalized_padded_every4", every(padded, 4))
    for depth, maps in enumerate(model.pixel_level_module.backbone(padded).feature_maps):
        PLUS.check(f"backbone.res{depth + 2}", maps)
    PLUS.check("pixel_decoder.mask_features", features.mask_features)
    mask = pad_to_multiple(object_mask().float())
    PLUS.check("obj_mask_features", object_mask_features(features.mask_features, mask))
    bias = attention_bias(mask, (2, 4))
    PLUS.check("transformer.key_padding_mask_float", bias.unflatten(-1, (2, 4))[:, 0])
    decoder = model.query_decoder
    memory = decoder.input_projection(features.deepest)
    PLUS.check("transformer.memory", memory)
    PLUS.check("pos_embed", decoder.position_embedder(memory.shape, memory.device, memory.dtype))
    states = decoder(features.deepest, bias)
    PLUS.check("transformer.hs", states)
    described = model.class_head(states + object_mask_features(features.mask_features, mask)[:, None])
    PLUS.check("class_embed_out", described)
    PLUS.check_layers("pred_logits_embedding", described)
    PLUS.check("mask_embed_out", model.mask_head(states))
    PLUS.check_layers("pred_masks", proposals.mask_logits)
    PLUS.check("query_sim_logits", proposals.class_logits[-1])


@torch.no_grad()
def test_first_stage_of_plain_zsseg_agrees(plain):
    model, _ = plain
    features = model.pixel_level_module(pad_to_multiple(PLAIN.pixel_values("eval.image")))
    PLAIN.check("backbone.res5", features.deepest)
    PLAIN.check("pixel_decoder.mask_features", features.mask_features)
    states = model.query_decoder(features.deepest)
    PLAIN.check("transformer.hs", states)
    PLAIN.check("pred_logits_embedding", model.class_head(states)[-1])
    proposals = model.propose(features, model.encode_classes(**class_ids(PLAIN, "eval")))
    PLAIN.check("pred_masks", proposals.mask_logits[-1])
    PLAIN.check("query_sim_logits", proposals.class_logits[-1])


@torch.no_grad()
def test_second_stage_of_zsseg_plus_agrees(plus, plus_run):
    model, config = plus[0], plus[0].config
    _, words, proposals = plus_run
    size = tuple(PLUS.facts["eval"]["image_hw"])
    enlarged = F.interpolate(proposals.mask_logits[-1], size=PLUS.facts["eval"]["padded_hw"], mode="bilinear")
    PLUS.check("mask_pred_upsampled_cropped_logits_every4", every(enlarged[0, :, : size[0], : size[1]], 4))
    masks = mask_probabilities(proposals.mask_logits[-1], PLUS.facts["eval"]["padded_hw"], size)
    maps = sum_of_queries(class_probabilities(proposals.class_logits[-1]), masks)[0]
    PLUS.check("semseg_query_branch_every2", every(maps, 2))
    predicted = maps.argmax(0)
    assert torch.equal(predicted, PLUS.outputs["query_branch_argmax"].long())

    mask = object_mask()[0]
    assert list(expand_box(mask_box(mask), 1.2, size)) == PLUS.facts["eval"]["crop_box_ltrb"]
    image = clip_normalized(PLUS.pixel_values("eval.image")[0], config.image_mean, config.image_std)
    present, object_feature, part_features = clip_part_features(model.clip, config, image, mask, predicted)
    assert present.tolist() == PLUS.outputs["valid_flag"].nonzero()[:, 0].tolist()
    PLUS.check("clip.part_feat", part_features)
    PLUS.check("clip.obj_feat", object_feature.expand_as(part_features))
    fused = model.prompts.fuse(part_features, object_feature)
    rows = torch.cat([words, F.normalize(model.no_object_embedding, dim=-1)])
    PLUS.check("clip.sim_logits_all", config.temperature * fused @ rows.T)
    candidates = same_substring(PLUS)[0].nonzero()[:, 0]
    words = ClassInputs(words, model._exponents(words, None), None, None)
    probabilities = model._part_similarity(object_feature, part_features, words, candidates).softmax(-1)
    PLUS.check("clip.part_probs", torch.zeros(len(present), 7).index_copy(1, candidates, probabilities))
    table = torch.zeros(7, 7).index_copy(0, present, PLUS.outputs["clip.part_probs"])
    PLUS.check("semseg_clip_branch_every2", every(table[predicted].movedim(-1, 0), 2))

    part_masks = (predicted == present[:, None, None]) & mask
    region, object_square, part_squares = object_region(image, mask, part_masks, 1.2, 384)
    PLUS.check("clip.region_every16", every(region, 16))
    PLUS.check("clip.dense_tokens_first_crop", dense_features(model.clip, region[None])[0])
    for name, squares in (("part", part_squares), ("obj", object_square)):
        PLUS.check(f"clip.{name}_mask_grid", patch_masks(squares, 16).unflatten(1, (24, 24)))
    patches = patch_features(model.clip, region[None])[0]
    PLUS.check("clip.part_feat", masked_means(patches, patch_masks(part_squares, 16)))


@torch.no_grad()
@pytest.mark.parametrize(
    ("weight", "name", "step"),
    [(None, "semseg_ensembled_every2", 2), (0.8, "semseg_ensembled_extra_weight_every4", 4)],
)
def test_class_maps_of_zsseg_plus_agree(plus, weight, name, step, monkeypatch):
    model, _ = plus
    if weight is not None:
        assert PLUS.facts["adapter"]["extra_ensemble_weight"] == weight
        monkeypatch.setattr(model.config, "ensemble_weight", weight)
    candidates = same_substring(PLUS)
    pixels, tokens = PLUS.pixel_values("eval.image"), class_ids(PLUS, "eval")
    logits = model(pixels, **tokens, object_masks=object_mask(), class_mask=candidates, seen_classes=seen(PLUS)).logits
    assert torch.isneginf(logits[~candidates]).all()
    maps = logits.clamp(min=0)[0]  # the original gives the other classes 0
    PLUS.check(name, every(maps, step))
    if weight is None:
        final = resized(maps[None], PLUS.inputs["eval.output_size"])[0]
        PLUS.check("final_resized", final)
        assert torch.equal(maps.argmax(0), PLUS.outputs["ensembled_argmax"].long())
        assert torch.equal(final.argmax(0), PLUS.outputs["final_argmax"].long())


@torch.no_grad()
def test_second_stage_and_class_maps_of_plain_zsseg_agree(plain):
    model, config = plain[0], plain[0].config
    pixels, tokens = PLAIN.pixel_values("eval.image"), class_ids(PLAIN, "eval")
    words = model.encode_classes(**tokens)
    proposals = model.propose(model.pixel_level_module(pad_to_multiple(pixels)), words)
    size = PLAIN.facts["eval"]["image_hw"]
    masks = mask_probabilities(proposals.mask_logits[-1], PLAIN.facts["eval"]["padded_hw"], size)[0]
    found = (masks > config.mask_threshold).flatten(1).any(1)
    assert found.tolist() == PLAIN.outputs["valid_flag"].bool().tolist()
    image = clip_normalized(pixels[0], config.image_mean, config.image_std)
    crops = masked_crops(image, masks[found] > config.mask_threshold, config.crop_ratio, config.region_size)
    PLAIN.check("clip.regions_every16", every(crops, 16))
    features = F.normalize(model.clip.get_image_features(crops).pooler_output, dim=-1)
    PLAIN.check("clip.region_features", features)
    rows = torch.cat([words, F.normalize(model.no_object_embedding, dim=-1)])
    PLAIN.check("clip.sim_logits", config.temperature * features @ rows.T)
    exponents = model._exponents(words, seen(PLAIN))
    clip_scores = clip_proposal_scores(model.clip, config, image, masks, words)
    assert (clip_scores[~found] == 1).all()
    scores = ensemble(class_probabilities(proposals.class_logits[-1])[0], clip_scores, exponents)
    PLAIN.check("mask_cls_ensembled", scores)
    logits = model(pixels, **tokens, seen_classes=seen(PLAIN)).logits[0]
    PLAIN.check("semseg_every2", every(logits, 2))
    final = resized(logits[None], PLAIN.inputs["eval.output_size"])[0]
    PLAIN.check("final_resized", final)
    assert torch.equal(final.argmax(0), PLAIN.outputs["final_argmax"].long())


@pytest.mark.parametrize("name", ["plus", "plain"])
def test_matching_losses_and_gradients_agree(name, request, monkeypatch):
    golden = {"plus": PLUS, "plain": PLAIN}[name]
    model, report = request.getfixturevalue(name)
    model.zero_grad()
    model.set_trainable("segmenter")
    words = model.encode_classes(**class_ids(golden, "train"))
    features = model.pixel_level_module(golden.pixel_values("train.image0", "train.image1"))
    masks = None
    if golden is PLUS:
        masks = torch.cat([object_mask(f"train.obj_mask{i}") for i in range(2)])
    proposals = model.propose(features, words, masks)
    golden.check_layers("pred_logits", proposals.class_logits, "train.")
    golden.check_layers("pred_masks", proposals.mask_logits, "train.")
    golden.check_training(proposals, model.config, monkeypatch).backward()
    golden.check_gradients(model, report)
    assert all(p.grad is None for p in model.clip.parameters())
