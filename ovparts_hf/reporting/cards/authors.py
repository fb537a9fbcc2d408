"""The models that the authors of further families trained: one for each dataset that they have a configuration for.

What they are, their families say themselves (`FamilyFacts.authors`).
"""

from __future__ import annotations

from collections.abc import Iterator

from ...models.auto import FAMILIES, family_facts
from ...taxonomy import TAXONOMIES
from .facts import DATASETS, ModelFacts

_TASK = "zero_shot"


def models_of_authors() -> Iterator[ModelFacts]:
    """All of them, family by family. No number of the papers is at hand as text, so they have none."""
    for family in FAMILIES:
        authors = family_facts(family).authors
        if authors is not None:
            yield from (_model(family, dataset) for dataset in authors.checkpoints)


def _model(family: str, dataset: str) -> ModelFacts:
    about = family_facts(family)
    authors = about.authors
    name = f"{family}-{dataset}-zero-shot"
    output = f"outputs/{dataset}/{_TASK}/{family}"  # as the recipe says
    origin, location, commands = "recipe", f"{output}/last", ()
    if checkpoint := authors.checkpoints[dataset]:
        origin, location = "released", f"models/{name}"
        options = " ".join(filter(None, (authors.convert, authors.dataset_options.get(dataset))))
        commands = (f"ovparts convert {family} {checkpoint} {location} {options.format(dataset=dataset)}".rstrip(),)
    train = f"ovparts train --recipe examples/recipes/{dataset}/{_TASK}/{family}.yaml"
    scored = [f"--task {_TASK}{setting} --metrics {authors.metrics}" for setting in ("", " --setting pred_all")]
    return ModelFacts(
        name,
        f"{about.title}, {DATASETS[dataset].title}, zero-shot",
        family,
        origin,
        about.title,
        location,
        authors.backbone,
        authors.finetuning,
        _TASK,
        TAXONOMIES[dataset],
        evaluations=tuple((f"data/{dataset}", options) for options in scored),
        starts_from=authors.starts_from,
        commands=commands,
        training=tuple(filter(None, (authors.preparation, train))),
    )
