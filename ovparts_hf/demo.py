"""The whole way in one call: draw a world, prepare it, train on it, evaluate, and report."""

from __future__ import annotations

import logging
from importlib import resources
from pathlib import Path

import torch

from .data.part_dataset import PartDataset
from .evaluation import evaluate_model
from .files import atomic_write
from .gallery import build_galleries, contact_sheet
from .loading import load_model
from .report import write_report
from .results import BenchmarkResult
from .training import TrainArguments, train

logger = logging.getLogger(__name__)

RECIPES = {family: resources.files(__package__) / "toy" / f"{family}.yaml" for family in ("clipseg", "catseg")}
"""Model family -> the recipe of its toy version."""


def run_demo(
    data: Path, out: Path, family: str = "clipseg", seed: int = 0, overrides: tuple[str, ...] = ()
) -> BenchmarkResult:
    """Trains a small model on the parts of seen objects and scores it on seen and unseen ones.

    Args:
        data: The prepared toy world.
        out: Folder for the training run (`run`), `result.json`, `classes.csv`, `examples.png` (unseen objects) and
            `report/index.html`.
        family: Which model, a key of `RECIPES`.
        seed: Of the training run.
        overrides: Changes to the recipe, "key=value".

    Returns:
        The result of the trained model.
    """
    run = out / "run"
    arguments = TrainArguments.from_recipe(
        RECIPES[family], [f"data={data}", f"output={run}", f"seed={seed}", "overwrite=true", *overrides]
    )
    dataset = PartDataset.load(data)
    torch.manual_seed(seed)
    untrained, processor = load_model(arguments.model)
    before = evaluate_model(untrained, processor, dataset, arguments.task, seed=seed)
    logger.info("Before training: hIoU %.1f", before.metrics["hIoU"])

    train(arguments)
    model, processor = load_model(run / "last")
    after = evaluate_model(model, processor, dataset, arguments.task, seed=seed)
    logger.info("After training: hIoU %.1f", after.metrics["hIoU"])

    after.to_json(out / "result.json")
    after.to_csv(out / "classes.csv")
    recipe = f"examples/recipes/toy-world/zero_shot/{family}.yaml"
    commands = [
        f"ovparts prepare toy-world {data}",
        f"ovparts train --recipe {recipe} data={data} output={run} seed={seed}",
        f"ovparts evaluate {run / 'last'} {data} --task {arguments.task} --out {out / 'evaluation'}",
    ]
    galleries = build_galleries(model, processor, dataset, arguments.task)
    with atomic_write(out / "examples.png") as temporary:
        contact_sheet(galleries[0]).save(temporary)
    write_report(
        out / "report" / "index.html",
        [after, before],
        galleries,
        commands,
        title="Parts of objects never seen in training",
        labels=["trained", "before training"],
    )
    return after
