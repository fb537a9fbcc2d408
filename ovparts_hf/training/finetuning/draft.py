"""Drafts the plan of a fine-tuning: looks at the data, loads the model, measures the machine."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate.utils import set_seed

from ...data.few_shot import FewShotList
from ...data.held_out import hold_out
from ...data.part_dataset import PartDataset
from ...data.records import by_image
from ...errors import ConfigurationError
from ...evaluation.predictor import Predictor
from ...inference.placement import usable_device
from ...models.auto import FAMILIES
from ...models.loading import ModelSource
from ...taxonomy.tasks import get_task
from ...utils.durations import format_duration
from ..arguments import TrainArguments
from ..setup import TrainingSetup
from ..threads import cpu_threads
from .facts import DataFacts, MachineFacts, ModelFacts, choose_base, fields_of_stock
from .plan import RUN, SHOTS, Plan
from .planning import Choice, choose_settings, scored_on, stopping_every
from .request import FineTuningRequest
from .speed import seconds_per_image, seconds_per_step

_OVERHEAD = 20.0  # seconds for loading, saving and the report
_SPARE = 0.85  # share of the time for training that is planned with; machines are not always as fast as measured
_SHARE_OF_SCORING = 0.3  # of a limited time
_FEWEST_STEPS = 10


def draft_plan(request: FineTuningRequest) -> Plan:
    """Decides everything; writes nothing.

    Raises:
        OVPartsError: Data or model cannot be used, or the time is too short.
    """
    dataset = PartDataset.load(request.data)
    data = DataFacts.of(dataset)
    source, why = choose_base(request.model, data, request.overrides.get("family"))
    set_seed(request.seed)
    model, processor, fields = _load(source, request)
    facts = ModelFacts.of(str(source.name), model, processor)
    few_shot = _draw_shots(request, dataset, data)
    shot_images = None if few_shot is None else len(few_shot.image_ids)
    choices = choose_settings(data, facts, MachineFacts.here(), request.shots, shot_images, _given_steps(request))
    start = f"{facts.name} ({facts.family}, {facts.parameters / 1e6:.1f} million parameters): {why}"
    start += "; some of its weights start at random" * source.starts_at_random
    plan = Plan(
        arguments=_arguments(request, source, fields, choices),
        decisions=(("model", start), *_decisions(choices, request.overrides)),
        scores_held_out="held_out" in scored_on(data).settings,
        scores_start=facts.scores_any_class,
        few_shot=few_shot,
    )
    return _fit_to_time(plan, request, _measure(plan, (model, processor)))


def _load(source: ModelSource, request: FineTuningRequest) -> tuple[Any, Any, dict[str, Any]]:
    """The model that is the start, its processor, and the fields of its configuration that are set."""
    try:
        fields = {**fields_of_stock(source), **request.overrides.get("config", {})}
        return *source.load(**fields), fields
    except ConfigurationError as error:
        if request.model is not None and request.model not in FAMILIES:
            raise
        advice = "Name a model that is on this machine: --model FOLDER, or for drawings --model toy-trained."
        raise ConfigurationError(f"{error} {advice}") from error


def _given_steps(request: FineTuningRequest) -> int | None:
    steps = request.overrides.get("steps")
    return steps if isinstance(steps, int) and steps > 0 else None  # anything else is refused with the arguments


def _draw_shots(request: FineTuningRequest, dataset: PartDataset, data: DataFacts) -> FewShotList | None:
    if request.shots is None:
        return None
    share = request.overrides.get("held_out", scored_on(data).settings.get("held_out"))
    pool = dataset if share is None else hold_out(dataset, share, request.seed)[0]
    return FewShotList.draw(pool, request.shots, request.seed)


def _arguments(
    request: FineTuningRequest, source: ModelSource, fields: dict[str, Any], choices: list[Choice]
) -> TrainArguments:
    settings: dict[str, Any] = {"model": str(source.name), "family": source.family, "log_every": 20, "save_every": 100}
    for choice in choices:
        settings |= choice.settings
    if request.shots is not None:
        settings["few_shot_list"] = str(request.out / SHOTS)
    fixed = {"data": request.data, "output": str(request.out / RUN), "seed": request.seed, "config": fields}
    return TrainArguments.from_dict({**settings, **request.overrides, **fixed})


def _decisions(choices: list[Choice], overrides: dict[str, Any]) -> list[tuple[str, str]]:
    decisions = []
    for choice in choices:
        given = {key: overrides[key] for key in choice.settings if key in overrides}
        decisions.append((choice.topic, f"{choice.reason}{_as_given(given)}"))
    planned = {key for choice in choices for key in choice.settings}
    others = {key: value for key, value in overrides.items() if key not in planned}
    return [*decisions, ("also", _as_given(others).removeprefix("; "))] if others else decisions


def _as_given(settings: dict[str, Any]) -> str:
    return f"; as given: {', '.join(f'{key}={value}' for key, value in settings.items())}" if settings else ""


@dataclass(frozen=True)
class _Speed:
    step: float  # seconds
    image: float  # seconds to score one
    scored: int  # images
    stopping: int  # images of the evaluations during training


def _measure(plan: Plan, start: tuple[Any, Any]) -> _Speed:
    arguments = plan.arguments
    with tempfile.TemporaryDirectory() as scratch, cpu_threads(arguments.threads):
        if plan.few_shot is not None:
            plan.few_shot.to_json(Path(scratch) / SHOTS)
            arguments = replace(arguments, few_shot_list=str(Path(scratch) / SHOTS))
        setup = TrainingSetup.load(arguments)
        step = seconds_per_step(setup, arguments)
        scored = plan.scored_dataset()
        model, processor = start if plan.scores_start else (setup.model, setup.processor)
        predictor = Predictor(model.to(usable_device(None)), processor, scored, batch_size=arguments.eval_batch_size)
        image = seconds_per_image(predictor, arguments.task)
    task = get_task(arguments.task)
    stopping = setup.eval_dataset if arguments.eval_every else None
    return _Speed(step, image, _count(scored, task), 0 if stopping is None else _count(stopping, task))


def _count(dataset: PartDataset, task: Any) -> int:
    return len(by_image(dataset.evaluation_records(task)))


def _fit_to_time(plan: Plan, request: FineTuningRequest, speed: _Speed) -> Plan:
    """Takes fewer steps, and if need be scores fewer images, so that everything ends in the time that is given."""
    limit, times = request.time, 1 + plan.scores_start
    if limit is None:
        return replace(plan, seconds=_expected(plan.arguments, speed, times, speed.scored))
    images = min(speed.scored, max(1, int(_SHARE_OF_SCORING * limit / (times * speed.image))))
    budget = limit - _OVERHEAD - times * images * speed.image
    arguments = plan.arguments
    evaluations = arguments.steps / arguments.eval_every if arguments.eval_every else 0
    step = speed.step + evaluations * speed.stopping * speed.image / arguments.steps
    steps = min(arguments.steps, int(_SPARE * budget / step))
    if steps < min(_FEWEST_STEPS, arguments.steps):
        needed = (_OVERHEAD + _FEWEST_STEPS * step / _SPARE) / (1 - _SHARE_OF_SCORING)
        raise ConfigurationError(
            f"{format_duration(limit)} are too short: a step takes {speed.step:.1f} s here. Give at least --time "
            f"{round(needed) + 1}s, or a smaller model."
        )
    decisions = [*plan.decisions]
    if images < speed.scored:
        decisions.append(("scored", f"{images} of {speed.scored} images only, so that all is done in time"))
    what = f"{steps} steps instead of {arguments.steps}" if steps < arguments.steps else f"all {steps} steps"
    decisions.append(("time", f"{what}; training alone ends after {format_duration(budget)} at the latest"))
    every = stopping_every(steps) if arguments.eval_every and "eval_every" not in request.overrides else None
    arguments = replace(
        arguments,
        steps=steps,
        warmup_steps=min(arguments.warmup_steps, steps // 20),
        eval_every=arguments.eval_every if every is None else every,
        time_limit=round(budget, 1),
    )
    return replace(
        plan,
        arguments=arguments,
        decisions=tuple(decisions),
        max_images=images if images < speed.scored else None,
        seconds=_expected(arguments, speed, times, images),
    )


def _expected(arguments: TrainArguments, speed: _Speed, times: int, images: int) -> float:
    evaluations = arguments.steps // arguments.eval_every if arguments.eval_every else 0
    scoring = (times * images + evaluations * speed.stopping) * speed.image
    return _OVERHEAD + arguments.steps * speed.step + scoring
