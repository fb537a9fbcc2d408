import re

import pytest
import torch
from transformers import CLIPModel, Dinov2Config, Dinov2Model

from ovparts_hf.errors import CheckpointError
from ovparts_hf.models.partcatseg.convert_partcatseg import convert_partcatseg

from ..catseg.goldens import TINY as CATSEG
from .goldens import TINY, golden_config

AGGREGATOR = "sem_seg_head.predictor.transformer."


@pytest.fixture
def tensors():
    return TINY.tensors()


@pytest.fixture
def catseg_tensors(tensors):
    """An object model of CAT-Seg of the same sizes: with a ResNet, and projections of its channels."""
    shared = (
        f"{AGGREGATOR}{name}" for name in ("conv2.", "conv_proj_feat.", "layers_object.", "layers_specific_part.")
    )
    foreign = ("backbone.", "sem_seg_head.predictor.non_object", *shared)
    found = {key: tensor for key, tensor in tensors.items() if not key.startswith(foreign)}
    for key in [key for key in found if "guidance_projection" in key and "text" not in key and key.endswith("weight")]:
        found[key] = torch.zeros(found[key].shape[0], 7, 3, 3)
    return found | {key: tensor for key, tensor in CATSEG.tensors().items() if key.startswith("backbone.")}


def convert(content, tmp_path, config=None):
    torch.save(content, tmp_path / "model.pth")
    return convert_partcatseg(tmp_path / "model.pth", config or golden_config())


def test_checkpoints_of_training_are_taken(tensors, tmp_path):
    """With the state of the optimiser and the number of the step."""
    state = {"state": {0: {"step": 7, "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 2e-4, "params": [0]}]}
    content = {"model": tensors, "optimizer": state, "scheduler": {"last_epoch": 7}, "iteration": 7}
    model, report = convert(content, tmp_path)
    first = f"{AGGREGATOR}layers_object.0.swin_block.block_1.norm1.weight"
    assert report.unused[first] == "the original never runs these layers"
    assert "unused     backbone.dinov2.mask_token: hides patches" in report.summary()
    assert len(report.used) + len(report.derivable) + len(report.unused) == len(tensors)
    assert not model.training


def test_the_layers_that_are_never_run_do_not_matter(tensors, tmp_path):
    expected = convert({"model": tensors}, tmp_path)[0].state_dict()
    for key in [key for key in tensors if "layers_object" in key]:
        del tensors[key]
    found = convert({"model": tensors}, tmp_path)[0].state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_starts_from_cat_seg(catseg_tensors, tmp_path):
    model, report = convert({"model": catseg_tensors}, tmp_path)
    own = model.state_dict()
    assert torch.equal(own["aggregator.embedding.convolution.weight"], catseg_tensors[f"{AGGREGATOR}conv1.weight"])
    for key, reason in report.unused.items():
        assert ("ResNet, whose place DINOv2 takes" in reason) == key.startswith("backbone.")
        assert "guidance_projection" in key or key.startswith("backbone.")
    assert set(report.added) == {
        *("none_embedding", "backbone", "aggregator.composition", "aggregator.class_embedding"),
        *("aggregator.class_layers", "aggregator.image_guidance.weight"),
        *(f"aggregator.decoder_guidance.{number}.weight" for number in range(2)),
    }
    assert torch.equal(own["aggregator.image_guidance.bias"], catseg_tensors[f"{AGGREGATOR}guidance_projection.0.bias"])
    again = convert({"model": catseg_tensors}, tmp_path)[0].state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in own.items())
    fresh, stored = (own[f"aggregator.{name}.0.spatial.block_1.mlp.0.weight"] for name in ("class_layers", "layers"))
    assert not torch.equal(fresh, stored)


def test_layers_of_classes_may_start_as_copies(catseg_tensors, tmp_path):
    model, report = convert({"model": catseg_tensors}, tmp_path, golden_config(copy_pretrained_layers=True))
    own = model.state_dict()
    copies = [name for name in own if name.startswith(("aggregator.class_layers.", "aggregator.class_embedding."))]
    assert len(copies) > 40
    assert all(torch.equal(own[name], own[name.replace("class_", "", 1)]) for name in copies)
    assert report.added["aggregator.class_layers"] == "a copy of CAT-Seg's (copy_pretrained_layers)"
    assert report.added["aggregator.composition"].startswith("not in CAT-Seg's checkpoint")


def test_dino_starts_from_stock_weights(catseg_tensors, tmp_path):
    backbone = golden_config().backbone_config
    fields = ("hidden_size", "num_hidden_layers", "num_attention_heads", "patch_size", "image_size")
    stock = Dinov2Model(Dinov2Config(**{name: getattr(backbone, name) for name in fields}))
    stock.save_pretrained(tmp_path / "dino")
    config = golden_config(backbone_weights=str(tmp_path / "dino"))
    own = convert({"model": catseg_tensors}, tmp_path, config)[0].backbone.state_dict()
    assert own and all(torch.equal(tensor, stock.state_dict()[name]) for name, tensor in own.items())


def test_class_names_may_be_encoded_by_another_clip(tensors, tmp_path):
    stock = CLIPModel(golden_config())
    stock.save_pretrained(tmp_path / "clip")
    kept = convert({"model": tensors}, tmp_path)[0].state_dict()
    model, _ = convert({"model": tensors}, tmp_path, golden_config(text_weights=str(tmp_path / "clip")))
    assert model.config.text_weights is None
    for name, tensor in model.state_dict().items():
        of_text = name.startswith(("clip.text_model.", "clip.text_projection."))
        expected = stock.state_dict()[name.removeprefix("clip.")] if of_text else kept[name]
        assert torch.equal(tensor, expected), name


def test_unknown_and_missing_keys_are_listed(tensors, tmp_path):
    del tensors[f"{AGGREGATOR}conv_proj_feat.bias"], tensors["backbone.dinov2.blocks.1.attn.qkv.bias"]
    tensors["backbone.dinov2.register_tokens"] = torch.zeros(1, 4, 36)
    tensors[f"{AGGREGATOR}extra.weight"] = torch.zeros(1)
    tensors["criterion.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as error:
        convert({"model": tensors}, tmp_path)
    for line in (
        "missing for aggregator.composition.bias",
        "missing for backbone.encoder.layer.1.attention",
        "backbone.dinov2.register_tokens has no place",
        "transformer.extra.weight has no place",
        "unexpected criterion.weight",
    ):
        assert line in str(error.value)


def test_another_checkpoint_is_recognised(tensors, tmp_path):
    """And one of PartCATSeg is, by other families."""
    from ovparts_hf.models.catseg.convert_catseg import convert_catseg

    from ..catseg.goldens import golden_config as catseg_config

    with pytest.raises(CheckpointError, match="This looks like a PartCATSeg checkpoint"):
        torch.save({"model": tensors}, tmp_path / "model.pth")
        convert_catseg(tmp_path / "model.pth", catseg_config())
    config = golden_config(backbone_config={**golden_config().backbone_config.to_dict(), "image_size": 168})
    shapes = [1, 122, 36], [1, 145, 36]
    with pytest.raises(CheckpointError, match=re.escape("pos_embed has shape {}, the model needs {}".format(*shapes))):
        convert({"model": tensors}, tmp_path, config)


def test_damaged_masks_are_noticed(tensors, tmp_path):
    tensors[f"{AGGREGATOR}layers_specific_part.1.swin_block.block_2.attn_mask"][0, 0, 1] = -100
    with pytest.raises(CheckpointError, match=r"layers_specific_part.*attn_mask is not the mask of windows.*damaged"):
        convert({"model": tensors}, tmp_path)
