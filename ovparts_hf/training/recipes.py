"""The recipes that come with the package, by name: "pascal-part-116/zero_shot/clipseg" is dataset, task and model."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from ..errors import ConfigurationError
from ..utils.suggest import did_you_mean

RECIPES = Path(str(resources.files("ovparts_hf") / "recipes"))


def recipe_names() -> list[str]:
    """The names of all recipes, sorted."""
    return sorted(path.relative_to(RECIPES).with_suffix("").as_posix() for path in RECIPES.glob("*/*/*.yaml"))


def find_recipe(recipe: str | Path) -> Path:
    """The file of a recipe: a YAML file, or one that comes with the package by its name.

    Raises:
        ConfigurationError: There is neither.
    """
    name = Path(recipe).as_posix()
    if os.path.exists(recipe):  # noqa: PTH110  is False, where pathlib may raise, for a name that is too long
        return Path(recipe)
    if name in recipe_names():
        return RECIPES / f"{name}.yaml"
    raise ConfigurationError(
        f"There is no recipe {name}: give a YAML file, or a name that `ovparts recipes` lists."
        f"{did_you_mean(name, recipe_names())}"
    )
