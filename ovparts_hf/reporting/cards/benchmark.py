"""The models of the OV-PARTS benchmark: one for each row of its tables of results and of released checkpoints.

Rows of the same weights are one model: a model that is not fine-tuned is tested on both datasets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..paper import published
from .facts import TAXONOMIES, TITLES, ModelFacts, PublishedNumbers

CLIP = "openai/clip-vit-base-patch16"
_CLIPSEG = published()["starting_checkpoints"]["CLIPSeg"]
_CATSEG = published()["starting_checkpoints"]["CATSeg"].split()[0]
_RESNET = "microsoft/resnet-50"
_SETTINGS = ("oracle_obj", "pred_obj")
_TASK_TITLES = {
    "zero_shot": "zero-shot",
    "few_shot": "few-shot",
    "cross_dataset": "cross-dataset",
    "supervised": "supervised",
}


@dataclass(frozen=True)
class Baseline:
    """What a row of the tables is here.

    Attributes:
        prefix: Beginning of the names of its models.
        family: A key of `auto.FAMILIES`.
        model: Name in the tables.
        backbone: Likewise.
        finetuning: Likewise; None for "-".
        starts_from: Hub ids of the weights that the recipe starts from.
        recipe: Name of its recipes; None: it is not fine-tuned.
        prompts: Name of the recipes that tune its prompts, or None.
        has_checkpoint: Whether the rows of released checkpoints that name the model mean this one.
        suffix: End of the names of its models.
    """

    prefix: str
    family: str
    model: str
    backbone: str
    finetuning: str | None
    starts_from: tuple[str, ...]
    recipe: str | None = None
    prompts: str | None = None
    has_checkpoint: bool = False
    suffix: str = ""

    @property
    def title(self) -> str:
        """The name with what tells it from others of this name."""
        details = {"ZSseg+": f"{self.backbone}, {self.finetuning}", "CLIPSeg": self.finetuning}.get(self.model)
        return f"{self.model} ({details})" if details else self.model


BASELINES = (
    Baseline("maskformer", "maskformer", "MaskFormer", "ResNet-50", "fully supervised", (_RESNET,), "maskformer"),
    Baseline("zsseg", "zsseg", "ZSseg", "ResNet-50", None, (CLIP, _RESNET), "zsseg_r50"),
    Baseline(
        "zsseg-plus-cptcoop",
        "zsseg",
        "ZSseg+",
        "ResNet-50",
        "CPTCoOp",
        (CLIP,),
        "zsseg+_r50_cptcoop",
        "cptcoop",
        has_checkpoint=True,
    ),
    Baseline(
        "zsseg-plus-cptcocoop",
        "zsseg",
        "ZSseg+",
        "ResNet-50",
        "CPTCoCoOp",
        (CLIP, _RESNET),
        "zsseg+_r50_cptcocoop",
        "cptcocoop",
    ),
    Baseline(
        "zsseg-plus-r101c-cptcoop",
        "zsseg",
        "ZSseg+",
        "ResNet-101c",
        "CPTCoOp",
        (CLIP,),
        "zsseg+_r101c_cptcoop",
        "cptcoop",
    ),
    Baseline("catseg", "catseg", "CATSeg", "ResNet-101 + ViT-B/16", None, (_CATSEG, CLIP)),
    Baseline(
        "catseg", "catseg", "CATSeg", "ResNet-101 + ViT-B/16", "B+D", (_CATSEG, CLIP), "catseg", has_checkpoint=True
    ),
    Baseline("clipseg", "clipseg", "CLIPSeg", "ViT-B/16", None, (_CLIPSEG,)),
    Baseline("clipseg", "clipseg", "CLIPSeg", "ViT-B/16", "VA+L+F+D", (_CLIPSEG,), "clipseg", has_checkpoint=True),
    Baseline("clipseg", "clipseg", "CLIPSeg", "ViT-B/16", "VA+L+F", (_CLIPSEG,), "clipseg", suffix="-va-l-f"),
)


def benchmark_models() -> dict[str, ModelFacts]:
    """All models by name."""
    return {facts.name: facts for facts in (*_not_fine_tuned(), *_zero_shot(), *_cross_dataset(), *_few_shot())}


def is_released(baseline: Baseline, task: str, dataset: str) -> bool:
    """Whether the authors released a checkpoint."""
    return baseline.has_checkpoint and any(
        (row["model"], row["setting"]) == (baseline.model, task) and dataset in row["datasets"]
        for row in published()["released_checkpoints"]
    )


def find_baseline(row: dict[str, Any]) -> Baseline:
    """What a row of the tables is here; the cross-dataset table names no backbone, and no fine-tuning of CATSeg."""
    finetuning = row.get("finetuning", "B+D")
    [found] = [
        each
        for each in BASELINES
        if (each.model, each.finetuning) == (row["model"], finetuning)
        and row.get("backbone", each.backbone) == each.backbone
    ]
    return found


def _rows() -> Iterator[tuple[Baseline, str, tuple[PublishedNumbers, ...]]]:
    for dataset, rows in published()["zero_shot"].items():
        for row in rows:
            headings = ("seen", "unseen", "harmonic")
            lines = [PublishedNumbers(dataset, each, dict(zip(headings, row[each]))) for each in _SETTINGS]
            yield find_baseline(row), dataset, tuple(lines)


def _not_fine_tuned() -> Iterator[ModelFacts]:
    found: dict[Baseline, tuple[PublishedNumbers, ...]] = {}
    for baseline, _, numbers in _rows():
        if baseline.recipe is None:
            found[baseline] = found.get(baseline, ()) + numbers
    for baseline, numbers in found.items():
        name = f"{baseline.prefix}-not-fine-tuned"
        if baseline.family == "clipseg":  # stock weights load as they are
            location, commands = _CLIPSEG, ()
        else:
            location = f"models/{name}"
            commands = (f"ovparts convert catseg model_final_base.pth {location} --base {CLIP}",)
        yield ModelFacts(
            name,
            f"{baseline.model}, not fine-tuned for parts",
            baseline.family,
            "stock",
            baseline.model,
            location,
            baseline.backbone,
            evaluations=tuple(
                (f"data/{each}", "zero_shot") for each in dict.fromkeys(line.dataset for line in numbers)
            ),
            starts_from=baseline.starts_from,
            commands=commands,
            published=numbers,
        )


def _zero_shot() -> Iterator[ModelFacts]:
    for baseline, dataset, numbers in _rows():
        if baseline.recipe is not None:
            task = "supervised" if baseline.family == "maskformer" else "zero_shot"
            yield _fine_tuned(baseline, task, dataset, numbers)


def _cross_dataset() -> Iterator[ModelFacts]:
    table = published()["cross_dataset"]
    for row in table["rows"]:
        numbers = tuple(
            PublishedNumbers(table[role], setting, {"mIoU": row[key][setting]})
            for key, role in (("source", "train"), ("target", "test"))
            for setting in _SETTINGS
        )
        yield _fine_tuned(find_baseline(row), "cross_dataset", table["train"], numbers)


def _few_shot() -> Iterator[ModelFacts]:
    for row in published()["released_checkpoints"]:
        if row["setting"] == "few_shot":
            [baseline] = [each for each in BASELINES if each.model == row["model"] and each.has_checkpoint]
            yield from (_fine_tuned(baseline, "few_shot", dataset, ()) for dataset in row["datasets"])


def _fine_tuned(baseline: Baseline, task: str, dataset: str, numbers: tuple[PublishedNumbers, ...]) -> ModelFacts:
    name = f"{baseline.prefix}-{dataset}-{_TASK_TITLES[task]}{baseline.suffix}"
    released = is_released(baseline, task, dataset)
    tested = dict.fromkeys([*(line.dataset for line in numbers), dataset])
    facts = dict(
        name=name,
        title=f"{baseline.title}, {TITLES[dataset]}, {_TASK_TITLES[task]}",
        family=baseline.family,
        origin="released" if released else "recipe",
        model=baseline.model,
        location=f"models/{name}",
        backbone=baseline.backbone,
        finetuning=baseline.finetuning,
        task=task,
        trained_on=TAXONOMIES[dataset],
        evaluations=tuple((f"data/{each}", task) for each in tested),
        starts_from=baseline.starts_from,
        training=_training(baseline, task, dataset),
        published=numbers,
    )
    if released:
        return ModelFacts(commands=(_convert(baseline, f"models/{name}", dataset, tuple(tested)),), **facts)
    return ModelFacts(**facts | {"location": _output(baseline, task, dataset) + "/last"})


def _convert(baseline: Baseline, out: str, dataset: str, tested: tuple[str, ...]) -> str:
    command = f"ovparts convert {baseline.family} model_final.pth {out}"
    return {
        "clipseg": f"{command} --base {_CLIPSEG}",
        "catseg": f"{command} --base {CLIP} --vocabulary {' '.join(tested)}",
        "zsseg": f"{command} --base {CLIP} --trained-on {dataset} --set num_queries=50",
    }[baseline.family]


def _training(baseline: Baseline, task: str, dataset: str) -> tuple[str, ...]:
    folder = f"examples/recipes/{dataset}/{task}"
    command = f"ovparts train --recipe {folder}/{baseline.recipe}.yaml"
    if baseline.family == "catseg":
        base = f"ovparts convert catseg model_final_base.pth models/catseg-base --base {CLIP}"
        return base, command
    if baseline.prompts is not None:
        return f"python examples/tune_prompts.py --recipe {folder}/{baseline.prompts}.yaml", command
    if baseline.suffix:
        return (f"{command} trainable={baseline.finetuning} output={_output(baseline, task, dataset)}",)
    return (command,)


def _output(baseline: Baseline, task: str, dataset: str) -> str:
    """The `output` of the recipe."""
    return (Path("outputs") / dataset / task / f"{baseline.recipe}{baseline.suffix}").as_posix()


BENCHMARK_MODELS = benchmark_models()
