"""The command that trains."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from .base import argument, command


@command(
    "fine-tune a model; arguments that are not listed here override the recipe (key=value or --key value)",
    "ovparts train --recipe examples/recipes/toy-world/zero_shot/clipseg.yaml data=data/toy output=outputs/toy",
    argument("--recipe", type=Path, help="YAML file with training arguments"),
    takes_overrides=True,
)
def _train(options: Namespace) -> None:
    from accelerate import PartialState

    from ..training import TrainArguments, train

    folder = train(TrainArguments.from_recipe(options.recipe, options.overrides))
    if PartialState().is_main_process:
        print(folder)
