"""The paper's numbers stand beside the recipes that are to reach them."""

from __future__ import annotations

import shlex

import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.reporting.paper import published
from ovparts_hf.reporting.recipe_table import recipe_table
from ovparts_hf.training import PromptTuningArguments, TrainArguments
from ovparts_hf.training.recipes import recipe_names


def rows(text: str = "") -> dict[str, list[str]]:
    lines = [line.split("|")[1:-1] for line in recipe_table(text).splitlines() if line.startswith("|")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines[2:]}


def test_every_recipe_is_listed_and_can_be_typed() -> None:
    listed = rows()
    assert set(recipe_names()) <= set(listed) and len(listed) > len(recipe_names())
    for words in listed:
        name, *overrides = shlex.split(words)
        kind = PromptTuningArguments if name.split("/")[-1].startswith("cpt") else TrainArguments
        kind.from_recipe(name, overrides)


def test_the_numbers_are_the_papers() -> None:
    listed = rows()
    assert listed["pascal-part-116/zero_shot/clipseg"] == [
        "CLIPSeg, ViT-B/16, VA+L+F+D",
        "seen 48.68, unseen 27.37, harmonic 35.04",
        "seen 44.57, unseen 27.79, harmonic 34.24",
    ]
    assert listed["pascal-part-116/supervised/maskformer"][1] == "seen 55.28, unseen 52.14"
    assert "19.69 on pascal-part-116" in listed["ade20k-part-234/cross_dataset/clipseg"][1]
    assert "16.18 on pascal-part-116" in listed["ade20k-part-234/cross_dataset/clipseg trainable=VA+L+F"][1]
    assert listed["toy-world/zero_shot/clipseg"] == ["", "", ""]


def test_every_fine_tuned_row_of_the_paper_is_there() -> None:
    text = recipe_table()
    found = 0
    for table in published()["zero_shot"].values():
        for row in table:
            if row["finetuning"] or row["model"] == "ZSseg":
                assert f"seen {row['oracle_obj'][0]:.2f}, unseen {row['oracle_obj'][1]:.2f}" in text
                found += 1
    assert found > 10


def test_a_part_of_a_name_chooses() -> None:
    assert list(rows("few_shot/clipseg")) == ["ade20k-part-234/few_shot/clipseg", "pascal-part-116/few_shot/clipseg"]
    with pytest.raises(ConfigurationError, match="Did you mean 'toy-world/zero_shot/clipseg'"):
        recipe_table("toy-world/zero-shot/clipseg")
