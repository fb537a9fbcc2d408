"""The commands that train: models, and the prompts that some of them need; and the list of recipes."""

from __future__ import annotations

import json
import logging
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..utils.files import atomic_write, user_path
from .base import argument, command
from .failures import check_writable

if TYPE_CHECKING:
    from ..training.arguments import LoopArguments

logger = logging.getLogger(__name__)

RECIPE = argument(
    "--recipe",
    type=user_path,
    help="YAML file with arguments, or a name that `ovparts recipes` lists; that may also be the first word",
)
DRY_RUN = argument(
    "--dry-run",
    action="store_true",
    help="estimate memory and time on this machine, with random images and weights; nothing is trained or written",
)


@command(
    "fine-tune a model; arguments that are not listed here override the recipe (key=value or --key value)",
    "ovparts train toy-world/zero_shot/clipseg data=data/toy output=outputs/toy",
    RECIPE,
    DRY_RUN,
    takes_overrides=True,
)
def _train(options: Namespace) -> None:
    from accelerate import PartialState

    from ..training import TrainArguments, train
    from ..training.recipe import read_mapping
    from ..training.recipes import find_recipe

    recipe, overrides = chosen_recipe(options)
    if recipe is not None and "prefix" in read_mapping(find_recipe(recipe)):
        raise ConfigurationError(f"{recipe} is a recipe of prompts: use `ovparts tune-prompts`.")
    arguments = TrainArguments.from_recipe(recipe, overrides)
    if options.dry_run:
        return _print_estimate(arguments)
    check_writable(Path(arguments.output))
    folder = train(arguments)
    if PartialState().is_main_process:
        print(folder)


@command(
    "tune the prompts of ZSseg+, and score them beside templates; other arguments override the recipe",
    "ovparts tune-prompts toy-world/zero_shot/cptcoop data=data/toy output=outputs/prompts",
    RECIPE,
    DRY_RUN,
    takes_overrides=True,
)
def _tune_prompts(options: Namespace) -> None:
    from accelerate import PartialState

    from ..training import PromptTuningArguments, tune_prompts
    from ..training.prompt_tuning.comparison import comparison_table, score_beside_templates

    arguments = PromptTuningArguments.from_recipe(*chosen_recipe(options))
    if options.dry_run:
        return _print_estimate(arguments)
    check_writable(Path(arguments.output))
    folder = tune_prompts(arguments)
    scores = score_beside_templates(arguments, folder / "last")
    if PartialState().is_main_process:
        with atomic_write(folder / "scores.json") as temporary:
            temporary.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
        print(comparison_table(scores))


@command(
    "list the recipes that come with the package, with the paper's number for each",
    "ovparts recipes pascal-part-116",
    argument("text", nargs="?", default="", help="list only those whose name contains this"),
)
def _recipes(options: Namespace) -> None:
    from ..reporting.recipe_table import recipe_table

    print(recipe_table(options.text))


def chosen_recipe(options: Namespace) -> tuple[Path | None, Sequence[str]]:
    """The recipe of a command line, named by `--recipe` or by the first word, and what overrides it."""
    recipe, overrides = options.recipe, options.overrides
    if recipe is None and overrides and not overrides[0].startswith("-") and "=" not in overrides[0]:
        return user_path(overrides[0]), overrides[1:]
    return recipe, overrides


def _print_estimate(arguments: LoopArguments) -> None:
    from ..training.dry_run import estimate_run

    estimate = estimate_run(arguments)
    print(estimate.table())
    warning = estimate.warning()
    if warning is not None:
        logger.warning(warning)
