"""The demo: draw a world, train on it, evaluate and report, or serve the web page."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ..app.limits import Limits
from ..errors import ConfigurationError
from ..utils.arguments import check_positive
from ..utils.files import atomic_write, public_name, user_path
from .base import argument, command
from .failures import check_writable

if TYPE_CHECKING:
    from ..evaluation.results import BenchmarkResult

logger = logging.getLogger(__name__)

_TOY = resources.files("ovparts_hf") / "toy"
_MODELS = ("clipseg", "catseg", "maskformer", "zsseg", "zsseg+", "zsseg+cocoop")
_LIMITS = ", ".join(f"{field.name}={field.default}" for field in fields(Limits))
RECIPES = {name: _TOY / f"{name}.yaml" for name in _MODELS}
"""Model -> the recipe of its toy version."""
PROMPT_RECIPES = {"zsseg+": _TOY / "cptcoop.yaml", "zsseg+cocoop": _TOY / "cptcocoop.yaml"}
"""Model -> the recipe of the prompts that are tuned for it first."""


@command(
    "draw the toy world, train on it, evaluate and report (other arguments override the recipe, key=value); with "
    "--app, serve a web page instead, for images and words of your own",
    "ovparts demo --out outputs/demo",
    argument("--model", choices=RECIPES, nargs="+", default=["clipseg"], help="one or more models (default: clipseg)"),
    argument("--out", type=user_path, default=Path("outputs/demo"), help="folder"),
    argument("--seed", type=int, default=0, help="random seed of the training runs"),
    argument("--app", action="store_true", help="serve the web page at 127.0.0.1 instead; nothing is trained"),
    argument("--app-model", default="toy-trained", metavar="NAME", help="model of the web page, folder or Hub id"),
    argument("--port", type=int, help="port of the web page (default: the first free one from 7860 on)"),
    argument("--concurrency", type=int, default=1, help="requests that the web page runs at the same time"),
    argument("--limit", nargs="+", default=[], metavar="NAME=NUMBER", help=f"of the web page: {_LIMITS}"),
    takes_overrides=True,
)
def _demo(options: Namespace) -> None:
    if options.app:
        return _serve(options)
    check_writable(options.out)
    from dataset_builders import ToyWorld

    from ..data.preparation.repository import write_repository

    data = write_repository(ToyWorld(), options.out / "data", overwrite=True)
    results = run_demo(data, options.out, options.model, options.seed, options.overrides)
    print(demo_table(results))
    print(f"Report: {(options.out / 'report' / 'index.html').resolve()}")


def _serve(options: Namespace) -> None:
    from ..app import check_gradio, launch_app
    from ..inference.segmenter import PartSegmenter

    if options.overrides:
        raise ConfigurationError(f"Nothing is trained with --app; {options.overrides} cannot be overridden.")
    check_gradio()
    check_positive(concurrency=options.concurrency)
    limits = Limits.parse(options.limit)
    segmenter = PartSegmenter.from_pretrained(options.app_model)
    launch_app(segmenter, limits, options.concurrency, host="127.0.0.1", port=options.port)


def run_demo(
    data: Path, out: Path, models: Sequence[str], seed: int, overrides: Sequence[str]
) -> dict[str, BenchmarkResult]:
    """Trains small models on the parts of seen objects; each is scored on seen and unseen ones before and after.

    Writes `report/index.html`, `examples.png` (unseen objects, by the first model) and, for each model in a folder of
    its name (in `out` itself if there is only one), the training run (`run`), `result.json` and `classes.csv`.
    """
    from ..data.part_dataset import PartDataset
    from ..evaluation.predictor import Predictor
    from ..models.loading import load_model
    from ..reporting.gallery import build_galleries, contact_sheet
    from ..reporting.report import write_report

    folders = {name: out if len(models) == 1 else out / name for name in models}
    results: dict[str, BenchmarkResult] = {}
    root = Path(public_name(str(out)))  # of the commands that the report shows
    commands = [f"ovparts prepare toy-world {root / data.name}"]
    for name, folder in folders.items():
        before, after = train_and_score(name, data, folder, seed, overrides)
        results |= {f"{name}, untrained": before, name: after}
        run = root / folder.relative_to(out) / "run"
        recipe = f"examples/recipes/toy-world/{after.task}/{name}.yaml"
        commands.append(f"ovparts train --recipe {recipe} data={root / data.name} output={run} seed={seed}")
        commands.append(f"ovparts evaluate {run}/last {root / data.name} --task {after.task}")

    model, processor = load_model(folders[models[0]] / "run" / "last")
    galleries = build_galleries(Predictor(model, processor, PartDataset.load(data)), results[models[0]].task)
    with atomic_write(out / "examples.png") as temporary:
        contact_sheet(galleries[0]).save(temporary)
    page, title = out / "report" / "index.html", "Parts of objects never seen in training"
    write_report(page, list(results.values()), galleries, commands, title=title, labels=list(results))
    return results


def train_and_score(
    name: str, data: Path, out: Path, seed: int, overrides: Sequence[str]
) -> tuple[BenchmarkResult, BenchmarkResult]:
    """Trains one toy model; the results of what it starts from, and of the trained model."""
    from accelerate.utils import set_seed

    from ..data.part_dataset import PartDataset
    from ..evaluation.evaluator import evaluate_model
    from ..models.loading import load_model
    from ..training import PromptTuningArguments, TrainArguments, train, tune_prompts
    from ..training.setup import TrainingSetup

    shared = [f"data={data}", f"seed={seed}", "overwrite=true"]
    changes = [f"output={out / 'run'}", *shared, *overrides]
    if name in PROMPT_RECIPES:
        folders = [f"output={out / 'prompts'}", f"cache={data.parent / 'features'}"]
        tuned = tune_prompts(PromptTuningArguments.from_recipe(PROMPT_RECIPES[name], [*folders, *shared]))
        changes.append(f"prompts={tuned / 'last'}")
    arguments = TrainArguments.from_recipe(RECIPES[name], changes)
    dataset = PartDataset.load(data)
    set_seed(seed)
    setup = TrainingSetup.load(arguments)
    before = evaluate_model(setup.model, setup.processor, dataset, arguments.task, seed=seed)
    logger.info("%s before training: hIoU %.1f", name, before.metrics["hIoU"])

    train(arguments)
    model, processor = load_model(out / "run" / "last")
    after = evaluate_model(model, processor, dataset, arguments.task, seed=seed)
    logger.info("%s after training: hIoU %.1f", name, after.metrics["hIoU"])
    after.to_json(out / "result.json")
    after.to_csv(out / "classes.csv")
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
