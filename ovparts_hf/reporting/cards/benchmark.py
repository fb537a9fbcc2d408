"""The models of the OV-PARTS benchmark: one for each row of its tables of results and of released checkpoints.

Rows of the same weights are one model: a model that is not fine-tuned is tested on both datasets. Those that other
authors trained for its tasks follow (`authors.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...models.catseg.facts import CATSEG
from ...models.clipseg.facts import CLIPSEG
from ...taxonomy import TAXONOMIES
from ..paper import SETTINGS, published
from .authors import models_of_authors
from .facts import CLIP, DATASETS, IMAGENET_RESNET, RESNET, ModelFacts, PublishedNumbers

_ZSSEG_PLUS_OPTIONS = f"--base {CLIP} --trained-on {{dataset}} --set num_queries=50"
_CATSEG_BASE = f"ovparts convert catseg model_final_base.pth models/catseg-base --base {CLIP}"


@dataclass(frozen=True)
class Baseline:
    """What a row of the tables is here."""

    prefix: str  # of the names of its models
    family: str
    model: str  # this and the next two as in the tables; None stands for "-"
    backbone: str
    finetuning: str | None
    starts_from: tuple[str, ...]  # keys of WEIGHTS
    recipe: str | None = None  # None: it is not fine-tuned
    details: str = ""  # what distinguishes it from others of this name
    convert: str | None = None  # options that convert its checkpoint; None: none was released
    preparation: str | None = None  # command before training
    suffix: str = ""  # of the names of its models
    task: str = "zero_shot"  # in the zero-shot tables


def _zsseg_plus(
    name: str, backbone: str, finetuning: str, weights: tuple[str, ...], convert: str | None = None
) -> Baseline:
    return Baseline(
        f"zsseg-plus-{name.removeprefix('r50_').replace('_', '-')}",
        "zsseg",
        "ZSseg+",
        backbone,
        finetuning,
        weights,
        f"zsseg+_{name}",
        details=f"{backbone}, {finetuning}",
        convert=convert,
        preparation=f"python examples/tune_prompts.py --recipe {{recipes}}/{finetuning.lower()}.yaml",
    )


def _clipseg(finetuning: str | None, **changes: Any) -> Baseline:
    return Baseline("clipseg", "clipseg", "CLIPSeg", "ViT-B/16", finetuning, (CLIPSEG,), **changes)


def _catseg(finetuning: str | None, **changes: Any) -> Baseline:
    return Baseline("catseg", "catseg", "CATSeg", "ResNet-101 + ViT-B/16", finetuning, (CATSEG, CLIP), **changes)


_R50, _SUPERVISED = "ResNet-50", "fully supervised"
BASELINES = (
    Baseline("maskformer", "maskformer", "MaskFormer", _R50, _SUPERVISED, (RESNET,), "maskformer", task="supervised"),
    Baseline("zsseg", "zsseg", "ZSseg", _R50, None, (CLIP, RESNET), "zsseg_r50"),
    _zsseg_plus("r50_cptcoop", _R50, "CPTCoOp", (CLIP, IMAGENET_RESNET), _ZSSEG_PLUS_OPTIONS),
    _zsseg_plus("r50_cptcocoop", _R50, "CPTCoCoOp", (CLIP, RESNET)),
    _zsseg_plus("r101c_cptcoop", "ResNet-101c", "CPTCoOp", (CLIP, IMAGENET_RESNET)),
    _catseg(None, convert=f"--base {CLIP}"),
    _catseg("B+D", recipe="catseg", convert=f"--base {CLIP} --vocabulary {{datasets}}", preparation=_CATSEG_BASE),
    _clipseg(None),
    _clipseg("VA+L+F+D", recipe="clipseg", details="VA+L+F+D", convert=f"--base {CLIPSEG}"),
    _clipseg("VA+L+F", recipe="clipseg", details="VA+L+F", suffix="-va-l-f"),
)


def benchmark_models() -> dict[str, ModelFacts]:
    """All models by name."""
    of_tables = (*_not_fine_tuned(), *_zero_shot(), *_cross_dataset(), *_few_shot())
    return {facts.name: facts for facts in (*of_tables, *models_of_authors())}


def _find_baseline(row: dict[str, Any]) -> Baseline:
    """What a row of the tables is here; the cross-dataset table names no backbone, and no fine-tuning of CATSeg."""
    finetuning = row.get("finetuning", "B+D")
    [found] = [
        baseline
        for baseline in BASELINES
        if (baseline.model, baseline.finetuning) == (row["model"], finetuning)
        and row.get("backbone", baseline.backbone) == baseline.backbone
    ]
    return found


def _is_released(baseline: Baseline, task: str, dataset: str) -> bool:
    return baseline.convert is not None and any(
        (row["model"], row["setting"]) == (baseline.model, task) and dataset in row["datasets"]
        for row in published()["released_checkpoints"]
    )


def _rows() -> Iterator[tuple[Baseline, str, tuple[PublishedNumbers, ...]]]:
    for dataset, rows in published()["zero_shot"].items():
        for row in rows:
            numbers = ((setting, dict(zip(("seen", "unseen", "harmonic"), row[setting]))) for setting in SETTINGS)
            yield _find_baseline(row), dataset, tuple(PublishedNumbers(dataset, *pair) for pair in numbers)


def _not_fine_tuned() -> Iterator[ModelFacts]:
    found: dict[Baseline, tuple[PublishedNumbers, ...]] = {}
    for baseline, _, numbers in _rows():
        if baseline.recipe is None:
            found[baseline] = found.get(baseline, ()) + numbers
    for baseline, numbers in found.items():
        name = f"{baseline.prefix}-not-fine-tuned"
        location, commands = baseline.starts_from[0], ()  # stock weights that load as they are
        if baseline.convert is not None:
            location = f"models/{name}"
            commands = (f"ovparts convert {baseline.family} model_final_base.pth {location} {baseline.convert}",)
        yield ModelFacts(
            name,
            f"{baseline.model}, not fine-tuned for parts",
            baseline.family,
            "stock",
            baseline.model,
            location,
            baseline.backbone,
            evaluations=tuple((f"data/{name}", "--task zero_shot") for name in _datasets(numbers)),
            starts_from=baseline.starts_from,
            commands=commands,
            published=numbers,
        )


def _zero_shot() -> Iterator[ModelFacts]:
    for baseline, dataset, numbers in _rows():
        if baseline.recipe is not None:
            yield _fine_tuned(baseline, baseline.task, dataset, numbers)


def _cross_dataset() -> Iterator[ModelFacts]:
    table = published()["cross_dataset"]
    for row in table["rows"]:
        numbers = tuple(
            PublishedNumbers(table[role], setting, {"mIoU": row[key][setting]})
            for key, role in (("source", "train"), ("target", "test"))
            for setting in SETTINGS
        )
        yield _fine_tuned(_find_baseline(row), "cross_dataset", table["train"], numbers)


def _few_shot() -> Iterator[ModelFacts]:
    for row in published()["released_checkpoints"]:
        if row["setting"] == "few_shot":
            [baseline] = [b for b in BASELINES if b.model == row["model"] and b.recipe and b.convert]
            yield from (_fine_tuned(baseline, "few_shot", dataset, ()) for dataset in row["datasets"])


def _fine_tuned(baseline: Baseline, task: str, dataset: str, numbers: tuple[PublishedNumbers, ...]) -> ModelFacts:
    task_title = task.replace("_", "-")
    name = f"{baseline.prefix}-{dataset}-{task_title}{baseline.suffix}"
    title = f"{baseline.model} ({baseline.details})" if baseline.details else baseline.model
    tested = _datasets(numbers) or [dataset]
    output = f"outputs/{dataset}/{task}/{baseline.recipe}{baseline.suffix}"  # as the recipe says
    origin, location, commands = "recipe", f"{output}/last", ()
    if _is_released(baseline, task, dataset):
        origin, location = "released", f"models/{name}"
        options = baseline.convert.format(dataset=dataset, datasets=" ".join(tested))
        commands = (f"ovparts convert {baseline.family} model_final.pth {location} {options}",)
    return ModelFacts(
        name,
        f"{title}, {DATASETS[dataset].title}, {task_title}",
        baseline.family,
        origin,
        baseline.model,
        location,
        baseline.backbone,
        baseline.finetuning,
        task,
        TAXONOMIES[dataset],
        evaluations=tuple((f"data/{name}", f"--task {task}") for name in tested),
        starts_from=baseline.starts_from,
        commands=commands,
        training=_training(baseline, f"examples/recipes/{dataset}/{task}", output),
        published=numbers,
    )


def _training(baseline: Baseline, recipes: str, output: str) -> tuple[str, ...]:
    command = f"ovparts train --recipe {recipes}/{baseline.recipe}.yaml"
    if baseline.suffix:  # a variant of the recipe
        command += f" trainable={baseline.finetuning} output={output}"
    return (command,) if baseline.preparation is None else (baseline.preparation.format(recipes=recipes), command)


def _datasets(numbers: tuple[PublishedNumbers, ...]) -> list[str]:
    return list(dict.fromkeys(line.dataset for line in numbers))


BENCHMARK_MODELS = benchmark_models()
