"""What loading an export leaves behind in the process."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ovparts_hf.models.loading import load_model


class SignalStack(ctypes.Structure):
    """`stack_t` of the C library."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> tuple[int | None, int, int]:
    """Address, flags and size of this thread's alternate stack, on which Python's signal handlers run."""
    found = SignalStack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
    return found.address, found.flags, found.size


@pytest.mark.skipif(sys.platform != "linux", reason="reads the signal stack as Linux has it")
def test_a_model_of_openvino_leaves_signals_alone(exported: Callable[..., Any]) -> None:
    """Otherwise a signal that arrives after two of them are gone ends the process with a segmentation fault."""
    folder = exported("catseg", "openvino").folder
    before = signal_stack()
    load_model(folder)
    assert signal_stack() == before
