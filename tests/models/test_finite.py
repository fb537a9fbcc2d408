"""Weights are numbers, every one of them, however large."""

import math

import pytest
import torch

from ovparts_hf.models.checkpoints import non_finite


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.float8_e5m2])
def test_whatever_their_sum_is(dtype):
    largest = torch.finfo(dtype).max
    values = {
        "none": [],
        "large": [largest] * 9,
        "nan": [1, math.nan, 1],
        "infinite": [1, -math.inf],
        "both": [math.inf, 0, -math.inf],
    }
    tensors = {name: torch.tensor(each, dtype=torch.float64).to(dtype) for name, each in values.items()}
    assert non_finite(tensors) == ["nan", "infinite", "both"]
