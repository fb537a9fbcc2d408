"""MaskFormer agrees with the stored run of the original."""

import pytest
import torch

from ovparts_hf.models.configuration_utils import RESNETS
from ovparts_hf.models.maskformer.configuration_maskformer import MaskFormerPartConfig
from ovparts_hf.models.maskformer.convert_maskformer import account_keys, convert_maskformer
from ovparts_hf.models.maskformer.modeling_maskformer import MaskFormerForPartSegmentation
from ovparts_hf.models.maskformer.modules import (
    class_probabilities,
    mask_probabilities,
    pad_to_multiple,
    sum_of_queries,
)

from ...golden_folder import golden, resized
from .goldens import Golden, golden_config

GOLDEN = golden("maskformer", Golden)


@pytest.fixture(scope="module")
def converted():
    return convert_maskformer(GOLDEN.checkpoint, golden_config(GOLDEN))


@pytest.fixture(scope="module")
def model(converted):
    return converted[0]


@pytest.mark.parametrize("name", GOLDEN.full_size_keys)
def test_all_full_size_keys_are_accounted_for(name):
    shapes = GOLDEN.full_size_keys[name]
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    (rows,) = shapes["criterion.empty_weight"]
    tensors["criterion.empty_weight"] = torch.tensor([1.0] * (rows - 1) + [0.1])
    backbone = RESNETS["resnet-101c" if "r101c" in name else "resnet-50"]
    config = MaskFormerPartConfig(num_labels=rows - 1, backbone_config=backbone)
    report = account_keys(tensors, config)
    assert (report.derivable, report.unused) == (["criterion.empty_weight"], {})
    assert {*report.used, *report.derivable} == set(shapes)
    with torch.device("meta"):
        model = MaskFormerForPartSegmentation(config)
    own = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in report.state.items()} == own


@torch.no_grad()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_every_intermediate_agrees(model, attention):
    model.set_attn_implementation({"": attention})
    padded = pad_to_multiple(GOLDEN.pixel_values("eval.image"))
    GOLDEN.check("net_input_normalized_padded", padded)
    for depth, maps in enumerate(model.pixel_level_module.backbone(padded).feature_maps):
        GOLDEN.check(f"backbone.res{depth + 2}", maps)
    features = model.pixel_level_module(padded)
    GOLDEN.check("pixel_decoder.mask_features", features.mask_features)
    decoder = model.query_decoder
    memory = decoder.input_projection(features.deepest)
    GOLDEN.check("transformer.memory", memory)
    GOLDEN.check("pos_embed", decoder.position_embedder(memory.shape, memory.device, memory.dtype))
    GOLDEN.check("transformer.hs", decoder(features.deepest))
    proposals = model.propose(features)
    GOLDEN.check_layers("pred_logits", proposals.class_logits)
    GOLDEN.check_layers("pred_masks", proposals.mask_logits)
    masks = mask_probabilities(proposals.mask_logits[-1], padded.shape[-2:], padded.shape[-2:])
    GOLDEN.check("semseg_padded", sum_of_queries(class_probabilities(proposals.class_logits[-1]), masks)[0])


@torch.no_grad()
def test_final_map_agrees(model):
    logits = model(GOLDEN.pixel_values("eval.image")).logits
    final = resized(logits, GOLDEN.inputs["eval.output_size"])[0]
    GOLDEN.check("final_resized", final)
    assert torch.equal(final.argmax(0), GOLDEN.outputs["final_argmax"].long())


def test_matching_losses_and_gradients_agree(converted, monkeypatch):
    model, report = converted
    model.zero_grad()
    proposals = model.propose(model.pixel_level_module(GOLDEN.pixel_values("train.image")))
    GOLDEN.check_layers("pred_logits", proposals.class_logits, "train.")
    GOLDEN.check_layers("pred_masks", proposals.mask_logits, "train.")
    GOLDEN.check_training(proposals, model.config, monkeypatch).backward()
    GOLDEN.check_all_gradients(model, report)


@torch.no_grad()
def test_loss_from_label_maps_agrees(model):
    GOLDEN.check("loss_total", model(GOLDEN.pixel_values("train.image"), labels=GOLDEN.label_map()).loss)
