"""Backbones that timm published, in a new process."""

import timm
import torch
from timm.models import save_for_hf

from .conftest import Machine

LOAD = """
import sys
import torch
from safetensors.torch import load_file
from ovparts_hf.errors import HubError
from ovparts_hf.models.configuration_utils import PartResNetConfig
from ovparts_hf.models.loading import load_config
from ovparts_hf.models.resnet import PartResNet, load_backbone

name = "timm/resnet50.tv_in1k"
backbone = PartResNet(PartResNetConfig())
load_backbone(backbone, name)
stored = load_file(sys.argv[1])["conv1.weight"]
assert torch.equal(backbone.embedder.embedder.convolution.weight, stored)
assert load_config(name).backbone_config.depths == [3, 4, 6, 3]
try:
    load_backbone(backbone, "timm/resnet50.none")
except HubError as error:
    assert "There is no model repository 'timm/resnet50.none'" in str(error), error
else:
    sys.exit("A missing repository was not noticed.")
"""


def test_a_resnet_of_timm_is_loaded_from_the_hub(hub, endpoint, tmp_path):
    torch.manual_seed(0)
    folder = tmp_path / "timm"
    save_for_hf(timm.create_model("resnet50", num_classes=2), folder, safe_serialization=True)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {"config.json", "model.safetensors"} <= set(files)
    hub.create("model", "timm/resnet50.tv_in1k", private=False).add_commit("Weights", files)
    Machine.new(endpoint, tmp_path / "home").run("-c", LOAD, str(folder / "model.safetensors"))
