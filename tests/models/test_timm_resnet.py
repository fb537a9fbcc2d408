"""timm's own networks, saved by timm, against ours."""

import json
from functools import cache
from pathlib import Path

import pytest
import timm
import torch
import yaml
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

from ovparts_hf.errors import CheckpointError, ConfigurationError
from ovparts_hf.models.configuration_utils import PartResNetConfig
from ovparts_hf.models.loading import ModelSource, load_config, load_model
from ovparts_hf.models.maskformer.modeling_maskformer import MaskFormerForPartSegmentation
from ovparts_hf.models.resnet import PartResNet, load_backbone
from ovparts_hf.models.timm_resnet import DEPTHS, transformers_name

SMALL = {"fpn_feature_size": 32, "mask_feature_size": 8, "hidden_size": 8, "decoder_layers": 1, "decoder_ffn_dim": 8}
WEIGHTS = "model.safetensors"


def random_network(architecture):
    """Whose batch norm has statistics of its own, too."""
    torch.manual_seed(0)
    network = timm.create_model(architecture)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a network, and the network; not to be changed."""

    @cache
    def save(architecture):
        folder, network = tmp_path_factory.mktemp("timm"), random_network(architecture)
        save_for_hf(network, folder, safe_serialization=True)
        return folder, network

    return save


@pytest.fixture(scope="module")
def resnet50(saved):
    return saved("resnet50")


@pytest.fixture(scope="module")
def backbone():
    """What stays as it is, for its weights are refused."""
    return PartResNet(PartResNetConfig())


def changed(source, folder, change=None, **config):
    """A copy of a saved model with changed tensors or fields of its config.json."""
    content = json.loads((source / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(content | config), encoding="utf-8")
    if change is None:
        (folder / WEIGHTS).symlink_to(source / WEIGHTS)
        return folder
    tensors = load_file(source / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    return folder


@torch.no_grad()
@pytest.mark.parametrize("architecture", ["resnet50", "resnet101"])
def test_features_are_those_of_timm(architecture, saved):
    folder, network = saved(architecture)
    backbone = PartResNet(PartResNetConfig(depths=DEPTHS[architecture])).eval()
    load_backbone(backbone, folder)
    pixels = torch.randn(1, 3, 64, 96)
    expected = network.forward_intermediates(pixels, intermediates_only=True)[1:]  # without the stem
    features = backbone(pixels).feature_maps
    assert len(expected) == len(features) == 4
    assert max((mine - theirs).abs().max().item() for mine, theirs in zip(features, expected)) == 0.0
    assert all(maps.std() > 0 for maps in features)


def test_a_resnet_of_timm_becomes_a_maskformer(resnet50):
    folder, network = resnet50
    assert load_config(folder).backbone_config.depths == [3, 4, 6, 3]
    model, _ = load_model(folder, num_labels=3, **SMALL)
    assert isinstance(model, MaskFormerForPartSegmentation)
    stem = model.pixel_level_module.backbone.embedder.embedder.convolution.weight
    assert torch.equal(stem, network.conv1.weight)
    assert ModelSource(folder).is_base_model


def test_every_name_is_known():
    with torch.device("meta"):
        names = timm.create_model("resnet50", num_classes=0).state_dict()
        own = PartResNet(PartResNetConfig()).state_dict()
    assert len(own) > 200
    assert {transformers_name(name) for name in names if not name.endswith("num_batches_tracked")} == set(own)


@pytest.mark.parametrize("config", [{"architecture": "resnetblur50"}, {"architecture": None}, {"architecture": []}])
def test_other_networks_of_timm_are_refused(config, resnet50, backbone, tmp_path):
    folder = changed(resnet50[0], tmp_path, **config)
    for load in (load_config, lambda name: load_backbone(backbone, name)):
        with pytest.raises(ConfigurationError, match=r"of timm's networks \['resnet50', 'resnet101', 'resnet152'\]"):
            load(folder)


def test_changed_networks_of_timm_are_refused(resnet50, backbone, tmp_path):
    folder = changed(resnet50[0], tmp_path, model_args={"output_stride": 8})
    with pytest.raises(ConfigurationError, match=r"of timm with other \['output_stride'\]"):
        load_backbone(backbone, folder)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda tensors: tensors.pop("layer2.0.bn1.bias"), "layer2.0.bn1.bias"),
        (lambda tensors: tensors.update({"layer1.0.se.weight": torch.zeros(1)}), "layer1.0.se.weight"),
        (lambda tensors: tensors.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}), "conv1.weight"),
    ],
)
def test_damaged_weights_are_refused(change, name, resnet50, backbone, tmp_path):
    folder = changed(resnet50[0], tmp_path, change)
    with pytest.raises(CheckpointError, match=f"not those of timm's resnet50: 1 tensors .* such as {name}"):
        load_backbone(backbone, folder)


def test_weights_without_a_number_are_refused(resnet50, backbone, tmp_path):
    folder = changed(resnet50[0], tmp_path, lambda tensors: tensors["bn1.bias"].fill_(torch.nan))
    with pytest.raises(CheckpointError, match="not finite bn1.bias"):
        load_backbone(backbone, folder)


def test_another_depth_does_not_fit(resnet50):
    with torch.device("meta"):
        backbone = PartResNet(PartResNetConfig(depths=DEPTHS["resnet101"]))
    with pytest.raises(CheckpointError, match=r"does not fit the backbone: .* depths \[3, 4, 23, 3\]"):
        load_backbone(backbone, resnet50[0])


def test_a_backbone_without_the_last_stage_takes_the_others(resnet50):
    folder, network = resnet50
    backbone = PartResNet(PartResNetConfig(hidden_sizes=[256, 512, 1024], depths=[3, 4, 6]))
    load_backbone(backbone, folder)
    assert torch.equal(backbone.encoder.stages[2].layers[5].layer[2].convolution.weight, network.layer3[5].conv3.weight)


def test_the_recipes_name_weights_that_timm_knows():
    recipes = Path(__file__).parents[2] / "examples" / "recipes"
    values = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in recipes.rglob("*.yaml")]
    names = [value for recipe in values for value in (recipe["model"], recipe.get("backbone")) if value]
    of_timm = [name.removeprefix("timm/") for name in names if name.startswith("timm/")]
    assert of_timm == ["resnet50.tv_in1k"] * 10
    assert {"resnet50.tv_in1k", "resnet101.tv_in1k"} <= set(timm.list_pretrained("resnet*"))
    assert not any(name.startswith("microsoft/resnet") for name in names)
