"""Commands that share what was made: cards, and pushing to the Hugging Face Hub."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..errors import ConfigurationError, OVPartsError
from ..utils.files import atomic_write, user_path
from .base import VISIBILITY, argument, command
from .failures import check_writable


@command(
    "write the card of a model folder, with results for the Hub, or those of all models and datasets of the benchmark",
    "ovparts card models/clipseg-pascal-part-116-zero-shot --result outputs/evaluation",
    argument("model", type=user_path, nargs="?", help="model folder, whose README.md and .eval_results are written"),
    argument("--result", type=user_path, nargs="+", default=[], help="result folders or files of the model"),
    argument("--name", help="repository of the model, with or without owner (default: the folder's name)"),
    argument("--overwrite", action="store_true", help="replace a README.md that differs"),
    argument("--out", type=user_path, help="folder for the cards of the benchmark's models (or only of --name)"),
    argument("--datasets", type=user_path, help="folder `dataset_builders`, whose cards are written"),
)
def _card(options: Namespace) -> None:
    from ..evaluation.results import BenchmarkResult
    from ..reporting.cards import BENCHMARK_MODELS, DATASET_CARDS, dataset_card, model_card, write_folder_card
    from ..reporting.cards.eval_results import FOLDER, eval_result_entries
    from .results import result_file

    _check_card(options, BENCHMARK_MODELS)
    for folder in filter(None, (options.model, options.out, options.datasets)):
        check_writable(folder)
    results = [BenchmarkResult.from_json(result_file(path)) for path in options.result]
    if options.model is not None:
        print(write_folder_card(options.model, results, options.name, options.overwrite))
        for name in eval_result_entries(results):
            print(options.model / FOLDER / f"{name}.yaml")
    if options.out is not None:
        for name in BENCHMARK_MODELS if options.name is None else [options.name]:
            _write(options.out / f"{name}.md", model_card(BENCHMARK_MODELS[name], results))
    if options.datasets is not None:
        for name, folder in DATASET_CARDS.items():
            _write(options.datasets / folder / "README.md", dataset_card(name))


def _check_card(options: Namespace, models: Iterable[str]) -> None:
    if options.model is None and options.out is None and options.datasets is None:
        raise ConfigurationError("Give a model folder, or --out FOLDER for the cards of the benchmark's models.")
    if options.model is not None and (options.out or options.datasets):
        raise ConfigurationError("A model folder takes one card: give either the folder, or --out and --datasets.")
    if options.model is None and options.result and (options.name is None or options.out is None):
        raise ConfigurationError("Results belong to one model: name it with --name, and the folder with --out.")
    if options.model is None and options.name is not None and options.name not in models:
        raise ConfigurationError(f"Unknown model {options.name!r}; choose one of {list(models)}.")
    if options.datasets is not None and not options.datasets.is_dir():
        raise ConfigurationError(f"There is no folder {options.datasets}; give that of the dataset builders.")


def _write(path: Path, card: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(card.encode())
    print(path)


@command(
    "push a model, a prepared dataset or a Space to the Hub, in one commit",
    "ovparts push outputs/toy/last me/clipseg-toy-world",
    argument("folder", type=user_path, help="folder for from_pretrained, prepared dataset, or Space"),
    argument("repo", help="owner/name on the Hub; made if it does not exist"),
    argument("--message", default="Upload with ovparts_hf", help="commit message"),
    *VISIBILITY,
)
def _push(options: Namespace) -> None:
    from ..data.benchmark_file import BENCHMARK_FILE, write_benchmark_file
    from ..data.preparation.repository import is_repository
    from ..taxonomy import PartTaxonomy
    from ..utils.push import push_folder

    if (
        is_repository(options.folder) and not (options.folder / BENCHMARK_FILE).exists()
    ):  # prepared by an earlier version
        with suppress(OVPartsError, OSError):  # what is wrong with a dataset is said below
            write_benchmark_file(options.folder, PartTaxonomy.from_json(options.folder / "taxonomy.json"))
    rights = {"public": options.public, "i_have_the_rights": options.i_have_the_rights}
    print(push_folder(options.folder, options.repo, message=options.message, **rights))
