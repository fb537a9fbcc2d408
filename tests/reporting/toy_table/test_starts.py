"""What runs of the table start from."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from ovparts_hf.models.loading import load_model
from ovparts_hf.reporting.toy_table.starts import copy_matching, restart_but_clip, save_start


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


def test_a_start_depends_on_the_seed_alone(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        save_start("toy", tmp_path / name, seed, None)
    weights = [load_file(tmp_path / name / "model.safetensors") for name in "abc"]
    name = "decoder.reduces.0.weight"
    assert torch.equal(weights[0][name], weights[1][name]) and not torch.equal(weights[0][name], weights[2][name])
    model, _ = load_model(tmp_path / "a", for_training=True)
    assert torch.equal(model.state_dict()[name], weights[0][name])


def test_a_start_that_is_there_stays(tmp_path):
    (tmp_path / "start").mkdir()
    save_start("toy", tmp_path / "start", 0, None)
    assert list((tmp_path / "start").iterdir()) == []


@pytest.mark.parametrize("source", ["toy-catseg", "toy-partcatseg"])
def test_what_was_learned_of_objects_is_taken_over_by_name_and_shape(source, tmp_path):
    learned, _ = load_model("toy-catseg", for_training=True)
    weights = {name: torch.full_like(each, 0.5) for name, each in learned.named_parameters()}
    weights["aggregator.image_guidance.weight"] = torch.zeros(1)  # of another shape
    weights["unknown"] = torch.zeros(1)
    save_file(weights, tmp_path / "model.safetensors")
    model, _ = load_model(source, for_training=True)
    taken = copy_matching(model, tmp_path)
    assert "aggregator.embedding.convolution.weight" in taken and "unknown" not in taken
    assert "aggregator.image_guidance.weight" not in taken
    own = dict(model.named_parameters())
    assert all((own[name] == 0.5).all() for name in taken)
    assert not (own["aggregator.image_guidance.weight"] == 0.5).any()
