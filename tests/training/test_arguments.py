"""Recipes and overrides: what is read, and what is refused with which words."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.auto import config_class
from ovparts_hf.models.configuration_utils import RESNETS, SEGMENTATION_LOSSES, PartResNetConfig
from ovparts_hf.models.loading import load_config
from ovparts_hf.models.zsseg.configuration_zsseg import ZSSegConfig
from ovparts_hf.training import PromptTuningArguments, TrainArguments

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
NEEDED = {"data": "d", "output": "o", "model": "toy"}


def build(**changes: Any) -> TrainArguments:
    return TrainArguments.from_dict({**NEEDED, **changes})


def test_overrides_win_over_the_recipe_in_every_spelling(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: d\noutput: o\nmodel: toy\nsteps: 5\nlearning_rate: 1e-3\nworkers: 1\n")
    words = ["steps=7", "--batch_size", "2", "--weight-decay=1e-2", "short_edges=[3, 4]", "eval_data=null"]
    arguments = TrainArguments.from_recipe(recipe, [*words, "lr_multipliers={clip: 0.1}", "resume=true"])
    assert (arguments.steps, arguments.batch_size, arguments.workers) == (7, 2, 1)
    assert arguments.learning_rate == 1e-3  # which YAML reads as a string
    assert arguments.weight_decay == 1e-2
    assert arguments.short_edges == [3, 4]
    assert arguments.lr_multipliers == {"clip": 0.1}
    assert arguments.eval_data is None
    assert arguments.resume is True


def test_spellings_of_earlier_versions_are_read(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: d\noutput: o\nmodel: toy\nlevel: picture\nclasses_per_picture: 8\n")
    arguments = TrainArguments.from_recipe(recipe)
    assert (arguments.level, arguments.classes_per_image) == ("image", 8)
    for name in ("classes_per_picture", "classes_per_image"):
        assert TrainArguments.from_recipe(recipe, [f"{name}=4", "level=object"]) == build(
            level="object", classes_per_image=4
        )
    assert TrainArguments.from_dict({**NEEDED, "classes_per_picture": 8, "level": "picture"}) == arguments
    assert "picture" not in arguments.to_yaml()


def test_a_tracker_may_be_called_so() -> None:
    assert TrainArguments.from_recipe(None, ["tracker=wandb", *(f"{k}={v}" for k, v in NEEDED.items())]) == build(
        log_with="wandb"
    )


def test_reading_arguments_needs_no_torch() -> None:
    code = "import sys, ovparts_hf.training; ovparts_hf.training.TrainArguments; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_losses_are_those_of_the_models() -> None:
    assert [build(loss=loss).loss for loss in SEGMENTATION_LOSSES] == list(SEGMENTATION_LOSSES)
    with pytest.raises(ConfigurationError, match=re.escape(f"choose one of {list(SEGMENTATION_LOSSES)}")):
        build(loss="focal")


def test_yaml_round_trip(tmp_path: Path) -> None:
    arguments = build(lr_multipliers={"clip.": 0.5}, max_grad_norm=0, crop_size=12)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(arguments.to_yaml())
    assert TrainArguments.from_recipe(recipe) == arguments


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lerning_rate": 1}, r"Unknown training arguments \['lerning_rate'\]; known are"),
        ({"steps": "many"}, "steps is 'many' .str.; it must be of type int"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"steps": True}, "steps is True"),
        ({"steps": None}, "steps is None"),
        ({"steps": 0}, "at least 1"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": True}, "learning_rate is True"),
        ({"resume": "yes"}, "resume is 'yes'"),
        ({"optimizer": "adam"}, "optimizer is 'adam'; choose one of"),
        ({"short_edges": 800}, "short_edges is 800"),
        ({"short_edges": []}, "one or more"),
        ({"short_edges": [0]}, "one or more"),
        ({"lr_multipliers": {"clip": "low"}}, "clip"),
        ({"lr_multipliers": [1]}, "lr_multipliers"),
        ({"schedule": "linear"}, r"schedule is 'linear'; choose one of \['poly', 'cosine', 'constant'\]"),
        ({"loss": "focal"}, "loss is 'focal'"),
        ({"level": ["image"]}, r"level is \['image'\]"),
        ({"lr_multipliers": {"clip": [1]}}, r"lr_multipliers\['clip'\] is \[1\] .list.; it must be of type float"),
        ({"short_edges": [1.5]}, "short_edges is 1.5"),
        ({"short_edges": 5}, r"it must be of type list\[int\]"),
        ({"crop_size": 0}, "crop_size is 0; it must be at least 1"),
        ({"level": "pixel"}, "level is 'pixel'"),
        ({"image_format": None}, "image_format is None"),
        ({"image_format": "bgr"}, "image_format is 'bgr'"),
        ({"mixed_precision": "fp8"}, "mixed_precision"),
        ({"task": "one_shot"}, "Unknown task 'one_shot'"),
        ({"flip": 1.5}, "flip is 1.5"),
        ({"classes_per_image": 0}, "classes_per_image"),
        ({"resume": True, "overwrite": True}, "exclude each other"),
        ({"lr_multipliers": {"text": -1}}, "The factor of 'text' in lr_multipliers is -1.0"),
        ({"lr_multipliers": {"text": math.inf}}, "The factor of 'text' in lr_multipliers is inf"),
        ({"seed": 2**32}, "seed is 4294967296; it must be at most 4294967295"),
    ],
)
def test_bad_values_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build(**changes)


def test_missing_arguments_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"\['output', 'model'\]"):
        TrainArguments.from_dict({"data": "d"})


@pytest.mark.parametrize("words", [["steps"], ["--steps"], ["--steps", "--resume"], ["steps=[1"]])
def test_unreadable_overrides_are_named(words: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="override"):
        TrainArguments.from_recipe(None, words)


@pytest.mark.parametrize("text", ["- a list", "", "key: [", None])
def test_unreadable_recipes_are_named(tmp_path: Path, text: str | None) -> None:
    recipe = tmp_path / "recipe.yaml"
    if text is not None:
        recipe.write_text(text)
    with pytest.raises(ConfigurationError, match="recipe.yaml"):
        TrainArguments.from_recipe(recipe)


@pytest.mark.parametrize("recipe", sorted(RECIPES.rglob("*.yaml")), ids=lambda path: str(path.relative_to(RECIPES)))
def test_recipes_are_valid_and_in_their_place(recipe: Path) -> None:
    kind = PromptTuningArguments if recipe.stem.startswith("cpt") else TrainArguments
    arguments = kind.from_recipe(recipe)
    dataset, task, _ = recipe.relative_to(RECIPES).parts
    assert arguments.task == task
    if dataset != "toy-world":
        assert Path(arguments.data).name == dataset


PUBLISHED = {
    "clipseg": {
        "learning_rate": 1e-4,
        "weight_decay": 1e-4,
        "steps": 20_000,
        "batch_size": 8,
        "max_grad_norm": 0.01,
        "schedule": "poly",
        "short_edges": [800],
        "max_size": 1333,
        "image_format": "BGR",
        "trainable": "VA+L+F+D",
    },
    "catseg": {
        "learning_rate": 2e-4,
        "lr_multipliers": {"backbone.": 0.01},
        "weight_decay": 1e-4,
        "steps": 80_000,
        "batch_size": 8,
        "max_grad_norm": 0.01,
        "schedule": "cosine",
        "short_edges": [384],
        "max_size": 768,
        "crop_size": 384,
        "color_jitter": True,
        "image_format": "RGB",
        "trainable": "B+D",
    },
}


@pytest.mark.parametrize("family", PUBLISHED)
def test_benchmark_recipes_differ_only_in_data_and_task(family: str) -> None:
    places = ("data", "eval_data", "output", "task")
    rest = [
        {key: value for key, value in dataclasses.asdict(TrainArguments.from_recipe(path)).items() if key not in places}
        for path in RECIPES.rglob(f"{family}.yaml")
        if "toy-world" not in path.parts
    ]
    assert len(rest) == 5
    assert all(values == rest[0] for values in rest)
    assert PUBLISHED[family].items() <= rest[0].items()


TWO_STAGE = {
    "steps": 20_000,
    "learning_rate": 1e-4,
    "lr_multipliers": {"pixel_level_module.backbone.": 0.1},
    "weight_decay": 1e-4,
    "max_grad_norm": 0.01,
    "schedule": "poly",
    "short_edges": [int(0.1 * k * 640) for k in range(5, 16)],
    "crop_size": 512,
    "color_jitter": True,
    "image_format": "RGB",
}
SIZES = {"maskformer": (16, 2048), "zsseg_": (16, 2048), "zsseg+": (8, 768)}


@pytest.mark.parametrize(("kind", "count"), [("maskformer", 2), ("zsseg_", 2), ("zsseg+", 8)])
def test_two_stage_recipes_have_the_published_values(kind: str, count: int) -> None:
    recipes = [path for path in RECIPES.rglob(f"{kind}*.yaml") if "toy-world" not in path.parts]
    assert len(recipes) == count
    for path in recipes:
        arguments = TrainArguments.from_recipe(path)
        assert TWO_STAGE.items() <= dataclasses.asdict(arguments).items()
        assert (arguments.batch_size, arguments.max_size) == SIZES[kind]
        assert arguments.output == f"outputs/{path.relative_to(RECIPES).with_suffix('')}"
        if kind == "zsseg+":
            assert arguments.level == "object"
            assert arguments.config["num_queries"] == 50


@pytest.mark.parametrize("recipe", sorted(RECIPES.rglob("zsseg+_*.yaml")), ids=str)
def test_prompts_are_those_of_a_recipe_that_fits(recipe: Path) -> None:
    arguments = TrainArguments.from_recipe(recipe)
    prompts = PromptTuningArguments.from_recipe(recipe.with_name(f"{recipe.stem.split('_')[-1]}.yaml"))
    config = ZSSegConfig(**arguments.config)
    assert arguments.prompts == f"{prompts.output}/last"
    assert prompts.lengths == tuple(config.prompt_lengths)
    assert prompts.image_conditioned == config.image_conditioned_prompts
    assert prompts.region_size == config.region_size
    assert prompts.crop_ratio == config.crop_ratio
    assert prompts.temperature == config.temperature
    assert (prompts.data, prompts.model, prompts.task) == (arguments.data, arguments.model, arguments.task)


@pytest.mark.parametrize("recipe", sorted(RECIPES.rglob("[!c]*.yaml")), ids=lambda path: str(path.relative_to(RECIPES)))
def test_configurations_of_recipes_are_valid(recipe: Path) -> None:
    arguments = TrainArguments.from_recipe(recipe)
    if arguments.model.startswith("toy"):
        load_config(arguments.model, arguments.family, **arguments.config)
    elif arguments.family is not None:
        own = config_class(arguments.family)(**arguments.config).backbone_config
        known = PartResNetConfig(**RESNETS["resnet-101c" if "r101c" in recipe.stem else "resnet-50"])
        assert own.to_json_string() == known.to_json_string()


def test_prompt_recipes_are_the_published_defaults() -> None:
    recipes = [path for path in RECIPES.rglob("cpt*.yaml") if "toy-world" not in path.parts]
    assert len(recipes) == 6
    for path in recipes:
        arguments = PromptTuningArguments.from_recipe(path)
        places = {name: getattr(arguments, name) for name in ("data", "output", "model", "cache", "workers", "task")}
        assert (arguments.warmup_steps, arguments.warmup_factor) == (100, 0.005)
        defaults = PromptTuningArguments(**places, image_conditioned=path.stem == "cptcocoop")
        assert arguments == defaults
