"""Recipes by name: the same files as in `examples`, also where the package is installed without them."""

from __future__ import annotations

from pathlib import Path

import pytest
from setuptools.config.setupcfg import read_configuration

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.training import TrainArguments
from ovparts_hf.training.recipes import RECIPES, find_recipe, recipe_names

ROOT = Path(__file__).parents[2]


def test_every_recipe_has_a_name_that_finds_it() -> None:
    folder = ROOT / "examples" / "recipes"
    files = {file.relative_to(folder).with_suffix("").as_posix(): file for file in folder.rglob("*.yaml")}
    assert recipe_names() == sorted(files) and len(files) >= 36
    assert all(find_recipe(name).read_bytes() == file.read_bytes() for name, file in files.items())


def test_recipes_are_files_of_the_package() -> None:
    patterns = read_configuration(ROOT / "setup.cfg")["options"]["package_data"]["ovparts_hf"]
    packed = {path for pattern in patterns for path in (ROOT / "ovparts_hf").glob(pattern)}
    assert packed >= {RECIPES / f"{name}.yaml" for name in recipe_names()}


def test_a_name_and_its_file_give_the_same_arguments() -> None:
    name = "pascal-part-116/zero_shot/clipseg"
    file = ROOT / "examples" / "recipes" / f"{name}.yaml"
    assert TrainArguments.from_recipe(name, ["steps=3"]) == TrainArguments.from_recipe(file, ["steps=3"])


def test_a_file_comes_before_a_recipe_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "toy-world/zero_shot/clipseg"
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("data: d\noutput: o\nmodel: toy\nsteps: 17\n")
    assert TrainArguments.from_recipe(name).steps == 17


@pytest.mark.parametrize("name", ["nowhere.yaml", "../" * 3, "pascal-part-116/zero_shot", "x" * 5000, "a\0b", ""])
def test_what_is_no_recipe_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="recipe"):
        TrainArguments.from_recipe(name)
