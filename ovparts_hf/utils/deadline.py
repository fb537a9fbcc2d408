"""A limit on the time that work may take, in a thread, which nobody can end from outside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from torch.nn.modules.module import register_module_forward_pre_hook

from ..errors import OVPartsError


class _Deadline(NamedTuple):
    end: float
    seconds: float


_DEADLINE: ContextVar[_Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Stops what runs inside, in this thread, at the first step after so many seconds.

    Steps are calls of `check_deadline` and of any torch module, so a large model stops between two of its layers.
    """
    token = _DEADLINE.set(_Deadline(time.monotonic() + seconds, seconds))
    hook = register_module_forward_pre_hook(lambda *_: check_deadline())
    try:
        yield
    finally:
        hook.remove()
        _DEADLINE.reset(token)


def check_deadline() -> None:
    """Raises an `OVPartsError` if the time of the enclosing `time_limit` is over; does nothing outside of one."""
    deadline = _DEADLINE.get()
    if deadline is not None and time.monotonic() > deadline.end:
        raise OVPartsError(
            f"This was stopped, because it took longer than the {deadline.seconds:g} seconds that are allowed. Name "
            "fewer parts, or give a smaller image."
        )
