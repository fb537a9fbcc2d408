"""The recipes that come with the package, beside the numbers that the paper reports for their models."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from ..errors import ConfigurationError
from ..training.recipes import recipe_names
from ..utils.suggest import did_you_mean
from .cards.benchmark import BENCHMARK_MODELS
from .cards.facts import ModelFacts, PublishedNumbers
from .paper import SETTINGS

_NOTE = (
    "IoU in percent as OV-PARTS (NeurIPS 2023) reports it, with objects given (Oracle-Obj) or predicted (Pred-Obj), "
    "not measured here. Recipes without a number are ours, or their authors' repositories state none."
)


def recipe_table(text: str = "") -> str:
    """A Markdown table with a row for each recipe whose name contains `text`, and for each variant in the paper.

    Raises:
        ConfigurationError: There is no such recipe.
    """
    models = {recipe_words(facts): facts for facts in BENCHMARK_MODELS.values() if facts.training}
    rows = [(name, models.get(name)) for name in recipe_names()]
    rows += [(words, facts) for words, facts in models.items() if words not in recipe_names()]
    rows = [row for row in sorted(rows, key=lambda row: row[0]) if text in row[0]]
    if not rows:
        hint = did_you_mean(text, recipe_names())
        raise ConfigurationError(f"No recipe's name contains {text!r}; `ovparts recipes` lists all.{hint}")
    cells = [["recipe", "model", *SETTINGS.values()]]
    cells += [[name, _model(facts), *(_numbers(facts, setting) for setting in SETTINGS)] for name, facts in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    cells.insert(1, ["-" * width for width in widths])
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
    return "\n".join([*lines, "", _NOTE])


def recipe_words(facts: ModelFacts) -> str:
    """What to type after `ovparts train` for a model of the benchmark: its recipe, and how a variant differs."""
    recipe, *overrides = shlex.split(facts.training[-1].split("--recipe ")[1])
    name = recipe.removeprefix("examples/recipes/").removesuffix(".yaml")
    return " ".join([name, *(word for word in overrides if not word.startswith("output="))])


def _model(facts: ModelFacts | None) -> str:
    if facts is None:
        return ""
    return ", ".join(filter(None, (facts.model, facts.backbone, facts.finetuning)))


def _numbers(facts: ModelFacts | None, setting: str) -> str:
    lines = [line for line in facts.published if line.setting == setting] if facts else []
    return "; ".join(_line(line, several=len(lines) > 1) for line in lines)


def _line(line: PublishedNumbers, several: bool) -> str:
    values: Mapping[str, float | None] = line.values
    text = ", ".join(f"{heading} {value:.2f}" for heading, value in values.items() if value is not None)
    return f"{text} on {line.dataset}" if several else text
