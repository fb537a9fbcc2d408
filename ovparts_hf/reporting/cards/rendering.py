"""From facts to cards, the README.md of a repository: a YAML header, and Markdown from a template."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import yaml
from huggingface_hub import CardData, DatasetCardData, EvalResult, ModelCardData

from ...errors import ConfigurationError
from ...evaluation.results import COLUMNS, BenchmarkResult, markdown_table
from ...evaluation.stored_result import map_leaves
from ...models.auto import config_class
from ...taxonomy import TAXONOMIES
from ...utils.files import public_name, template_environment
from ..paper import SETTINGS, published
from .facts import DATASETS, ModelFacts, dataset_facts

DATASET_CARDS = {name: name.replace("-", "_") for name in DATASETS}
"""Dataset -> the folder of `dataset_builders` with its card."""
METRIC = "ovparts/part_miou"
_SETTINGS = {**SETTINGS, "pred_all": "Pred-All"}


def model_card(facts: ModelFacts, results: Sequence[BenchmarkResult] = ()) -> str:
    """The card of a model; only what was measured, `results`, becomes its `model-index`."""
    model_type = config_class(facts.family).model_type
    for result in results:
        if result.model.get("type") != model_type:
            raise ConfigurationError(
                f"The result is of {result.model.get('name')!r}, a model of type {result.model.get('type')!r}, but "
                f"{facts.name!r} is of type {model_type!r}. Give results of this model."
            )
    unofficial = [result for result in results if result.unofficial]
    if unofficial:
        raise ConfigurationError(
            f"A result of {unofficial[0].model.get('name')!r} was {unofficial[0].unofficial}, which the benchmark does "
            "not do. Evaluate again without --decode for the card."
        )
    unconfirmed = [*(weights.unconfirmed for weights in facts.weights), facts.data.unconfirmed if facts.data else ""]
    unconfirmed.append("the licence of the checkpoint" if facts.authors and facts.origin == "released" else "")
    return _render(
        _metadata(facts, results),
        [f"{facts.family}/model_card.j2", "model_card.md.j2"],
        facts=facts,
        model_type=model_type,
        published=_published_table(facts),
        reruns=_reruns(facts),
        results=results,
        settings=_SETTINGS,
        dataset_facts=dataset_facts,
        unconfirmed=list(dict.fromkeys(filter(None, unconfirmed))),
    )


def dataset_card(name: str) -> str:
    """The card of a dataset, with `{counts}` where `ovparts prepare` puts a table of the splits."""
    taxonomy, facts = TAXONOMIES[name], DATASETS[name]
    licence = {"license": "other", "license_name": facts.license_name, "license_link": facts.terms}
    metadata = DatasetCardData(
        pretty_name=facts.title,
        task_categories=["image-segmentation"],
        tags=["part-segmentation", "open-vocabulary", *([] if facts.terms else ["synthetic"])],
        size_categories=[facts.size],
        **(licence if facts.terms else {"license": "apache-2.0"}),
    )
    with_parts = {taxonomy.object_classes[object_id] for object_id in taxonomy.part_object_ids}
    return _render(
        metadata,
        [f"dataset_card_{name}.j2"],
        taxonomy=taxonomy,
        title=facts.title,
        unseen=[name for name in taxonomy.object_classes if name in with_parts - set(taxonomy.seen_objects)],
        partless=[name for name in taxonomy.object_classes if name not in with_parts],
    )


def _render(metadata: CardData, templates: Sequence[str], **values: Any) -> str:
    """Fills in the first of the templates that exists; a value that it lacks is an error, and nothing is escaped."""
    environment = template_environment("ovparts_hf.reporting", autoescape=False, folders_of="ovparts_hf.models")
    environment.filters["listed"] = _listed
    environment.filters["quoted"] = shlex.quote
    environment.filters["options"] = _options
    environment.filters["yaml"] = partial(yaml.safe_dump, sort_keys=False, allow_unicode=True, width=120)
    text = environment.select_template(templates).render(**values)
    return f"---\n{metadata.to_yaml()}\n---\n\n" + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def without_machine(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, however deep, without what only one machine knows: its folders."""
    return map_leaves(values, lambda value: public_name(value) if isinstance(value, str) else value)


def _listed(weights: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" if "/" in name else name for name in weights)


def _options(values: Mapping[str, Any]) -> str:
    return ", ".join(f"`{key}` {json.dumps(value)}" for key, value in without_machine(values).items())


def _metadata(facts: ModelFacts, results: Sequence[BenchmarkResult]) -> ModelCardData:
    """What the Hub reads: licence, task, where the model comes from, and measured numbers if there are any."""
    measured = [line for result in results if not result.partial for line in _eval_results(result)]
    trained_on = facts.trained_on and facts.trained_on.name
    vocabulary = "open-vocabulary" if facts.open_vocabulary else "closed-vocabulary"
    return ModelCardData(
        **_licence(facts),
        library_name="transformers",
        pipeline_tag="image-segmentation",
        base_model=[name for name in facts.starts_from if "/" in name] or None,
        datasets=[f"ovparts/{trained_on}"] if trained_on in DATASETS else None,
        metrics=[METRIC],
        tags=["ovparts", "part-segmentation", vocabulary],
        **({"model_name": facts.name, "eval_results": measured} if measured else {}),
    )


def _licence(facts: ModelFacts) -> dict[str, str]:
    if facts.is_toy:
        return {"license": "apache-2.0"}
    if not facts.research_only:
        return {"license": "other", "license_name": "not-stated"}
    link = facts.data.terms if facts.data else next(weights.terms for weights in facts.weights if weights.terms)
    return {"license": "other", "license_name": "research-only", "license_link": link}


def _reruns(facts: ModelFacts) -> list[dict[str, Any]]:
    """What others measured for these very numbers."""
    if facts.origin != "released" or facts.task != "zero_shot":
        return []
    tested, reruns = {line.dataset for line in facts.published}, published()["independent_reruns"]
    return [row for row in reruns if row["model"] == facts.model and row["dataset"] in tested]


def _published_table(facts: ModelFacts) -> str | None:
    if not facts.published:
        return None
    rows = [["test dataset", "setting", *facts.published[0].values]]
    for line in facts.published:
        numbers = ["-" if value is None else f"{value:.2f}" for value in line.values.values()]
        rows.append([dataset_facts(line.dataset).title, _SETTINGS[line.setting], *numbers])
    return markdown_table(rows)


def _eval_results(result: BenchmarkResult) -> Iterator[EvalResult]:
    name = result.dataset["name"]
    sizes = {key: value for key, value in result.dataset.items() if key in ("num_images", "num_records", "fingerprint")}
    arguments = {"task": result.task, "setting": result.setting, **sizes}
    for flavour, numbers in result.numbers().items():
        definition = result.flavour if flavour == "official" else flavour
        for key in COLUMNS:
            value = numbers.get(key, math.nan)
            if not math.isnan(value):
                yield EvalResult(
                    task_type="image-segmentation",
                    task_name="Part segmentation",
                    dataset_type=f"ovparts/{name}" if name in DATASETS else name,
                    dataset_name=dataset_facts(name).title,
                    dataset_split="validation",
                    metric_type=METRIC,
                    metric_name=f"{key}, {definition} ({result.task}, {result.setting})",
                    metric_value=round(value, 4),
                    metric_args={**arguments, "flavour": definition},
                )
