"""Tuned prompts are scored beside templates, by the same function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.models.prompts import LearnedPrompts
from ovparts_hf.training import StockCLIP, classify_parts, tune_prompts
from ovparts_hf.training.prompt_tuning.comparison import HAND_WRITTEN, comparison_table, score_beside_templates


def test_scores_are_those_of_the_prompts_and_of_templates(settings: Callable, tmp_path: Path) -> None:
    arguments = settings(steps=2)
    folder = tune_prompts(arguments) / "last"
    scores = score_beside_templates(arguments, folder)
    assert list(scores) == [
        "tuned",
        *(name for template in HAND_WRITTEN for name in (template, f"{template} (tuned fusion)")),
    ]
    clip, dataset = StockCLIP.load(arguments.model), PartDataset.load(arguments.data)
    tuned = LearnedPrompts.from_pretrained(folder)
    crop = {"crop_ratio": arguments.crop_ratio, "region_size": arguments.region_size}
    for name, chosen in (("tuned", tuned), (HAND_WRITTEN[0], HAND_WRITTEN[0])):
        assert repr(scores[name]) == repr(classify_parts(clip, dataset, chosen, arguments.task, **crop))
    table = comparison_table(scores)
    assert len(table.splitlines()) == 6
    assert f"{scores['tuned']['accuracy_seen']:6.1f}" in table.splitlines()[1]
