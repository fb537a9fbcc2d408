"""How the layers of mask classification models are drawn, against what the original's constructors do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ovparts_hf.models.configuration_utils import RESNETS
from ovparts_hf.models.loading import TOY_FOLDER, load_model
from ovparts_hf.models.maskformer.configuration_maskformer import MaskFormerPartConfig
from ovparts_hf.models.maskformer.modeling_maskformer import MaskFormerForPartSegmentation


@pytest.fixture(scope="module")
def model() -> MaskFormerForPartSegmentation:
    """With the benchmark's widths."""
    torch.manual_seed(0)
    config = MaskFormerPartConfig(backbone_config=RESNETS["resnet-50"], num_labels=116, decoder_layers=2)
    return MaskFormerForPartSegmentation(config).eval()


def original_bounds(name: str, layer: nn.Module) -> tuple[float, float]:
    """Bounds of the uniform distributions of weights and biases (detectron2, DETR's transformer, `nn.Linear`)."""
    fan_out, fan_in = layer.weight.shape[0], layer.weight[0].numel()
    role = name.rpartition(".")[2]
    if isinstance(layer, nn.Conv2d):
        return (3 / fan_in) ** 0.5, 0.0
    if role in ("q_proj", "k_proj", "v_proj"):
        return (6 / (fan_in + 3 * fan_out)) ** 0.5, 0.0
    if role in ("o_proj", "fc1", "fc2"):
        return (6 / (fan_in + fan_out)) ** 0.5, 0.0 if role == "o_proj" else fan_in**-0.5
    return fan_in**-0.5, fan_in**-0.5


def assert_drawn(model: nn.Module, parts: tuple[str, ...]) -> None:
    drawn = 0
    for name, layer in model.named_modules():
        if not (name.startswith(parts) and isinstance(layer, nn.Linear | nn.Conv2d)):
            continue
        for values, bound in zip((layer.weight, layer.bias), original_bounds(name, layer)):
            if values is not None:
                few = 0.2 if values.numel() < 100 else 0.1
                assert values.abs().max() <= bound and values.abs().max() >= (1 - few) * bound, name
                assert values.std().item() == pytest.approx(bound / 3**0.5, rel=few + 0.1, abs=0), name
        drawn += 1
    assert drawn > 20


PARTS = ("pixel_level_module.pixel_decoder", "query_decoder", "class_head", "mask_head")


def test_maskformer_starts_as_the_original(model):
    assert_drawn(model, PARTS)
    assert model.query_decoder.queries.weight.std().item() == pytest.approx(1, abs=0.02)


def test_zsseg_starts_as_the_original_around_a_pretrained_clip():
    torch.manual_seed(0)
    backbone = {"hidden_sizes": [16, 32, 64, 128], "depths": [1, 1, 1, 1], "embedding_size": 16}
    model, _ = load_model(str(TOY_FOLDER / "clip"), "zsseg", backbone_config=backbone, region_size=96)
    assert_drawn(model, PARTS)


def test_first_masks_are_undecided(model):
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        proposals = model.propose(model.pixel_level_module(images))
    assert proposals.mask_logits.abs().max() < 4
    assert proposals.class_logits.abs().max() < 4
