"""The command that writes cards."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import ConfigurationError
from ..evaluation.bootstrap import RESULT_FILE
from ..evaluation.results import BenchmarkResult
from ..reporting.cards import BENCHMARK_MODELS, DATASET_CARDS, dataset_card, model_card, write_folder_card
from ..utils.files import atomic_write
from .command import Commands, command


def add_commands(commands: Commands) -> None:
    """Adds these commands to the parser."""
    card = command(
        commands,
        _card,
        "write the card of a model folder, or those of all models and datasets of the benchmark",
        "ovparts card models/clipseg-pascal-part-116-zero-shot --result outputs/evaluation",
    )
    card.add_argument("model", type=Path, nargs="?", help="model folder, whose README.md is written")
    card.add_argument(
        "--result", type=Path, nargs="+", default=[], help="result folders or files: what was measured with the model"
    )
    card.add_argument("--name", help="of the model's repository, with or without owner (default: the folder's name)")
    card.add_argument("--overwrite", action="store_true", help="replace a README.md that says something else")
    card.add_argument("--out", type=Path, help="folder for the cards of the benchmark's models (or only of --name)")
    card.add_argument("--datasets", type=Path, help="folder `dataset_builders`, whose cards are written")


def _card(options: argparse.Namespace) -> int:
    _check(options)
    results = [BenchmarkResult.from_json(path / RESULT_FILE if path.is_dir() else path) for path in options.result]
    if options.model is not None:
        print(write_folder_card(options.model, results, options.name, options.overwrite))
    if options.out is not None:
        names = BENCHMARK_MODELS if options.name is None else [options.name]
        for name in names:
            _write(options.out / f"{name}.md", model_card(BENCHMARK_MODELS[name], results))
    if options.datasets is not None:
        for name, folder in DATASET_CARDS.items():
            _write(options.datasets / folder / "README.md", dataset_card(name))
    return 0


def _check(options: argparse.Namespace) -> None:
    places = (options.model, options.out, options.datasets)
    if all(place is None for place in places):
        raise ConfigurationError("Give a model folder, or --out FOLDER for the cards of the benchmark's models.")
    if options.model is not None and (options.out or options.datasets):
        raise ConfigurationError("A model folder takes one card; leave --out and --datasets away, or the folder.")
    if options.model is None and options.result and (options.name is None or options.out is None):
        raise ConfigurationError("Results belong to one model: name it with --name, and the folder with --out.")
    if options.model is None and options.name is not None and options.name not in BENCHMARK_MODELS:
        raise ConfigurationError(f"Unknown model {options.name!r}; choose one of {list(BENCHMARK_MODELS)}.")
    if options.datasets is not None and not options.datasets.is_dir():
        raise ConfigurationError(f"There is no folder {options.datasets}; give that of the dataset builders.")


def _write(path: Path, card: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(card.encode())
    print(path)
