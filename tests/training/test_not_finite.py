"""Numbers that are no longer finite stop a run before they replace what it learned."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from ovparts_hf.data.augmentation import Sample
from ovparts_hf.data.records import Record
from ovparts_hf.data.training_set import EpochIndex
from ovparts_hf.errors import OVPartsError
from ovparts_hf.training import loop, train

from .tiny import arguments, assert_same_weights, log_lines, newest_checkpoint, tiny_setup, weights


def factor_on_gradient(model: nn.Module, factor: Callable[[int], float]) -> None:
    """Multiplies the gradient of one parameter by a factor that depends on the step, counted from 1."""
    steps: list[None] = []

    def hook(gradient: torch.Tensor) -> torch.Tensor:
        steps.append(None)
        return gradient * factor(len(steps))

    model.none.register_hook(hook)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("max_grad_norm", [0, 1.0])
def test_gradient_that_is_not_finite_stops_the_run(tmp_path: Path, value: float, max_grad_norm: float) -> None:
    options = {"save_every": 2, "max_grad_norm": max_grad_norm}
    whole = train(arguments(tmp_path / "whole", **options), tiny_setup())
    given = tiny_setup()
    factor_on_gradient(given.model, lambda step: value if step == 5 else 1)
    with pytest.raises(OVPartsError, match="gradient norm became (nan|inf) in step 5.*Lower learning_rate") as stopped:
        train(arguments(tmp_path / "run", **options), given)
    named = str(stopped.value).split("examples: ")[1].split(".")[0].split(", ")
    assert len(named) == 4 and set(named) <= {str(row) for row in range(10)}
    assert newest_checkpoint(tmp_path / "run").name == "step-00000004"
    assert not (tmp_path / "run" / "last").exists()
    assert_same_weights(whole, train(arguments(tmp_path / "run", resume=True, **options), tiny_setup()))


def test_the_examples_of_the_step_are_named(tmp_path: Path) -> None:
    given = tiny_setup()
    read, names = given.dataset.read, []

    def recorded(record: object) -> object:
        sample = read(record)
        names.append(sample.image_id)
        return sample

    given.dataset.read = recorded
    factor_on_gradient(given.model, lambda step: math.nan if step == 2 else 1)
    with pytest.raises(OVPartsError) as stopped:
        train(arguments(tmp_path / "run", micro_batch_size=4), given)
    assert f"Its examples: {', '.join(names[4:8])}." in str(stopped.value)


def test_of_a_crop_drawn_anew_the_record_that_is_shown_is_named(tmp_path: Path) -> None:
    given, shown = tiny_setup(), []
    names = {given.dataset.read(Record("train", row)).image_id for row in range(10)}
    training_set = given.training_set(arguments(tmp_path))
    transform = training_set.transform

    def without_labels_first(sample: Sample, generator: np.random.Generator) -> Sample:
        """Every first crop is without labels."""
        shown.append(sample)
        sample = transform(sample, generator)
        blank = np.full_like(sample.part_map, training_set.dataset.taxonomy.ignore_index)
        return sample._replace(part_map=blank) if len(shown) % 2 else sample

    training_set.transform = without_labels_first
    index = EpochIndex(0, 3)
    drawn = training_set.drawn_record(index)
    assert len(shown) == 2 and len(names) == 10
    assert np.array_equal(np.asarray(training_set.dataset.read(drawn).image), np.asarray(shown[1].image))
    assert training_set[index]["labels"].ne(training_set.target.ignore_index).any()


@pytest.mark.parametrize("where", ["weights", "optimizer"])
def test_state_that_is_not_finite_is_never_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    step = loop._Run._step

    def spoiled(run: loop._Run, batches: object) -> object:
        result = step(run, batches)
        if run.state.step == 3:  # in step 4
            weight = run.model.frozen.weight if where == "weights" else run.model.none
            tensor = weight.data if where == "weights" else run.optimizer.state[weight]["exp_avg"]
            tensor.fill_(math.nan)
        return result

    monkeypatch.setattr(loop._Run, "_step", spoiled)
    with pytest.raises(OVPartsError, match="no longer finite after step 4, so nothing is saved"):
        train(arguments(tmp_path / "run", save_every=2, steps=4), tiny_setup())
    assert newest_checkpoint(tmp_path / "run").name == "step-00000002"
    assert not (tmp_path / "run" / "last").exists()


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training with the scaled losses of fp16, which accelerate offers on GPUs only."""

    def accelerator(precision: str, **options: object) -> Accelerator:
        made = Accelerator(cpu=True)
        made.scaler = torch.amp.GradScaler("cpu")
        return made

    monkeypatch.setattr(loop, "new_accelerator", accelerator)


@pytest.mark.usefixtures("scaled")
def test_schedule_waits_for_a_skipped_step(tmp_path: Path) -> None:
    given = tiny_setup()
    factor_on_gradient(given.model, lambda step: math.inf if step in (1, 3) else 1)
    rates = [line["learning_rate"] for line in log_lines(train(arguments(tmp_path / "run", log_every=1), given))]
    assert rates[0] == rates[1] > rates[2] == rates[3] > rates[4] > rates[5]
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "run").values())


@pytest.mark.usefixtures("scaled")
def test_gradient_that_no_scale_helps_stops_the_run(tmp_path: Path) -> None:
    given = tiny_setup()
    factor_on_gradient(given.model, lambda step: math.nan)
    with pytest.raises(OVPartsError, match="do not become finite at any scale"):
        train(arguments(tmp_path / "run", steps=30), given)
    assert not (tmp_path / "run" / "last").exists()
