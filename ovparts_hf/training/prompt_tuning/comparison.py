"""Tuned prompts beside hand-written ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...data.part_dataset import PartDataset
from ...models.prompts import LearnedPrompts
from ..arguments import PromptTuningArguments
from .features import StockCLIP
from .scores import classify_parts

HAND_WRITTEN = ("a photo of the {part} of a {object}.", "{object} {part}")


def score_beside_templates(arguments: PromptTuningArguments, folder: Path) -> dict[str, dict[str, float]]:
    """Scores the prompts in a folder and hand-written ones, these also with the tuned fusion of part and object.

    Name of the prompts -> what `classify_parts` returns.
    """
    prompts = LearnedPrompts.from_pretrained(folder)
    tuned_weight = prompts.fuse_weight.item()
    candidates: dict[str, tuple[LearnedPrompts | str, float]] = {"tuned": (prompts, tuned_weight)}
    for template in HAND_WRITTEN:
        candidates[template] = (template, 1.0)
        candidates[f"{template} (tuned fusion)"] = (template, tuned_weight)
    clip, dataset = StockCLIP.load(arguments.model), PartDataset.load(arguments.data)
    return {
        name: classify_parts(
            clip,
            dataset,
            chosen,
            arguments.task,
            fuse_weight=weight,
            crop_ratio=arguments.crop_ratio,
            region_size=arguments.region_size,
            cache=arguments.cache,
            workers=arguments.workers,
        )
        for name, (chosen, weight) in candidates.items()
    }


def comparison_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """A line for each kind of prompt."""
    lines = [f"{'accuracy in percent':58}   seen  unseen  harmonic"]
    for name, numbers in scores.items():
        columns = (numbers[f"accuracy_{group}"] for group in ("seen", "unseen", "harmonic"))
        lines.append(f"{name:58} {'  '.join(f'{number:6.1f}' for number in columns)}")
    return "\n".join(lines)
