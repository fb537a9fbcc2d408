"""What runs of the table start from."""

import pytest
import torch
from safetensors.torch import save_file

from dataset_builders import ToyWorld
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.models.loading import load_model
from ovparts_hf.reporting.toy_table.starts import copy_matching, load_start, restart_but_clip
from ovparts_hf.training import TrainArguments

MODEL_FILE = "model.safetensors"


def test_all_but_clip_is_drawn_anew():
    model, _ = load_model("toy", for_training=True)
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    torch.manual_seed(0)
    restart_but_clip(model)
    after = model.state_dict()
    of_clip = [name for name in before if name.startswith("clip.")]
    of_layers = [name for name in before if name.startswith("decoder.layers.") and name.endswith("fc1.weight")]
    assert of_clip and all(torch.equal(before[name], after[name]) for name in of_clip)
    assert of_layers and not any(torch.equal(before[name], after[name]) for name in of_layers)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "data"
    write_repository(ToyWorld({"train": 4, "validation": 1}), folder)
    return folder


def start(data, name, seed=0, pretrained=None):
    arguments = TrainArguments(
        data=str(data), output="unused", model=name, seed=seed, trainable="D", eval_every=0, loss="ce_dice"
    )
    return load_start(arguments, pretrained).model


def test_a_start_depends_on_the_seed_alone(data):
    weights = [start(data, "toy", seed).state_dict() for seed in (0, 0, 1)]
    name = "decoder.reduces.0.weight"
    assert torch.equal(weights[0][name], weights[1][name]) and not torch.equal(weights[0][name], weights[2][name])
    before = load_model("toy", for_training=True)[0].state_dict()
    assert not torch.equal(weights[0][name], before[name])


def test_a_run_starts_from_what_was_learned_of_objects(data, tmp_path):
    learned, _ = load_model("toy-catseg", for_training=True)
    save_file({name: torch.full_like(each, 0.5) for name, each in learned.named_parameters()}, tmp_path / MODEL_FILE)
    model = start(data, "toy-catseg", pretrained=tmp_path)
    weights = list(model.aggregator.parameters())
    assert weights and all((each == 0.5).all() for each in weights)


@pytest.mark.parametrize("source", ["toy-catseg", "toy-partcatseg"])
def test_what_was_learned_of_objects_is_taken_over_by_name_and_shape(source, tmp_path):
    learned, _ = load_model("toy-catseg", for_training=True)
    weights = {name: torch.full_like(each, 0.5) for name, each in learned.named_parameters()}
    weights["aggregator.image_guidance.weight"] = torch.zeros(1)  # of another shape
    weights["unknown"] = torch.zeros(1)
    save_file(weights, tmp_path / MODEL_FILE)
    model, _ = load_model(source, for_training=True)
    taken = copy_matching(model, tmp_path)
    assert "aggregator.embedding.convolution.weight" in taken and "unknown" not in taken
    assert "aggregator.image_guidance.weight" not in taken
    own = dict(model.named_parameters())
    assert all((own[name] == 0.5).all() for name in taken)
    assert not (own["aggregator.image_guidance.weight"] == 0.5).any()
