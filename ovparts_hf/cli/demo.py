"""The whole way in one call: draw a world, prepare it, train on it, evaluate, and report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from accelerate.utils import set_seed

from ..data.part_dataset import PartDataset
from ..evaluation.evaluator import evaluate_model
from ..evaluation.results import BenchmarkResult
from ..models.loading import load_model
from ..reporting.gallery import build_galleries, contact_sheet
from ..reporting.report import write_report
from ..training import PromptTuningArguments, TrainArguments, train, tune_prompts
from ..training.setup import TrainingSetup
from ..utils.files import atomic_write

logger = logging.getLogger(__name__)

PROMPTS = {"zsseg+": "cptcoop", "zsseg+cocoop": "cptcocoop"}
"""Model -> the recipe of the prompts that are tuned for it first."""

_TOY = resources.files("ovparts_hf") / "toy"
RECIPES = {
    name: _TOY / f"{name}.yaml" for name in ("clipseg", "catseg", "maskformer", "zsseg", "zsseg+", "zsseg+cocoop")
}
"""Model -> the recipe of its toy version."""


def run_demo(
    data: Path, out: Path, names: Sequence[str] = ("clipseg",), seed: int = 0, overrides: Sequence[str] = ()
) -> dict[str, BenchmarkResult]:
    """Trains small models on the parts of seen objects and scores them on seen and unseen ones.

    Args:
        data: The prepared toy world.
        out: Folder for `report/index.html`, `examples.png` (unseen objects, by the first model) and, for each model in
            a folder of its name (in `out` itself if there is only one), the training run (`run`), `result.json` and
            `classes.csv`.
        names: Which models, keys of `RECIPES`.
        seed: Of the training runs.
        overrides: Changes to the recipes, "key=value".

    Returns:
        Results by name: of each trained model and, before it, of what its training started from.
    """
    results: dict[str, BenchmarkResult] = {}
    commands = [f"ovparts prepare toy-world {data}"]
    for name in names:
        folder = out if len(names) == 1 else out / name
        before, after = train_and_score(name, data, folder, seed, overrides)
        results |= {f"{name}, untrained": before, name: after}
        recipe = f"examples/recipes/toy-world/{after.task}/{name}.yaml"
        commands.append(f"ovparts train --recipe {recipe} data={data} output={folder / 'run'} seed={seed}")
        commands.append(f"ovparts evaluate {folder / 'run' / 'last'} {data} --task {after.task}")

    first = out / "run" if len(names) == 1 else out / names[0] / "run"
    model, processor = load_model(first / "last")
    galleries = build_galleries(model, processor, PartDataset.load(data), results[names[0]].task)
    with atomic_write(out / "examples.png") as temporary:
        contact_sheet(galleries[0]).save(temporary)
    title = "Parts of objects never seen in training"
    write_report(
        out / "report" / "index.html", list(results.values()), galleries, commands, title=title, labels=list(results)
    )
    return results


def train_and_score(
    name: str, data: Path, out: Path, seed: int, overrides: Sequence[str]
) -> tuple[BenchmarkResult, BenchmarkResult]:
    """Trains one toy model.

    Returns:
        The results of what it starts from, and of the trained model.
    """
    given = [f"data={data}", f"seed={seed}", "overwrite=true"]
    changes = [f"output={out / 'run'}", *given, *overrides]
    if name in PROMPTS:
        places = [f"output={out / 'prompts'}", f"cache={data.parent / 'features'}"]
        tuned = tune_prompts(PromptTuningArguments.from_recipe(_TOY / f"{PROMPTS[name]}.yaml", [*places, *given]))
        changes.append(f"prompts={tuned / 'last'}")
    arguments = TrainArguments.from_recipe(RECIPES[name], changes)
    dataset = PartDataset.load(data)
    set_seed(seed)
    ingredients = TrainingSetup.load(arguments)
    before = evaluate_model(ingredients.model, ingredients.processor, dataset, arguments.task, seed=seed)
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
