"""An unknown name is answered with the nearest known one, everywhere alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ovparts_hf.app.limits import Limits
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.loading import load_config
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.training import PromptTuningArguments, TrainArguments
from ovparts_hf.utils.suggest import did_you_mean

NEEDED = {"data": "d", "output": "o", "model": "toy"}


def test_the_nearest_name_is_suggested_or_none() -> None:
    assert did_you_mean("stpes", ["steps", "task"]) == " Did you mean 'steps'?"
    assert did_you_mean("colour", ["steps", "task"]) == did_you_mean("steps", []) == ""
    assert did_you_mean(7, ["steps"]) == ""


@pytest.mark.parametrize(
    ("ask", "nearest"),
    [
        (lambda: TrainArguments.from_dict({**NEEDED, "lerning_rate": 1}), "learning_rate"),
        (lambda: TrainArguments.from_dict({**NEEDED, "traker": "wandb"}), "tracker"),
        (lambda: PromptTuningArguments.from_dict({**NEEDED, "prefx": 1}), "prefix"),
        (lambda: TrainArguments.from_recipe("pascal-part-116/zero-shot/clipseg"), "pascal-part-116/zero_shot/clipseg"),
        (lambda: get_task("zero-shot"), "zero_shot"),
        (lambda: load_config("toy", adapter_ration=1), "adapter_ratio"),
        (lambda: Limits.parse(["part=3"]), "parts"),
    ],
)
def test_errors_about_unknown_names_suggest(ask: Callable[[], Any], nearest: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Did you mean '{nearest}'\\?$"):
        ask()


def test_several_unknown_arguments_get_a_suggestion_each() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'batch_size'.*Did you mean 'steps'"):
        TrainArguments.from_dict({**NEEDED, "bach_size": 1, "stepps": 1})


def test_a_limit_that_exists_is_not_suggested_again() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Limits.parse(["parts=many"])
    assert "Did you mean" not in str(refused.value)
