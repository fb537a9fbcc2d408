"""What a run would need, for every recipe, on a machine that has neither its data nor its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from transformers.initialization import no_init_weights

from ovparts_hf.errors import ConfigurationError, OVPartsError
from ovparts_hf.taxonomy import TOY_WORLD
from ovparts_hf.training import PromptTuningArguments, TrainArguments, dry_run
from ovparts_hf.training.dry_run import estimate_run
from ovparts_hf.training.estimate import Estimate, estimate_step
from ovparts_hf.training.recipes import recipe_names
from ovparts_hf.training.setup import TrainingSetup

from .test_setup import arguments as real_arguments


def read(name: str) -> TrainArguments | PromptTuningArguments:
    kind = PromptTuningArguments if Path(name).name.startswith("cpt") else TrainArguments
    return kind.from_recipe(name)


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("toy-world")])
def test_every_toy_recipe_is_estimated_and_nothing_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = read(name)
    found = estimate_run(given)
    assert found.steps == given.steps and found.images == given.batch_size
    assert found.activations > 0 and found.seconds_per_step > 0
    assert list(tmp_path.iterdir()) == []


OTHERS = [
    "ade20k-part-234/supervised/maskformer",
    "ade20k-part-234/few_shot/clipseg",
    "partimagenet/zero_shot/partclipseg",  # whose images keep their size
    "partimagenet/zero_shot/partcatseg",
]
FULL = [name for name in recipe_names() if name.split("/")[:2] == ["pascal-part-116", "zero_shot"]]


@pytest.mark.parametrize("name", [*FULL, *OTHERS])
def test_every_full_recipe_has_a_stand_in(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which has the sizes of the benchmark's models; their values do not matter here."""

    def sizes(model: torch.nn.Module, arguments: Any, examples: Any, class_inputs: Any, accelerator: Any) -> Estimate:
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        [example] = examples(1)
        counts = {len(tensor) for tensor in class_inputs.values()}
        return {"trained": trained, "example": example, "classes": counts}

    monkeypatch.setattr(dry_run, "estimate_step", sizes)
    with no_init_weights():
        found = estimate_run(read(name))
    dataset, _, model = name.split("/")
    assert found["classes"] == {{"pascal-part-116": 74, "ade20k-part-234": 234, "partimagenet": 92}[dataset]}
    assert found["trained"] > 1000
    if model == "clipseg":
        assert found["example"]["pixel_values"].shape == (3, 352, 352)
    if model == "catseg":
        assert found["example"]["pixel_values"].shape == (3, 384, 384)
    if model.startswith(("zsseg", "maskformer")):
        assert found["example"]["pixel_values"].shape == (3, 512, 512)
        assert ("object_masks" in found["example"]) == model.startswith("zsseg+")


@pytest.mark.parametrize("name", ["toy-world/zero_shot/catseg", "toy-world/zero_shot/partcatseg"])
def test_features_are_made_up_in_the_shape_of_encoded_ones(name: str) -> None:
    setup, inputs = dry_run.stand_in(read(name))
    encoded = setup.model.encode_vocabulary(setup.processor, TOY_WORLD.part_classes[:1])
    assert inputs.keys() == encoded.keys()
    for key, tensor in encoded.items():
        assert (inputs[key].dtype, inputs[key].shape[1:]) == (tensor.dtype, tensor.shape[1:])


def test_the_stand_in_needs_what_the_run_needs(pretrained: Path, pascal_folder: Path, tmp_path: Path) -> None:
    given = real_arguments(pascal_folder, pretrained, tmp_path / "run")
    setup = TrainingSetup.load(given)
    inputs = setup.class_inputs(setup.training_set(given).target)
    real = estimate_step(setup.model, given, lambda count: setup.random_examples(given, count), inputs, Accelerator())
    found = estimate_run(given)
    assert (found.parameters, found.gradients, found.optimizer) == (real.parameters, real.gradients, real.optimizer)
    assert found.activations == pytest.approx(real.activations, rel=0.05)  # names differ in length


def test_what_a_run_would_refuse_is_refused(pascal_folder: Path) -> None:
    given = TrainArguments(data=pascal_folder, output="unused", model="toy")
    for changes, message in (
        ({"trainable": "X"}, "names \\['X'\\]"),
        ({"lr_multipliers": {"nothing": 0.1}}, "match the name of no trainable"),
        ({"config": {"colour": 1}}, "has no field 'colour'"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            estimate_run(replace(given, **changes))


@pytest.mark.parametrize(("data", "model"), [("data/unheard-of", "toy"), ("data/pascal-part-116", "models/unheard-of")])
def test_unknown_data_and_models_are_named(data: str, model: str) -> None:
    with pytest.raises(OVPartsError, match="unheard-of"):
        estimate_run(TrainArguments(data=data, output="unused", model=model))
