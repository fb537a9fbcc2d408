"""Plain ZSseg agrees with the stored run of the original: first stage, CLIP's look at proposals, ensemble, training."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ovparts_hf.models.clip_regions import clip_normalized, expand_box, mask_box, masked_crops
from ovparts_hf.models.maskformer.modules import class_probabilities, mask_probabilities, pad_to_multiple
from ovparts_hf.models.zsseg.convert_zsseg import account_keys, convert_zsseg
from ovparts_hf.models.zsseg.stages import clip_proposal_scores, ensemble

from ...golden_folder import golden, resized
from .goldens import ZSSegGolden, check_training, class_ids, golden_config, seen

PLAIN = golden("zsseg_plain", ZSSegGolden)


@pytest.fixture(scope="module")
def converted():
    return convert_zsseg(PLAIN.checkpoint, golden_config(PLAIN))


@pytest.fixture(scope="module")
def model(converted):
    return converted[0]


@pytest.fixture(scope="module")
def class_features(model):
    with torch.no_grad():
        return model.encode_classes(**class_ids(PLAIN, "eval"))


def test_all_keys_are_accounted_for():
    tensors = PLAIN.tensors()
    report = account_keys(tensors, golden_config(PLAIN))
    pixels = {"clip_adapter.pixel_mean", "clip_adapter.pixel_std"}
    assert set(report.derivable) == {"criterion.empty_weight", *pixels}
    assert report.unused == {}
    assert {*report.used, *report.derivable} == set(tensors)


@torch.no_grad()
def test_text_agrees(model, class_features):
    rows = torch.cat([class_features, F.normalize(model.no_object_embedding, dim=-1)])
    PLAIN.check("text_features_with_non_object", rows)


@torch.no_grad()
def test_first_stage_agrees(model, class_features):
    features = model.pixel_level_module(pad_to_multiple(PLAIN.pixel_values("eval.image")))
    PLAIN.check("backbone.res5", features.deepest)
    PLAIN.check("pixel_decoder.mask_features", features.mask_features)
    states = model.query_decoder(features.deepest)
    PLAIN.check("transformer.hs", states)
    PLAIN.check("pred_logits_embedding", model.class_head(states)[-1])
    proposals = model.propose(features, class_features)
    PLAIN.check("pred_masks", proposals.mask_logits[-1])
    PLAIN.check("query_sim_logits", proposals.class_logits[-1])


@torch.no_grad()
def test_second_stage_and_class_maps_agree(model, class_features):
    config, pixels = model.config, PLAIN.pixel_values("eval.image")
    proposals = model.propose(model.pixel_level_module(pad_to_multiple(pixels)), class_features)
    size = PLAIN.facts["eval"]["image_hw"]
    masks = mask_probabilities(proposals.mask_logits[-1], PLAIN.facts["eval"]["padded_hw"], size)[0]
    found = (masks > config.mask_threshold).flatten(1).any(1)
    assert found.tolist() == PLAIN.outputs["valid_flag"].bool().tolist()
    image = clip_normalized(pixels[0], config.image_mean, config.image_std)
    cut = masks[found] > config.mask_threshold
    crops = masked_crops(image, cut, config.crop_ratio, config.region_size)
    PLAIN.check("clip.regions", crops)
    boxes = [expand_box(mask_box(mask), config.crop_ratio, size, np.float32) for mask in cut]
    assert [list(box) for box in boxes] == PLAIN.outputs["clip.crop_boxes_ltrb"].tolist()
    resized_region = config.region_size != config.vision_config.image_size
    pooled = model.clip.get_image_features(crops, interpolate_pos_encoding=resized_region).pooler_output
    features = F.normalize(pooled, dim=-1)
    PLAIN.check("clip.region_features", features)
    rows = torch.cat([class_features, F.normalize(model.no_object_embedding, dim=-1)])
    PLAIN.check("clip.sim_logits", config.temperature * features @ rows.T)
    exponents = model._exponents(class_features, seen(PLAIN))
    clip_scores = clip_proposal_scores(model.encode_regions, config, image, masks, class_features)
    assert (clip_scores[~found] == 1).all()
    scores = ensemble(class_probabilities(proposals.class_logits[-1])[0], clip_scores, exponents)
    PLAIN.check("mask_cls_ensembled", scores)
    logits = model(pixels, **class_ids(PLAIN, "eval"), seen_classes=seen(PLAIN)).logits[0]
    PLAIN.check("semseg", logits)
    final = resized(logits[None], PLAIN.inputs["eval.output_size"])[0]
    PLAIN.check("final_resized", final)
    assert torch.equal(final.argmax(0), PLAIN.outputs["final_argmax"].long())


def test_matching_losses_and_gradients_agree(converted, monkeypatch):
    check_training(PLAIN, *converted, monkeypatch)
