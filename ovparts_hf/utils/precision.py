"""The precision to compute in, on a device that may lack what it needs."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import parse_flag_from_env

from ..errors import ConfigurationError

logger = logging.getLogger(__name__)

_BF16_FLAGS = ("amx_bf16", "avx512_bf16", "bf16")  # the last one is ARM's


def usable_precision(mixed_precision: str, *, cpu: bool = False) -> str:
    """This precision; on a CPU without bf16 instructions "no" instead of "bf16", with a warning.

    Raises:
        ConfigurationError: "fp16" was requested on a CPU.
    """
    state = PartialState(cpu=cpu or parse_flag_from_env("ACCELERATE_USE_CPU") or _is_one_of_several_on_cpu())
    if state.device.type != "cpu" or mixed_precision == "no":
        return mixed_precision
    if mixed_precision == "fp16":
        raise ConfigurationError('The mixed precision "fp16" needs a GPU; on a CPU choose "no" or "bf16".')
    if cpu_has_bf16():
        return mixed_precision
    if state.is_main_process:
        _warn_once()
    return "no"


def new_accelerator(mixed_precision: str, **options: Any) -> Accelerator:
    """An `Accelerator` of this precision, also where the process has had one of another."""
    if AcceleratorState._shared_state and AcceleratorState().mixed_precision != mixed_precision:
        AcceleratorState._reset_state()  # as transformers' TrainingArguments do
    return Accelerator(mixed_precision=mixed_precision, **options)


def _is_one_of_several_on_cpu() -> bool:
    """Whether a launcher started several processes where no accelerator is: each would take itself for the only one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return False
    return not torch.accelerator.is_available() or torch.accelerator.current_accelerator().type == "mps"


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices by instructions of its own (AMX, AVX-512 or ARM's)."""
    if hasattr(torch.cpu, "get_capabilities"):
        return any(torch.cpu.get_capabilities().get(flag, False) for flag in _BF16_FLAGS)
    return torch.cpu._is_avx512_bf16_supported()  # older versions of torch know no other


@cache
def _warn_once() -> None:
    logger.warning("This CPU has no bf16 instructions, so that bf16 would be slower; float32 is used.")
