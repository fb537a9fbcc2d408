"""The card of a model: README.md of its repository."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from ...errors import ConfigurationError
from ...evaluation.results import COLUMNS, BenchmarkResult, markdown_table
from ...models.auto import config_class
from ..paper import published
from .facts import TERMS, TITLES, ModelFacts
from .markdown import render

METRIC = "ovparts/part_miou"
_SETTINGS = {"oracle_obj": "Oracle-Obj", "pred_obj": "Pred-Obj", "pred_all": "Pred-All"}
_STOCK_TERMS = {
    "clipseg": "https://github.com/timojl/clipseg/issues/35",
    "catseg": "https://huggingface.co/hamacojr/CAT-Seg",
}
"""Where the terms of stock weights are, or are asked for."""


def model_card(facts: ModelFacts, results: Sequence[BenchmarkResult] = ()) -> str:
    """Writes a card.

    Args:
        facts: What is known about the model.
        results: What was measured with it; only this becomes its `model-index`.

    Returns:
        The text of README.md.

    Raises:
        ConfigurationError: A result belongs to a model of another family.
    """
    for result in results:
        check_result(facts, result)
    text = render(
        "model_card.md.j2",
        facts=facts,
        model_type=config_class(facts.family).model_type,
        unseen=_unseen_objects(facts),
        published=_published_table(facts),
        reruns=_reruns(facts),
        results=results,
        settings=_SETTINGS,
        titles=TITLES,
        terms=TERMS,
    )
    return f"---\n{metadata(facts, results).to_yaml()}\n---\n\n{text}"


def metadata(facts: ModelFacts, results: Sequence[BenchmarkResult] = ()) -> ModelCardData:
    """What the Hub reads: licence, task, where the model comes from, and measured numbers if there are any."""
    measured = [each for result in results for each in _eval_results(result)]
    trained_on = facts.trained_on and facts.trained_on.name
    return ModelCardData(
        **_licence(facts),
        library_name="transformers",
        pipeline_tag="image-segmentation",
        base_model=list(facts.starts_from) or None,
        datasets=[f"ovparts/{trained_on}"] if trained_on in TITLES else None,
        metrics=[METRIC],
        tags=[
            "ovparts",
            "part-segmentation",
            "open-vocabulary" if facts.family != "maskformer" else "closed-vocabulary",
        ],
        **({"model_name": facts.name, "eval_results": measured} if measured else {}),
    )


def check_result(facts: ModelFacts, result: BenchmarkResult) -> None:
    """Refuses numbers of another kind of model.

    Raises:
        ConfigurationError: The families differ.
    """
    expected = config_class(facts.family).model_type
    if result.model.get("type") != expected:
        raise ConfigurationError(
            f"The result is of {result.model.get('name')!r}, a model of type {result.model.get('type')!r}, but "
            f"{facts.name!r} is of type {expected!r}. Give results of this model."
        )


def _licence(facts: ModelFacts) -> dict[str, str]:
    if facts.is_toy:
        return {"license": "apache-2.0"}
    if not facts.research_only:
        return {"license": "other", "license_name": "not-stated"}
    link = _STOCK_TERMS[facts.family] if facts.trained_on is None else TERMS[facts.trained_on.name]
    return {"license": "other", "license_name": "research-only", "license_link": link}


def _unseen_objects(facts: ModelFacts) -> list[str]:
    """The objects of the training data whose parts are not seen; those without parts are neither."""
    data = facts.trained_on
    if data is None:
        return []
    return list(dict.fromkeys(data.object_classes[data.object_of(part)] for part in data.unseen_part_ids))


def _reruns(facts: ModelFacts) -> list[dict[str, Any]]:
    """What others got for these very numbers."""
    if facts.origin != "released" or facts.task != "zero_shot":
        return []
    tested = {line.dataset for line in facts.published}
    return [
        row for row in published()["independent_reruns"] if row["model"] == facts.model and row["dataset"] in tested
    ]


def _published_table(facts: ModelFacts) -> str | None:
    if not facts.published:
        return None
    headings = list(facts.published[0].values)
    lines = [["test dataset", "setting", *headings]]
    for each in facts.published:
        numbers = ["-" if value is None else f"{value:.2f}" for value in each.values.values()]
        lines.append([TITLES[each.dataset], _SETTINGS[each.setting], *numbers])
    return markdown_table(lines)


def _eval_results(result: BenchmarkResult) -> Iterator[EvalResult]:
    name = result.dataset["name"]
    asked = {"task": result.task, "setting": result.setting}
    arguments: dict[str, Any] = {
        **asked,
        **{key: result.dataset[key] for key in ("num_images", "num_records", "fingerprint") if key in result.dataset},
    }
    for flavour, numbers in result.numbers().items():
        definition = result.flavour if flavour == "official" else flavour
        for key in COLUMNS:
            value = numbers.get(key, math.nan)
            if not math.isnan(value):
                yield EvalResult(
                    task_type="image-segmentation",
                    task_name="Part segmentation",
                    dataset_type=f"ovparts/{name}" if name in TITLES else name,
                    dataset_name=TITLES.get(name, name),
                    dataset_split="validation",
                    metric_type=METRIC,
                    metric_name=f"{key}, {definition} ({result.task}, {result.setting})",
                    metric_value=round(value, 4),
                    metric_args={**arguments, "flavour": definition},
                )
