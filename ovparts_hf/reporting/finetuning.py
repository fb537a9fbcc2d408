"""From a prepared dataset to a trained, scored and described model, without a recipe."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate.utils import set_seed

from ..errors import ConfigurationError
from ..evaluation.evaluator import evaluate
from ..evaluation.predictor import Predictor
from ..evaluation.ranking import RecordScore
from ..evaluation.results import BenchmarkResult
from ..inference.placement import usable_device
from ..inference.segmenter import PartSegmenter
from ..models.loading import ModelSource, load_model
from ..training import TrainingInterrupted, train
from ..training.finetuning.draft import draft_plan
from ..training.finetuning.plan import PLAN, RECIPE, RUN, SHOTS, Plan
from ..training.finetuning.request import FineTuningRequest
from ..training.threads import cpu_threads
from ..utils.files import public_name, user_path
from ..utils.locks import writer_lock
from .cards.folder import default_name, write_folder_card
from .gallery import build_galleries
from .labelling import COUNT, check_suggestion, images_to_label, suggest_labelling
from .report import write_report
from .review import NAME as REVIEW
from .review import review_training

logger = logging.getLogger(__name__)

LABEL_NEXT = "label_next"
_LOCK = ".lock"
_RESULTS = {"before": "before.json", "after": "after.json"}
_FILES = {
    PLAN,
    RECIPE,
    SHOTS,
    *_RESULTS.values(),
    "classes.csv",
    *(f"{REVIEW}.{kind}" for kind in ("json", "csv", "png")),
}
_FOLDERS = {RUN, "report", LABEL_NEXT}


@dataclass(frozen=True)
class FineTuned:
    """What `finetune` made.

    Attributes:
        model: Folder of the trained model, for `PartSegmenter.from_pretrained`, with its card.
        before: Scores of what training started from; None for a model that cannot be scored on parts it does not know.
        after: Scores of the trained model, on the same images.
        report: The HTML report.
        plan: What was done, and why.
    """

    model: Path
    before: BenchmarkResult | None
    after: BenchmarkResult
    report: Path
    plan: Plan


def finetune(
    data: str | Path,
    out: str | Path,
    model: str | Path | None = None,
    *,
    shots: int | None = None,
    time: float | str | None = None,
    seed: int = 0,
    unlabelled: str | Path | None = None,
    count: int = COUNT,
    formats: Sequence[str] = ("coco",),
    overrides: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> FineTuned:
    """Fine-tunes a model on a prepared dataset: decides the settings, trains, scores before and after, and reports.

    An interrupted call continues if it is made again with the same arguments.

    Args:
        data: Prepared dataset: folder or Hub id.
        out: Folder of everything that is written (docs/finetuning.md lists it).
        model: What to start from: a family ("clipseg", "catseg", ...), whose stock weights are taken, a folder or Hub
            id, or a toy model; None for "toy-trained" if the images are flat drawings, and "clipseg" if not.
        shots: K: train on so few images that each part is labelled in at least K of them; None for all images.
        time: What everything may take, in seconds or as text such as "20m"; None for no limit.
        seed: Of everything random.
        unlabelled: Folder of images, of which those that should be labelled next are listed in `out`.
        count: How many of these are suggested.
        formats: Files of pre-labels for them: "coco", "cvat", "labelstudio".
        overrides: Fields of `TrainArguments` to set otherwise than decided.
        overwrite: Remove an earlier fine-tuning in `out`.

    Raises:
        OVPartsError: Something cannot be used; nothing has been written then.
        TrainingInterrupted: SIGINT or SIGTERM was received; a checkpoint is saved.
    """
    request = FineTuningRequest(
        str(data), Path(out), None if model is None else str(model), shots, time, seed, overrides or {}
    )
    folder = None if unlabelled is None else user_path(unlabelled)
    _check_folder(request.out)
    check_suggestion(count, formats)
    if folder is not None:
        images_to_label(folder, request.out)
    with writer_lock(request.out / _LOCK, request.out):
        plan = None if overwrite else Plan.read(request)
        if plan is None:
            plan = draft_plan(request)
            if folder is not None:
                _check_segments_images(plan)
            _clear(request.out)
            plan.write(request)
        logger.info("%s", plan.table())
        fine_tuned = _carry_out(plan, request.out)
        if folder is not None:
            _suggest(fine_tuned.model, folder, request.out / LABEL_NEXT, count, formats)
    return fine_tuned


def _check_folder(out: Path) -> None:
    """Refuses a folder that holds anything but an earlier fine-tuning, which its plan tells from other things."""
    if out.exists() and not out.is_dir():
        raise ConfigurationError(f"{out} is a file; name a folder.")
    known = {*_FILES, *_FOLDERS} if (out / PLAN).is_file() else set()
    names = (path.name for path in out.iterdir()) if out.exists() else ()
    others = sorted(name for name in names if name not in known and not name.startswith("."))
    if others:
        raise ConfigurationError(f"{out} holds other files, such as {others[0]!r}; name a new or empty folder.")


def _check_segments_images(plan: Plan) -> None:
    source = ModelSource(plan.arguments.model, plan.arguments.family)
    if getattr(source.config(), "object_mask_prompt", False):
        raise ConfigurationError(
            "The model needs the mask of each object, so it cannot look for what to label in whole images. Leave the "
            "unlabelled images out, or start from another model."
        )


def _clear(out: Path) -> None:
    for name in _FILES:
        (out / name).unlink(missing_ok=True)
    for name in _FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)


def _carry_out(plan: Plan, out: Path) -> FineTuned:
    """Does what is not done yet, and describes the result."""
    arguments = plan.arguments
    with cpu_threads(arguments.threads):
        before = _score_start(plan, out / _RESULTS["before"]) if plan.scores_start else None
        try:
            run = train(replace(arguments, resume=True))
        except TrainingInterrupted:
            logger.warning("The same call continues the fine-tuning in %s.", out)
            raise
        model_folder = run / "best" if (run / "best").exists() else run / "last"
        predictor = _predictor(plan, *load_model(model_folder))
        scores: list[RecordScore] = []
        after = evaluate(predictor, arguments.task, max_images=plan.max_images, scores=scores, seed=arguments.seed)
        after.to_json(out / _RESULTS["after"])
        after.to_csv(out / "classes.csv")
        galleries = build_galleries(predictor, arguments.task, scores=scores)
        report = out / "report" / "index.html"
        results = {"fine-tuned": after, **({} if before is None else {"before": before})}
        title = f"Fine-tuning on {predictor.dataset.taxonomy.name}"
        write_report(report, list(results.values()), galleries, _commands(plan, out), title, list(results))
        predictor.dataset = plan.trained_dataset()
        review_training(predictor, arguments.task, out)
    write_folder_card(model_folder, [after], default_name(out.resolve()), overwrite=True)
    return FineTuned(model_folder, before, after, report, plan)


def _score_start(plan: Plan, path: Path) -> BenchmarkResult:
    """The score of what training starts from, or what an interrupted call has stored of it."""
    if path.is_file():
        return BenchmarkResult.from_json(path)
    arguments = plan.arguments
    set_seed(arguments.seed)  # for weights that are random
    model, processor = ModelSource(arguments.model, arguments.family).load(**arguments.config)
    model.config.trained_on = None  # that it was trained on something else is the point
    predictor = _predictor(plan, model, processor)
    result = evaluate(predictor, arguments.task, max_images=plan.max_images, seed=arguments.seed)
    result.to_json(path)
    return result


def _predictor(plan: Plan, model: Any, processor: Any) -> Predictor:
    return Predictor(
        model.to(usable_device(None)), processor, plan.scored_dataset(), batch_size=plan.arguments.eval_batch_size
    )


def _commands(plan: Plan, out: Path) -> list[str]:
    """What makes the same model again, and scores it."""
    arguments, root = plan.arguments, Path(public_name(str(out)))
    data = public_name(arguments.data)
    commands = [f"ovparts train --recipe {root / RECIPE} output={root}-again"]
    if not plan.scores_held_out:
        name = "best" if arguments.eval_every else "last"
        commands.append(f"ovparts evaluate {root}-again/{name} {data} --task {arguments.task}")
    return commands


def _suggest(model: Path, folder: Path, out: Path, count: int, formats: Sequence[str]) -> None:
    suggest_labelling(PartSegmenter.from_pretrained(model), folder, out, count=count, formats=formats, overwrite=True)
