"""What users type, in processes of their own, against a Hub that the command line filled."""

import json
from pathlib import Path

import pytest
import timm
import torch
from timm.models import save_for_hf

from ovparts_hf.metrics import PartSegmentationMetric

from .conftest import ROOT, Machine, contents

DATASET = "ovparts/pascal-part-116"
MODEL = "ovparts/clipseg-pascal-part-116-zero-shot"
METRIC = "ovparts/part_miou"

LOAD_DATASET = """
import sys
from datasets import load_dataset

folder = sys.argv[1]
for config in ((), ("few_shot_16",)):
    local = load_dataset(folder, *config)
    loaded = load_dataset("ovparts/pascal-part-116", *config)
    streamed = load_dataset("ovparts/pascal-part-116", *config, streaming=True)
    assert set(local) == set(loaded) == set(streamed) == {"train", "validation"}
    for split in local:
        rows = [row["image_id"] for row in local[split]]
        assert len(rows) == {"train": 4 if config else 8, "validation": 6}[split], rows
        images = [row["image"].tobytes() + row["part_map"].tobytes() for row in local[split]]
        for others in (loaded[split], streamed[split]):
            others = list(others)
            assert [row["image_id"] for row in others] == rows
            assert [row["image"].tobytes() + row["part_map"].tobytes() for row in others] == images
            assert [row["object_parts"] for row in others] == [row["object_parts"] for row in local[split]]
"""

AUTO_CLASSES = """
import json
import sys
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from PIL import Image
from transformers import AutoModel, AutoModelForSemanticSegmentation, AutoProcessor

name, folder = "ovparts/clipseg-pascal-part-116-zero-shot", sys.argv[1]
remote = AutoModel.from_pretrained(name, trust_remote_code=True)

import ovparts_hf

assert type(remote) is ovparts_hf.CLIPSegForPartSegmentation
local = AutoModel.from_pretrained(folder).state_dict()
for auto_class in (AutoModel, AutoModelForSemanticSegmentation):
    model = auto_class.from_pretrained(name)
    assert type(model) is ovparts_hf.CLIPSegForPartSegmentation
    assert local and model.state_dict().keys() == local.keys()
    assert all(torch.equal(value, local[key]) for key, value in model.state_dict().items())
processor = AutoProcessor.from_pretrained(name)
assert type(processor) is ovparts_hf.PartSegmentationProcessor
assert processor(classes=["dog's ear"])["input_ids"].shape[0] == 1
segmenter = ovparts_hf.PartSegmenter.from_pretrained(name)
result = segmenter(Image.new("RGB", (60, 40)), {"dog": ["ear", "tail"]})
assert result.label_map.shape == (40, 60) and list(result.classes) == ["dog's ear", "dog's tail"]
dataset = ovparts_hf.PartDataset.load("ovparts/pascal-part-116")
assert dataset.taxonomy == ovparts_hf.PASCAL_PART_116
assert len(dataset.splits["validation"]) == 6

data = snapshot_download("ovparts/pascal-part-116", repo_type="dataset")
json.dump({"model": snapshot_download(name), "dataset": data}, sys.stdout)
"""

LOAD_BACKBONE = """
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

EVALUATE = """
import json
import sys

import evaluate

metric = evaluate.load("ovparts/part_miou", class_names=["dog's head", "dog's ear"], seen_ids=[0])
json.dump(metric.compute(predictions=[[[0, 1, 1]]], references=[[[0, 0, 1]]]), sys.stdout)
"""


@pytest.fixture(scope="module")
def machine(endpoint, tmp_path_factory):
    return Machine.new(endpoint, tmp_path_factory.mktemp("user"), token="hf_writer")


@pytest.fixture(scope="module")
def prepared(hub, machine, pascal_archive, model_folder, tmp_path_factory):
    """The folder of the dataset; it and the model are on the Hub, privately, and the metric for everybody."""
    folder = tmp_path_factory.mktemp("prepared") / "pascal"
    arguments = ["prepare", "pascal-part-116", str(pascal_archive), str(folder), "--push-to-hub", DATASET]
    pushes = [
        ["push", str(model_folder), MODEL, "--message", "Zero-shot weights"],
        ["push", str(ROOT / "ovparts_hf" / "metrics" / "part_miou"), METRIC, "--public"],
    ]
    commands = [{"arguments": each, "token": "hf_writer"} for each in (arguments, *pushes)]
    printed = machine.run("-m", "tests.utils.hub.commands", stdin=json.dumps(commands))
    (code, out, error), *results = json.loads(printed)
    assert code == 0, error
    assert out.splitlines()[0] == str(folder)
    assert out.splitlines()[1].endswith(f"/datasets/{DATASET}/commit/{hub.find('dataset', DATASET).commit().oid}")
    assert [(code, error) for code, _, error in results] == [(0, ""), (0, "")]
    return folder


def test_private_unless_asked(hub, prepared):
    assert hub.find("dataset", DATASET).private
    assert hub.find("model", MODEL).private
    assert hub.find("model", MODEL).commit().title == "Zero-shot weights"
    assert not hub.find("space", METRIC).private


@pytest.fixture(scope="module")
def resnet(hub, tmp_path_factory):
    """Stored weights of timm's ResNet-50, which are on the Hub."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("timm")
    save_for_hf(timm.create_model("resnet50", num_classes=2), folder, safe_serialization=True)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {"config.json", "model.safetensors"} <= set(files)
    hub.create("model", "timm/resnet50.tv_in1k", private=False).add_commit("Weights", files)
    return folder / "model.safetensors"


@pytest.fixture(scope="module")
def outputs(machine, prepared, model_folder, resnet):
    """Program -> its exit code, output and error output."""
    programs = {
        LOAD_DATASET: [str(prepared)],
        AUTO_CLASSES: [str(model_folder)],
        LOAD_BACKBONE: [str(resnet)],
        EVALUATE: [],
    }
    given = json.dumps([[program, *arguments] for program, arguments in programs.items()])
    results = json.loads(machine.run("-m", "tests.utils.hub.programs", stdin=given))
    return dict(zip(programs, results, strict=True))


def output(result):
    code, out, error = result
    assert code == 0, error
    return out


def test_load_dataset(outputs):
    output(outputs[LOAD_DATASET])


def test_auto_classes_and_snapshots(outputs, prepared, model_folder):
    snapshots = json.loads(output(outputs[AUTO_CLASSES]))
    assert contents(Path(snapshots["model"])) == contents(model_folder)
    assert contents(Path(snapshots["dataset"])) == contents(prepared)


def test_a_resnet_of_timm(outputs):
    output(outputs[LOAD_BACKBONE])


def test_evaluate_load(outputs):
    loaded = json.loads(output(outputs[EVALUATE]).splitlines()[-1])
    own = PartSegmentationMetric(["dog's head", "dog's ear"], seen_ids=[0], ignore_index=255)
    own.update([[0, 1, 1]], [[0, 0, 1]])
    assert loaded["hIoU"] == own.compute()["hIoU"] == 50.0
