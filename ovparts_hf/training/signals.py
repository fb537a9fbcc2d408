"""Ending a run early without losing it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_WORKER_GRACE_SECONDS = 60


class TrainingInterrupted(SystemExit):
    """A run was asked to stop and has saved its state.

    Nobody needs to catch it: Python then exits with 128 + the signal's number, as a shell reports a process that the
    signal ended.

    Args:
        signal_number: Which signal asked for it.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)


class SignalHandler:
    """Notes SIGINT (Ctrl-C) and SIGTERM while its `with` block runs, instead of obeying them at once.

    The first one is only noted, and so are its repetitions, which launchers cause by passing on what every process gets
    anyway. One that comes more than `repeat_seconds` later acts as it would have. Outside the main thread, where Python
    allows no handlers, nothing is noted.

    Attributes:
        signal_number: The signal that came, or 0.
    """

    repeat_seconds = 2.0

    def __init__(self) -> None:
        self.signal_number = 0
        self._noted_at = 0.0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> SignalHandler:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.signal_number:
            self.signal_number, self._noted_at = number, time.monotonic()
        elif time.monotonic() - self._noted_at > self.repeat_seconds:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


@contextmanager
def signals_held() -> Iterator[None]:
    """Delays stop signals until the block has ended; processes started in it begin with them delayed."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_signals_in_worker(worker: int) -> None:
    """Makes a data loading worker survive a stop signal that all processes get; the training process ends its workers.

    After SIGTERM a worker lives on for a minute only: that is also how one is ended that does not answer.

    Args:
        worker: Index of the worker, which `torch.utils.data.DataLoader` passes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(_WORKER_GRACE_SECONDS))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
