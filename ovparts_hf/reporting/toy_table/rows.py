"""The rows of the table: recipes, what each starts from, and how many steps take the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from ...errors import ConfigurationError
from ...training import PromptTuningArguments, TrainArguments
from ...training.recipe import parse_overrides, read_mapping, with_current_names
from ...utils.suggest import did_you_mean

_TOY = resources.files("ovparts_hf") / "toy"
_FIXED = ("data", "output", "model", "prompts", "cache", "seed", "task", "resume", "overwrite", "workers")
_PROMPT_FIELDS = {field.name for field in fields(PromptTuningArguments)}
_MODEL_FIELDS = {field.name for field in fields(TrainArguments)}
Settings = tuple[PromptTuningArguments | None, TrainArguments]


@dataclass(frozen=True)
class Row:
    """A toy recipe, with what the table changes in it."""

    name: str
    title: str
    starts_from: str
    recipe: str
    prompts: str | None = None  # recipe of the prompts that are tuned first
    start: Literal["recipe", "clip", "objects"] = "recipe"  # CLIP alone, or a pretraining on whole objects
    pretraining: str | None = None  # which one
    changes: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def learns_unseen_parts(self) -> bool:
        """Whether the labels of unseen objects' parts are trained on."""
        return self._recipe["task"] != "zero_shot"

    @property
    def source(self) -> str:
        """The model that the recipe names."""
        return self._recipe["model"]

    @property
    def _recipe(self) -> dict[str, Any]:
        return read_mapping(_TOY / f"{self.recipe}.yaml")

    def settings(self, data: Path, folder: Path, seed: int, overrides: Mapping[str, Any]) -> Settings:
        """The prompt tuning, if there is any, and the training of one run in a folder; each takes what it has."""
        shared: dict[str, Any] = {"data": data, "seed": seed, "resume": True, "workers": 0}
        own = {key: value for key, value in overrides.items() if key in _MODEL_FIELDS}
        values = {**self._recipe, **self.changes, **shared, **own}
        values["output"] = folder / "run"
        if self.prompts is None:
            return None, TrainArguments.from_dict(values)
        places = {"output": folder / "prompts", "cache": folder / "features"}
        tuned = {key: value for key, value in overrides.items() if key in _PROMPT_FIELDS}
        prompts = {**read_mapping(_TOY / f"{self.prompts}.yaml"), **shared, **places, **tuned}
        values["prompts"] = folder / "prompts" / "last"
        return PromptTuningArguments.from_dict(prompts), TrainArguments.from_dict(values)


@dataclass(frozen=True)
class Pretraining:
    """A toy recipe that learns whole objects, once for all seeds."""

    name: str
    title: str
    recipe: str
    changes: dict[str, Any] = field(default_factory=dict)

    def settings(self, folder: Path, overrides: Mapping[str, Any]) -> TrainArguments:
        """The run in a folder; its data is drawn, see `WholeObjects`."""
        own = {key: value for key, value in overrides.items() if key in _MODEL_FIELDS}
        fixed = {"data": "whole objects", "output": folder / "run", "task": "supervised", "resume": True, "workers": 0}
        return TrainArguments.from_dict({**read_mapping(_TOY / f"{self.recipe}.yaml"), **self.changes, **own, **fixed})


@cache
def table_plan() -> dict[str, Any]:
    """`toy/table.yaml`: `budget` in CPU seconds, `machine` by which steps were chosen, `pretraining` and `rows`."""
    plan = read_mapping(_TOY / "table.yaml")
    for key, kind in (("pretraining", Pretraining), ("rows", Row)):
        plan[key] = {name: kind(name, **values) for name, values in plan[key].items()}
    return plan


def chosen_rows(names: Sequence[str] | None) -> list[Row]:
    """The rows of these names, in the order of the table; all for None."""
    rows = table_plan()["rows"]
    for name in names or ():
        if name not in rows:
            hint = did_you_mean(name, rows)
            raise ConfigurationError(f"There is no row {name!r} in the table; choose of {list(rows)}.{hint}")
    return [row for name, row in rows.items() if names is None or name in names]


def table_overrides(words: Sequence[str]) -> dict[str, Any]:
    """What "key=value" changes in every recipe of the table that has the key."""
    changes = with_current_names(parse_overrides(words))
    fixed = sorted(changes.keys() & set(_FIXED))
    if fixed:
        raise ConfigurationError(f"{fixed} cannot be overridden in the table, which decides them for each run.")
    unknown = sorted(changes.keys() - _PROMPT_FIELDS - _MODEL_FIELDS)
    if unknown:
        hint = did_you_mean(unknown[0], _MODEL_FIELDS)
        raise ConfigurationError(f"Unknown training arguments {unknown}.{hint}")
    return changes
