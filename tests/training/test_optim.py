"""Parameter groups and schedules against what is written down about them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import Dinov2Config, Dinov2Model

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.training.optim import build_optimizer, learning_rate_factor, parameter_groups

from ..models.partcatseg.stock import SIZES
from .tiny import TinyModel, arguments


def settings_by_name(model: nn.Module, groups: list[dict]) -> dict[str, tuple[float, float]]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {names[p]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}


def test_embeddings_and_norms_are_not_decayed_and_frozen_ones_are_left_out() -> None:
    model = TinyModel()
    found = settings_by_name(model, parameter_groups(model, 0.1, 0.01))
    assert found == {
        "words.weight": (0.1, 0.0),
        "pixels.weight": (0.1, 0.01),
        "pixels.bias": (0.1, 0.01),
        "norm.weight": (0.1, 0.0),
        "norm.bias": (0.1, 0.0),
        "none": (0.1, 0.01),
    }


def test_of_a_vision_transformer_only_norms_are_spared() -> None:
    """As in the released code of PartCATSeg, which means to spare positions, under names that DINOv2 does not have."""
    model = Dinov2Model(Dinov2Config(**SIZES))
    found = settings_by_name(model, parameter_groups(model, 0.1, 0.01))
    spared = {name for name, (_, decay) in found.items() if not decay}
    assert spared == {name for name in found if "norm" in name}
    for name in ("embeddings.cls_token", "embeddings.position_embeddings", "encoder.layer.0.layer_scale1.lambda1"):
        assert found[name] == (0.1, 0.01), name


@pytest.mark.parametrize(
    "norm",
    [nn.LayerNorm(4), nn.BatchNorm2d(4), nn.SyncBatchNorm(4), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4, affine=True)],
)
def test_every_kind_of_norm_is_spared(norm: nn.Module) -> None:
    assert [group["weight_decay"] for group in parameter_groups(norm, 0.1, 0.01)] == [0.0]


def test_longest_prefix_sets_the_learning_rate() -> None:
    model = TinyModel()
    found = settings_by_name(model, parameter_groups(model, 0.1, 0.01, {"p": 0.5, "pixels.bias": 0.25, "words": 0.0}))
    assert found["pixels.weight"] == (0.05, 0.01)
    assert found["pixels.bias"] == (0.025, 0.01)
    assert found["words.weight"] == (0.0, 0.0)
    assert found["none"] == (0.1, 0.01)


def test_shared_parameters_count_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    groups = parameter_groups(model, 0.1, 0.01)
    assert sum(len(group["params"]) for group in groups) == 3


def test_nothing_to_train_and_useless_multipliers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no trainable parameter"):
        parameter_groups(TinyModel().requires_grad_(False), 0.1, 0.01)
    with pytest.raises(ConfigurationError, match=r"\['frozen', 'vision'\]"):
        parameter_groups(TinyModel(), 0.1, 0.01, {"vision": 0.1, "frozen": 0.1})


@pytest.mark.parametrize("step", [0, 1, 37, 99])
def test_schedules_in_closed_form(step: int) -> None:
    assert learning_rate_factor(step, 100, "poly") == pytest.approx((1 - step / 100) ** 0.9)
    assert learning_rate_factor(step, 100, "cosine") == pytest.approx((1 + math.cos(step / 100 * math.pi)) / 2)
    assert learning_rate_factor(step, 100, "constant") == 1


def test_warm_up_rises_linearly_to_the_schedule() -> None:
    factors = [learning_rate_factor(step, 100, "constant", warmup_steps=4) for step in range(6)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    assert learning_rate_factor(4, 100, "poly", 4) == learning_rate_factor(4, 100, "poly")


def test_warm_up_may_be_constant_as_in_zsseg(tmp_path: Path) -> None:
    factors = [learning_rate_factor(step, 10, "cosine", 3, 0.005) for step in range(5)]
    assert factors == [0.005] * 3 + [learning_rate_factor(step, 10, "cosine") for step in (3, 4)]
    optimizer, schedule = build_optimizer(TinyModel(), arguments(tmp_path, warmup_steps=1, warmup_factor=0.005))
    assert {group["lr"] for group in optimizer.param_groups} == {0.05 * 0.005}
    optimizer.step()
    schedule.step()
    assert {group["lr"] for group in optimizer.param_groups} == {0.05 * learning_rate_factor(1, 7, "poly")}


def test_unknown_schedule_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'step'"):
        learning_rate_factor(0, 100, "step")


def test_optimizer_follows_the_schedule_in_every_group(tmp_path: Path) -> None:
    model = TinyModel()
    optimizer, schedule = build_optimizer(model, arguments(tmp_path, steps=10, lr_multipliers={"words": 0.1}))
    for step in range(10):
        expected = 0.05 * (1 - step / 10) ** 0.9
        assert {round(group["lr"], 12) for group in optimizer.param_groups} == {
            round(expected, 12),
            round(expected / 10, 12),
        }
        optimizer.step()
        schedule.step()
    assert isinstance(optimizer, torch.optim.AdamW)


def test_sgd_has_momentum(tmp_path: Path) -> None:
    optimizer, _ = build_optimizer(TinyModel(), arguments(tmp_path, optimizer="sgd"))
    assert isinstance(optimizer, torch.optim.SGD)
    assert {group["momentum"] for group in optimizer.param_groups} == {0.9}
