"""What a run needs is measured on two images, without touching the run, and said before it starts."""

from __future__ import annotations

import logging
import math
import re
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch.utils.data import default_collate

from ovparts_hf.data.training_set import EpochIndex
from ovparts_hf.training import estimate, train
from ovparts_hf.training.estimate import Estimate, estimate_step, format_bytes, format_duration
from ovparts_hf.training.measure import peak_bytes
from ovparts_hf.training.setup import TrainingSetup

from .test_setup import arguments as real_arguments
from .tiny import TAXONOMY, arguments, tiny_setup

KNOWN = Estimate(4 * 10**9, 10**9, 2 * 10**9, 3 * 10**9, 10**8, 1.5, 1000, 8, 2, "cuda", 1, 16 * 10**9)


def estimated(setup: TrainingSetup, **changes: object) -> Estimate:
    given = arguments(Path("run"), **changes)
    inputs = setup.class_inputs(TAXONOMY.seen())
    return estimate_step(setup.model, given, partial(setup.random_examples, given), inputs, Accelerator())


def test_bytes_of_parameters_gradients_and_optimiser_are_exact() -> None:
    setup = tiny_setup()
    trained = 4 * sum(p.numel() for p in setup.model.parameters() if p.requires_grad)
    for optimizer, states in (("adamw", 2), ("sgd", 1)):
        found = estimated(setup, optimizer=optimizer)
        assert found.parameters == 4 * sum(p.numel() for p in setup.model.parameters())
        assert (found.gradients, found.optimizer) == (trained, states * trained)
        assert found.total == found.parameters + (1 + states) * trained + found.activations


@pytest.mark.parametrize("images", [1, 2, 16])
def test_activations_of_a_batch_are_those_that_it_takes(images: int) -> None:
    setup = tiny_setup()
    found = estimated(setup, batch_size=images)
    assert (found.images, found.measured) == (images, min(images, 2))
    example = setup.random_examples(arguments(Path("run")), 1)[0]
    inputs = {**default_collate([example] * images), **setup.class_inputs(TAXONOMY.seen())}
    peak = peak_bytes(setup.model.train(), inputs, nullcontext)
    assert found.activations + found.gradients == pytest.approx(peak, rel=0.02)
    assert (found.activations_per_image > 0) == (images > 1)


def test_micro_batches_are_what_is_held_and_steps_are_what_takes_time() -> None:
    whole, parts = estimated(tiny_setup(), batch_size=8), estimated(tiny_setup(), batch_size=8, micro_batch_size=1)
    assert parts.images == parts.measured == 1
    assert parts.activations < whole.activations / 4
    assert parts.seconds_per_step > 0 and whole.seconds_per_step > 0


def test_the_model_is_left_as_it_was() -> None:
    setup = tiny_setup()
    setup.model.none.register_hook(lambda gradient: gradient * math.nan)
    before = {name: tensor.clone() for name, tensor in setup.model.state_dict().items()}
    setup.model.eval()
    estimated(setup)
    assert not setup.model.training
    assert all(parameter.grad is None for parameter in setup.model.parameters())
    for name, tensor in setup.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, None),
        ({"device_memory": 9 * 10**9}, "This run needs about 10.00 GB of memory, and cuda has 9.00 GB"),
        ({"device": "cpu", "device_memory": 7 * 10**9}, None),  # parameters are loaded already
        ({"device": "cpu", "device_memory": 7 * 10**9, "processes": 2}, "of 2 processes needs about 12.00 GB"),
    ],
)
def test_a_device_that_is_too_small_is_warned_of(changes: dict[str, object], warned: str | None) -> None:
    warning = replace(KNOWN, **changes).warning()
    if warned is None:
        assert warning is None
    else:
        assert warned in warning
        for option in ("micro_batch_size (now 8)", "gradient_checkpointing=true", "class_chunk", "classes_per_image"):
            assert option in warning


def test_the_table_has_every_number() -> None:
    table = KNOWN.table()
    for text in ("4.00 GB", "1.00 GB", "2.00 GB", "3.00 GB", "10.00 GB", "8 at once", "1.5 s for a step", "25 min"):
        assert text in table
    assert "measured" in table


def test_sizes_and_durations_are_read_easily() -> None:
    assert [format_bytes(size) for size in (5_600, 1_600_000, 999_000_000, 1_234_000_000)] == [
        *("6 kB", "2 MB", "999 MB", "1.23 GB")
    ]
    assert [format_duration(seconds) for seconds in (0.4, 59, 61, 3599, 7500)] == [
        "0.4 s",
        "59 s",
        "1 min",
        "1 h 0 min",
        "2 h 5 min",
    ]


def test_a_run_begins_its_log_with_what_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ovparts_hf"):
        train(arguments(tmp_path / "run", steps=3), tiny_setup())
    first = caplog.messages[0]
    assert first.startswith(
        "Training on cpu with 1 process in float32: 378 of 384 parameters, 10 records, 3 steps of 4. "
    )
    assert re.search(
        r"By a forward and backward pass of 2, 3 steps take about [\d.]+ s, .* about \d+ kB of memory", first
    )
    assert not any("needs about" in message for message in caplog.messages)


def test_a_run_warns_before_it_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "_device_memory", lambda device: 10)
    train(arguments(tmp_path / "run", steps=1), tiny_setup())
    assert any("cpu has 0 kB" in message for message in caplog.messages)


def test_a_real_model_is_measured_at_the_size_that_it_trains_at(pretrained: Path, pascal_folder: Path) -> None:
    given = real_arguments(pascal_folder, pretrained, Path("run"))
    setup = TrainingSetup.load(given)
    [example] = setup.random_examples(given, 1)
    real = setup.training_set(given)[EpochIndex(0, 0)]
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in example.items()} == {
        name: (tensor.shape, tensor.dtype) for name, tensor in real.items()
    }
