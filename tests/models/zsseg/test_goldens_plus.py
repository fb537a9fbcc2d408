"""ZSseg+ agrees with the stored run of the original: prompts, both stages, ensemble, training."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from ovparts_hf.models.clip import dense_features
from ovparts_hf.models.clip_regions import (
    clip_normalized,
    expand_box,
    mask_box,
    masked_means,
    object_region,
    patch_features,
    patch_masks,
)
from ovparts_hf.models.configuration_utils import RESNETS
from ovparts_hf.models.maskformer.modules import (
    class_probabilities,
    mask_probabilities,
    pad_to_multiple,
    sum_of_queries,
)
from ovparts_hf.models.prompts import prompt_features, tokenize_prompts
from ovparts_hf.models.zsseg.configuration_zsseg import ZSSegConfig
from ovparts_hf.models.zsseg.convert_zsseg import LEARNED, SIGNALS, account_keys, convert_zsseg
from ovparts_hf.models.zsseg.modeling_zsseg import ClassInputs, ZSSegForPartSegmentation
from ovparts_hf.models.zsseg.stages import attention_bias, clip_part_features, object_mask_features

from ...golden_folder import golden, resized
from .goldens import TableTokenizer, ZSSegGolden, check_training, class_ids, golden_config, same_substring, seen

PLUS = golden("zsseg", ZSSegGolden)
FULL_SIZE = {"vision_config": {"patch_size": 16}, "num_queries": 50}
PROMPTS = "clip_adapter.prompt_learner."


@pytest.fixture(scope="module")
def converted():
    return convert_zsseg(PLUS.checkpoint, golden_config(PLUS))


@pytest.fixture(scope="module")
def model(converted):
    return converted[0]


@pytest.fixture(scope="module")
def class_features(model):
    with torch.no_grad():
        return model.encode_classes(**class_ids(PLUS, "eval"))


@pytest.fixture(scope="module")
def object_mask():
    return PLUS.inputs["eval.obj_mask"].bool()


@pytest.fixture(scope="module")
def features(model):
    with torch.no_grad():
        return model.pixel_level_module(pad_to_multiple(PLUS.pixel_values("eval.image")))


@pytest.fixture(scope="module")
def proposals(model, features, class_features, object_mask):
    with torch.no_grad():
        return model.propose(features, class_features, object_mask)


@pytest.mark.parametrize("name", [name for name in PLUS.full_size_keys if "prompt" not in name])
def test_all_full_size_keys_are_accounted_for(name):
    shapes = PLUS.full_size_keys[name]
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    (rows,) = shapes["criterion.empty_weight"]
    tensors["criterion.empty_weight"] = torch.tensor([1.0] * (rows - 1) + [0.1])
    backbone = RESNETS["resnet-101c" if "r101c" in name else "resnet-50"]
    config = ZSSegConfig(**FULL_SIZE, backbone_config=backbone)
    report = account_keys(tensors, config)
    assert report.derivable == ["criterion.empty_weight"]
    assert set(report.unused) == {"clip_adapter.fuse_weight", *(PROMPTS + signal for signal in SIGNALS)}
    assert {*report.used, *report.derivable, *report.unused} == set(shapes)
    with torch.device("meta"):
        model = ZSSegForPartSegmentation(config)
    own = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in report.state.items()} == own


@pytest.mark.parametrize("name", [name for name in PLUS.full_size_keys if "prompt" in name])
def test_all_keys_of_a_prompt_checkpoint_are_known(name):
    keys = {key.removeprefix("prompt_learner.") for key in PLUS.full_size_keys[name]}
    assert set(SIGNALS) < keys <= {*LEARNED, *SIGNALS}


@torch.no_grad()
def test_prompts_agree(model):
    tokens = tokenize_prompts(TableTokenizer(PLUS), PLUS.facts["classes"]["eval_parts"], *PLUS.prompt_lengths)
    for key, value in class_ids(PLUS, "eval").items():
        assert torch.equal(tokens[key], value)
    embeddings = model.prompts(model.clip.text_model.embeddings.token_embedding, tokens["input_ids"])
    common = min(embeddings.shape[1], PLUS.outputs["prompt.embeddings"].shape[1])
    ends = PLUS.outputs["prompt.eot_index"]
    assert common > ends.max()
    PLUS.compare("prompt.embeddings", embeddings[:, :common], PLUS.outputs["prompt.embeddings"][:, :common])
    assert_close(tokens["attention_mask"].sum(1) - 1, ends, check_dtype=False)
    PLUS.check("prompt.text_features_raw", prompt_features(model.clip, model.prompts, **tokens))


@torch.no_grad()
def test_text_agrees(model, class_features):
    rows = torch.cat([class_features, F.normalize(model.no_object_embedding, dim=-1)])
    PLUS.check("text_features_with_non_object", rows)


@torch.no_grad()
def test_first_stage_agrees(model, features, proposals, object_mask):
    padded = pad_to_multiple(PLUS.pixel_values("eval.image"))
    PLUS.check("net_input_normalized_padded", padded)
    for depth, maps in enumerate(model.pixel_level_module.backbone(padded).feature_maps):
        PLUS.check(f"backbone.res{depth + 2}", maps)
    PLUS.check("pixel_decoder.mask_features", features.mask_features)
    mask = pad_to_multiple(object_mask.float())
    PLUS.check("obj_mask_features", object_mask_features(features.mask_features, mask))
    size = features.deepest.shape[-2:]
    bias = attention_bias(mask, size)
    PLUS.check("transformer.key_padding_mask_float", bias.unflatten(-1, size)[:, 0])
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
def test_second_stage_agrees(model, class_features, proposals, object_mask):
    config, facts, mask = model.config, PLUS.facts["eval"], object_mask[0]
    size = tuple(facts["image_hw"])
    enlarged = resized(proposals.mask_logits[-1], facts["padded_hw"])[0, :, : size[0], : size[1]]
    PLUS.check("mask_pred_upsampled_cropped_logits", enlarged)
    masks = mask_probabilities(proposals.mask_logits[-1], facts["padded_hw"], size)
    maps = sum_of_queries(class_probabilities(proposals.class_logits[-1]), masks)[0]
    PLUS.check("semseg_query_branch", maps)
    predicted = maps.argmax(0)
    assert torch.equal(predicted, PLUS.outputs["query_branch_argmax"].long())

    assert list(expand_box(mask_box(mask), config.crop_ratio, size)) == facts["crop_box_ltrb"]
    image = clip_normalized(PLUS.pixel_values("eval.image")[0], config.image_mean, config.image_std)
    present, object_feature, part_features = clip_part_features(model.encode_regions, config, image, mask, predicted)
    assert present.tolist() == PLUS.outputs["valid_flag"].nonzero()[:, 0].tolist()
    PLUS.check("clip.part_feat", part_features)
    PLUS.check("clip.obj_feat", object_feature.expand_as(part_features))
    fused = model.prompts.fuse(part_features, object_feature)
    rows = torch.cat([class_features, F.normalize(model.no_object_embedding, dim=-1)])
    PLUS.check("clip.sim_logits_all", config.temperature * fused @ rows.T)
    candidates = same_substring(PLUS)[0].nonzero()[:, 0]
    words = ClassInputs(class_features, model._exponents(class_features, None), None, None)
    similarity = model._part_similarity(object_feature, part_features, words, candidates).softmax(-1)
    count = len(class_features)
    PLUS.check("clip.part_probs", torch.zeros(len(present), count).index_copy(1, candidates, similarity))
    table = torch.zeros(count, count).index_copy(0, present, PLUS.outputs["clip.part_probs"])
    PLUS.check("semseg_clip_branch", table[predicted].movedim(-1, 0))

    part_masks, patch = (predicted == present[:, None, None]) & mask, config.vision_config.patch_size
    region, object_square, part_squares = object_region(image, mask, part_masks, config.crop_ratio, config.region_size)
    PLUS.check("clip.region", region)
    PLUS.check("clip.dense_tokens_first_crop", dense_features(model.clip, region[None])[0])
    grid = (config.region_size // patch,) * 2
    for name, squares in (("part", part_squares), ("obj", object_square)):
        PLUS.check(f"clip.{name}_mask_grid", patch_masks(squares, patch).unflatten(1, grid))
    patches = patch_features(model.clip, region[None])[0]
    PLUS.check("clip.part_feat", masked_means(patches, patch_masks(part_squares, patch)))


@torch.no_grad()
@pytest.mark.parametrize("extra", [False, True])
def test_class_maps_agree(model, object_mask, extra, monkeypatch):
    if extra:
        monkeypatch.setattr(model.config, "ensemble_weight", PLUS.facts["adapter"]["extra_ensemble_weight"])
    candidates = same_substring(PLUS)
    pixels, tokens = PLUS.pixel_values("eval.image"), class_ids(PLUS, "eval")
    logits = model(pixels, **tokens, object_masks=object_mask, class_mask=candidates, seen_classes=seen(PLUS)).logits
    assert torch.isneginf(logits[~candidates]).all()
    maps = logits.clamp(min=0)[0]  # the original gives the other classes 0
    PLUS.check("semseg_ensembled_extra_weight" if extra else "semseg_ensembled", maps)
    if not extra:
        final = resized(maps[None], PLUS.inputs["eval.output_size"])[0]
        PLUS.check("final_resized", final)
        assert torch.equal(maps.argmax(0), PLUS.outputs["ensembled_argmax"].long())
        assert torch.equal(final.argmax(0), PLUS.outputs["final_argmax"].long())


def test_matching_losses_and_gradients_agree(converted, monkeypatch):
    check_training(PLUS, *converted, monkeypatch)
