"""Commands that train."""

from __future__ import annotations

import argparse
from pathlib import Path

from accelerate import PartialState

from dataset_builders import get_builder

from ..app import check_gradio, launch_app
from ..data.preparation.repository import write_repository
from ..errors import ConfigurationError
from ..inference.segmenter import PartSegmenter
from ..models.loading import TRAINED_TOY
from ..training import TrainArguments, train
from .command import Commands, command
from .demo import RECIPES, demo_table, run_demo


def add_commands(commands: Commands) -> None:
    """Adds these commands to the parser."""
    training = command(
        commands,
        _train,
        "fine-tune a model; arguments that are not listed here override the recipe (key=value or --key value)",
        "ovparts train --recipe examples/recipes/toy-world/zero_shot/clipseg.yaml data=data/toy output=outputs/toy",
        takes_overrides=True,
    )
    training.add_argument("--recipe", type=Path, help="YAML file with training arguments")

    demo = command(
        commands,
        _demo,
        "draw the toy world, train on it, evaluate and report (other arguments override the recipe, key=value); with "
        "--app, serve a web page instead, for images and words of your own",
        "ovparts demo --out outputs/demo",
        takes_overrides=True,
    )
    demo.add_argument(
        "--model", choices=RECIPES, nargs="+", default=["clipseg"], help="one or more models (default: clipseg)"
    )
    demo.add_argument("--out", type=Path, default=Path("outputs/demo"), help="folder (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    demo.add_argument("--app", action="store_true", help="serve the web page at 127.0.0.1 instead; nothing is trained")
    demo.add_argument("--app-model", default=TRAINED_TOY, metavar="NAME", help="its model (default: %(default)s)")
    demo.add_argument("--port", type=int, help="its port (default: the first free one from 7860 on)")


def _train(options: argparse.Namespace) -> int:
    folder = train(TrainArguments.from_recipe(options.recipe, options.overrides))
    if PartialState().is_main_process:
        print(folder)
    return 0


def _demo(options: argparse.Namespace) -> int:
    if options.app:
        return _serve(options)
    data = write_repository(get_builder("toy-world")(), options.out / "data", overwrite=True)
    results = run_demo(data, options.out, options.model, options.seed, options.overrides)
    print(demo_table(results))
    print(f"Report: {(options.out / 'report' / 'index.html').resolve()}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    if options.overrides:
        raise ConfigurationError(f"Nothing is trained with --app; {options.overrides} cannot be overridden.")
    check_gradio()
    launch_app(PartSegmenter.from_pretrained(options.app_model), host="127.0.0.1", port=options.port)
    return 0
