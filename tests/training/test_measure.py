"""Memory of a pass is counted to the byte where it is known, and nothing of what was there before."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ovparts_hf.training.measure import PeakMemory, held_tensors, pass_seconds, peak_bytes

KB = 1000


def test_the_peak_is_of_what_is_held_at_the_same_time() -> None:
    with PeakMemory([]) as memory:
        first = torch.zeros(KB, dtype=torch.uint8)
        second = first + 1
        assert memory.bytes == 2 * KB
        del first
        third = torch.zeros(KB // 2, dtype=torch.uint8)
        assert memory.bytes == KB + KB // 2
        del second, third
        assert memory.bytes == 0
    assert memory.peak == 2 * KB


def test_views_and_what_was_known_are_nothing_new() -> None:
    known = torch.zeros(KB, dtype=torch.uint8)
    with PeakMemory([known]) as memory:
        assert known.view(10, -1).T[2:].sum().item() == 0
        made = torch.zeros(KB, dtype=torch.uint8)
        assert made[5:].view(-1)[1:].numel() == KB - 6
        known.add_(1)
    assert memory.peak in range(KB, KB + 100)  # with the sum's single numbers


class Squares(nn.Module):
    """Keeps its input and one product for the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(KB))

    def forward(self, values: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(loss=(values * self.weight).square().sum())


def test_a_model_that_is_only_used_counts_as_held() -> None:
    model, other = Squares(), nn.BatchNorm1d(3)
    object.__setattr__(model, "other", other)
    assert {id(tensor) for tensor in held_tensors(model)} == {
        id(tensor) for tensor in (model.weight, *other.parameters(), *other.buffers())
    }


def test_a_pass_counts_activations_and_gradients_and_leaves_none() -> None:
    model = Squares()
    small, large = (peak_bytes(model, {"values": torch.ones(rows, KB)}, nullcontext) for rows in (10, 20))
    assert small >= 4 * KB * 11  # the product of ten rows, and the gradient of the weight
    assert large - small == pytest.approx(4 * KB * 10 * 3, rel=0.4)  # each row: product, square, and a gradient
    assert model.weight.grad is None
    assert pass_seconds(model, {"values": torch.ones(10, KB)}, nullcontext) > 0
