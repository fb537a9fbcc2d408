"""The number of threads of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ovparts_hf.cli.demo import PROMPT_RECIPES, RECIPES
from ovparts_hf.training import PromptTuningArguments, TrainArguments, train
from ovparts_hf.training.threads import cpu_threads

from .tiny import Evaluator, arguments, tiny_setup


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with cpu_threads(2):
        yield


@pytest.mark.parametrize(("count", "inside"), [(1, 1), (3, 3), (None, 2)])
def test_threads_are_as_before_after_the_block(count: int | None, inside: int) -> None:
    with pytest.raises(KeyError), cpu_threads(count):
        assert torch.get_num_threads() == inside
        raise KeyError
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("threads", "inside"), [(1, 1), (None, 2)])
def test_a_run_trains_and_evaluates_with_its_threads(tmp_path: Path, threads: int | None, inside: int) -> None:
    counts = []

    def evaluate(*given: Any, **options: Any) -> SimpleNamespace:
        counts.append(torch.get_num_threads())
        return Evaluator()(*given, **options)

    setup = tiny_setup()
    setup.model.register_forward_hook(lambda *_: counts.append(torch.get_num_threads()))
    train(arguments(tmp_path / "run", steps=2, eval_every=2, threads=threads), setup, evaluate)
    assert counts == [inside] * 3
    assert torch.get_num_threads() == 2


def test_toy_recipes_use_one_thread() -> None:
    of_models = [TrainArguments.from_recipe(recipe) for recipe in RECIPES.values()]
    of_prompts = [PromptTuningArguments.from_recipe(recipe) for recipe in PROMPT_RECIPES.values()]
    assert of_models and of_prompts and {each.threads for each in [*of_models, *of_prompts]} == {1}
