"""The demo: draw a world, train on it, evaluate and report, or serve the web page."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..app.limits import Limits
from ..errors import ConfigurationError
from ..models.auto import FAMILIES, family_facts
from ..utils.arguments import check_positive
from ..utils.files import atomic_write, public_name, user_path
from .base import argument, command
from .failures import check_writable

if TYPE_CHECKING:
    from ..evaluation.results import BenchmarkResult
    from ..training import PromptTuningArguments, TrainArguments

logger = logging.getLogger(__name__)

_TOY = resources.files("ovparts_hf") / "toy"
_PROMPTS = {family: family_facts(family).toy_prompts for family in FAMILIES}
_FAMILIES = sorted(FAMILIES, key=lambda family: len(_PROMPTS[family]))  # those with one version first
_LIMITS = ", ".join(f"{field.name}={field.default}" for field in fields(Limits))
RECIPES = {
    name: _TOY / f"{name}.yaml"
    for family in _FAMILIES
    for name in (family, *_PROMPTS[family])
    if (_TOY / f"{name}.yaml").is_file()
}
"""Model -> the recipe of its toy version."""
PROMPT_RECIPES = {name: _TOY / f"{recipe}.yaml" for prompts in _PROMPTS.values() for name, recipe in prompts.items()}
"""Model -> the recipe of the prompts that are tuned for it first."""


@command(
    "draw the toy world, train on it, evaluate and report (other arguments override the recipes of models and prompts, "
    "key=value); with --table, compare toy versions of all families at equal compute; with --app, serve a web page "
    "instead, for images and words of your own",
    "ovparts demo --out outputs/demo",
    argument("--model", choices=RECIPES, nargs="+", help="one or more models (default: clipseg)"),
    argument("--out", type=user_path, help="folder (default: outputs/demo, with --table outputs/table)"),
    argument("--seed", type=int, default=0, help="random seed of the training runs"),
    argument(
        "--table",
        action="store_true",
        help="train toy versions of all families at equal compute, with several seeds, and compare them in one table; "
        "the same command continues it",
    ),
    argument("--rows", nargs="+", metavar="NAME", help="of --table: only these, by name (default: all)"),
    argument("--seeds", type=int, nargs="+", help="of --table: seeds (default: 0 1 2)"),
    argument("--processes", type=int, help="of --table: runs at the same time, on a core each (default: 2)"),
    argument("--app", action="store_true", help="serve the web page at 127.0.0.1 instead; nothing is trained"),
    argument(
        "--app-model",
        nargs="+",
        default=["toy-trained"],
        metavar="NAME",
        help="models of the web page, folders or Hub ids; among several, visitors choose, or compare two",
    ),
    argument("--mcp", action="store_true", help="let language models use the web page's endpoints as tools (MCP)"),
    argument("--port", type=int, help="port of the web page (default: the first free one from 7860 on)"),
    argument("--concurrency", type=int, default=1, help="requests that the web page runs at the same time"),
    argument("--limit", nargs="+", default=[], metavar="NAME=NUMBER", help=f"of the web page: {_LIMITS}"),
    takes_overrides=True,
)
def _demo(options: Namespace) -> None:
    of_table = {name: getattr(options, name) for name in ("rows", "seeds", "processes")}
    given = {name: value for name, value in of_table.items() if value is not None}
    if given and not options.table:
        raise ConfigurationError(
            f"{' and '.join(f'--{name}' for name in given)} can be given with --table only; add it."
        )
    if options.table and (options.app or options.model):
        raise ConfigurationError(
            "--table trains toy versions of all families; choose some by --rows, without --model or --app."
        )
    if options.app:
        return _serve(options)
    if options.table:
        return _make_table(options, given)
    out = options.out or Path("outputs/demo")
    check_writable(out)
    results = run_demo(out, options.model or ["clipseg"], options.seed, options.overrides)
    print(demo_table(results))
    print(f"Report: {(out / 'report' / 'index.html').resolve()}")


def _make_table(options: Namespace, given: dict[str, Any]) -> None:
    from ..reporting.toy_table.document import table_markdown
    from ..reporting.toy_table.table import make_table

    out = options.out or Path("outputs/table")
    check_writable(out)
    summary = make_table(out, overrides=options.overrides, command=options.command_line, **given)
    print(table_markdown(summary))
    print(f"Report: {(out / 'report' / 'index.html').resolve()}")


def _serve(options: Namespace) -> None:
    from ..app import check_gradio, launch_app
    from ..inference.segmenter import PartSegmenter

    if options.overrides:
        raise ConfigurationError(f"Nothing is trained with --app; {options.overrides} cannot be overridden.")
    check_gradio(options.mcp)
    check_positive(concurrency=options.concurrency)
    limits = Limits.parse(options.limit)
    if len({public_name(name) for name in options.app_model}) < len(options.app_model):
        raise ConfigurationError(f"Two of {options.app_model} have the same name; rename a folder.")
    segmenters = {public_name(name): PartSegmenter.from_pretrained(name) for name in options.app_model}
    launch_app(segmenters, limits, options.concurrency, host="127.0.0.1", port=options.port, mcp_server=options.mcp)


def run_demo(out: Path, models: Sequence[str], seed: int, overrides: Sequence[str]) -> dict[str, BenchmarkResult]:
    """Draws the world and trains small models on the parts of seen objects; scores them before and after.

    Writes `data`, `report/index.html`, `examples.png` (unseen objects, by the first model) and, for each model in a
    folder of its name (in `out` itself if there is only one), the training run (`run`), `result.json` and
    `classes.csv`.
    """
    from ..data.part_dataset import PartDataset
    from ..data.preparation.repository import write_repository
    from ..dataset_builders import ToyWorld
    from ..evaluation.predictor import Predictor
    from ..models.loading import load_model
    from ..reporting.gallery import build_galleries, contact_sheet
    from ..reporting.report import write_report
    from ..training.threads import cpu_threads

    data = out / "data"
    folders = {name: out if len(models) == 1 else out / name for name in models}
    runs = demo_arguments(data, folders, seed, overrides)
    write_repository(ToyWorld(), data, overwrite=True)
    results: dict[str, BenchmarkResult] = {}
    root = Path(public_name(str(out)))  # of the commands that the report shows
    commands = [f"ovparts prepare toy-world {root / data.name}"]
    for name, (prompts, arguments) in runs.items():
        before, after = train_and_score(name, prompts, arguments)
        after.to_json(folders[name] / "result.json")
        after.to_csv(folders[name] / "classes.csv")
        results |= {f"{name}, untrained": before, name: after}
        run = root / folders[name].relative_to(out) / "run"
        recipe = f"examples/recipes/toy-world/{after.task}/{name}.yaml"
        commands.append(f"ovparts train --recipe {recipe} data={root / data.name} output={run} seed={seed}")
        commands.append(f"ovparts evaluate {run}/last {root / data.name} --task {after.task}")

    first = runs[models[0]][1]
    with cpu_threads(first.threads):
        model, processor = load_model(Path(first.output) / "last")
        galleries = build_galleries(Predictor(model, processor, PartDataset.load(data)), first.task)
    with atomic_write(out / "examples.png") as temporary:
        contact_sheet(galleries[0]).save(temporary)
    page, title = out / "report" / "index.html", "Parts of objects never seen in training"
    labels = [*runs, *(label for label in results if label not in runs)]  # the page is about the first
    shown = [results[label] for label in labels]
    write_report(page, shown, galleries, commands, title=title, labels=labels, run=Path(first.output))
    return results


def demo_arguments(
    data: Path, folders: Mapping[str, Path], seed: int, overrides: Sequence[str]
) -> dict[str, tuple[PromptTuningArguments | None, TrainArguments]]:
    """Model -> settings of its prompt tuning, if it needs any, and of its training; each takes the overrides it has."""
    from ..training import PromptTuningArguments, TrainArguments
    from ..training.recipe import parse_overrides, read_mapping, with_current_names

    changes = with_current_names(parse_overrides(overrides))
    chosen = sorted(changes.keys() & {"data", "output", "prompts", "cache"})
    if chosen:
        raise ConfigurationError(f"{chosen} cannot be overridden in the demo; choose its folder by --out.")
    of_prompts, of_models = ({field.name for field in fields(kind)} for kind in (PromptTuningArguments, TrainArguments))
    prompt_changes = {key: value for key, value in changes.items() if key in of_prompts}
    if PROMPT_RECIPES.keys() & folders.keys():
        changes = {key: value for key, value in changes.items() if key in of_models or key not in of_prompts}
    shared: dict[str, Any] = {"data": data, "seed": seed, "overwrite": True}
    runs = {}
    for name, folder in folders.items():
        prompts, settings = None, {**read_mapping(RECIPES[name]), **shared, "output": folder / "run", **changes}
        if name in PROMPT_RECIPES:
            settings["prompts"] = folder / "prompts" / "last"
            places = {"output": folder / "prompts", "cache": data.parent / "features"}
            recipe = read_mapping(PROMPT_RECIPES[name])
            prompts = PromptTuningArguments.from_dict({**recipe, **shared, **places, **prompt_changes})
        runs[name] = prompts, TrainArguments.from_dict(settings)
    return runs


def train_and_score(
    name: str, prompts: PromptTuningArguments | None, arguments: TrainArguments
) -> tuple[BenchmarkResult, BenchmarkResult]:
    """Trains one toy model; the results of what it starts from, and of the trained model."""
    from accelerate.utils import set_seed

    from ..data.part_dataset import PartDataset
    from ..evaluation.evaluator import evaluate_model
    from ..models.loading import load_model
    from ..training import train, tune_prompts
    from ..training.setup import TrainingSetup
    from ..training.threads import cpu_threads

    if prompts is not None:
        tune_prompts(prompts)
    dataset, task, seed = PartDataset.load(arguments.data), arguments.task, arguments.seed
    with cpu_threads(arguments.threads):
        set_seed(seed)
        setup = TrainingSetup.load(arguments)
        before = evaluate_model(setup.model, setup.processor, dataset, task, seed=seed)
        logger.info("%s before training: hIoU %.1f", name, before.metrics["hIoU"])
        train(arguments)
        after = evaluate_model(*load_model(Path(arguments.output) / "last"), dataset, task, seed=seed)
        logger.info("%s after training: hIoU %.1f", name, after.metrics["hIoU"])
    return before, after


def demo_table(results: dict[str, BenchmarkResult]) -> str:
    """One line for each result: IoU in percent on seen and unseen objects, and their harmonic mean."""
    heading = "toy world, IoU in percent"
    width = max(map(len, [heading, *results]))
    lines = [f"| {heading:{width}} | seen | unseen | harmonic |"]
    lines.append(f"| {'-' * width} | ---: | -----: | -------: |")
    for name, result in results.items():
        seen, unseen, harmonic = (result.metrics[key] for key in ("mIoU_seen", "mIoU_unseen", "hIoU"))
        lines.append(f"| {name:{width}} | {seen:4.1f} | {unseen:6.1f} | {harmonic:8.1f} |")
    return "\n".join(lines)
