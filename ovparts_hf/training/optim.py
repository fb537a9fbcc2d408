"""Optimisers with the benchmark's parameter groups, and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, get_args

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..errors import ConfigurationError
from ..utils.files import brief
from .arguments import LoopArguments, ScheduleName

_POLY_POWER = 0.9
_MOMENTUM = 0.9
_UNDECAYED = (
    nn.Embedding,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    nn.modules.batchnorm._NormBase,  # batch and instance normalisation
)


def parameter_groups(
    model: nn.Module, learning_rate: float, weight_decay: float, lr_multipliers: Mapping[str, float] | None = None
) -> list[dict]:
    """Groups the trainable parameters for a torch optimiser; a shared one counts where it first occurs.

    Embeddings and normalisation layers are not decayed. `lr_multipliers` go by the longest matching prefix of a name.
    """
    lr_multipliers = dict(lr_multipliers or {})
    groups: dict[tuple[float, float], dict] = {}
    seen, used = set(), set()
    for module_name, module in model.named_modules():
        for short_name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or parameter in seen:
                continue
            seen.add(parameter)
            name = f"{module_name}.{short_name}".removeprefix(".")
            prefix = max((p for p in lr_multipliers if name.startswith(p)), key=len, default=None)
            used.add(prefix)
            lr = learning_rate * lr_multipliers.get(prefix, 1.0)
            decay = 0.0 if isinstance(module, _UNDECAYED) else weight_decay
            group = groups.setdefault((lr, decay), {"params": [], "lr": lr, "weight_decay": decay})
            group["params"].append(parameter)
    if not groups:
        raise ConfigurationError("The model has no trainable parameter; choose another trainable set.")
    unused = sorted(set(lr_multipliers) - used)
    if unused:
        raise ConfigurationError(f"lr_multipliers {unused} match the name of no trainable parameter.")
    return list(groups.values())


def learning_rate_factor(
    step: int, steps: int, schedule: str, warmup_steps: int = 0, warmup_factor: float | None = None
) -> float:
    """Factor on the learning rate in a step, counted from 0; the warm-up is part of the run."""
    if step < warmup_steps and warmup_factor is not None:
        return warmup_factor
    progress = min(step / steps, 1.0)
    if schedule == "poly":
        factor = (1 - progress) ** _POLY_POWER
    elif schedule == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * progress))
    elif schedule == "constant":
        factor = 1.0
    else:
        raise ConfigurationError(f"Unknown schedule {schedule!r}; choose one of {list(get_args(ScheduleName))}.")
    rise = min(1.0, (step + 1) / (warmup_steps + 1)) if warmup_factor is None else 1.0
    return factor * rise


class Schedule(LambdaLR):
    """Takes from a checkpoint how far it is, and only if that is a number."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """See torch, which would replace any attribute by whatever the state has under its name."""
        place = {name: state_dict[name] for name in ("last_epoch", "_step_count", "_last_lr")}
        rates, own = place["_last_lr"], self.state_dict()
        for count in (place["last_epoch"], place["_step_count"]):
            if type(count) is not int or count < 0:
                raise ValueError(f"its schedule has {brief(count)} where a number of steps belongs")
        if not isinstance(rates, list) or len(rates) != len(self.base_lrs) or not all(map(_is_rate, rates)):
            raise ValueError(f"its schedule has {brief(rates)} where {len(self.base_lrs)} learning rates belong")
        super().load_state_dict({**own, **place})


def _is_rate(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def build_optimizer(model: nn.Module, arguments: LoopArguments) -> tuple[Optimizer, Schedule]:
    """The optimiser and the schedule of a run."""
    groups = parameter_groups(model, arguments.learning_rate, arguments.weight_decay, arguments.lr_multipliers)
    optimizer = AdamW(groups) if arguments.optimizer == "adamw" else SGD(groups, momentum=_MOMENTUM)
    names = ("steps", "schedule", "warmup_steps", "warmup_factor")
    settings = {name: getattr(arguments, name) for name in names}
    return optimizer, Schedule(optimizer, partial(learning_rate_factor, **settings))
