"""Stopping a run early without losing it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_WORKER_GRACE_SECONDS = 60


class TrainingInterrupted(SystemExit):
    """A run received a stop signal and has saved a checkpoint.

    Uncaught, Python exits with 128 + the signal's number, as a shell reports a process that was ended by the signal.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)


class SignalHandler:
    """Records SIGINT (Ctrl-C) and SIGTERM while its `with` block runs, instead of ending the process at once.

    Repetitions within `repeat_seconds` are ignored, since launchers pass on a signal that all processes receive anyway;
    a later signal has its usual effect. Outside the main thread, where Python allows no handlers, nothing is recorded.
    """

    repeat_seconds = 2.0

    def __init__(self) -> None:
        self.signal_number = 0  # the signal received, or 0
        self._received_at = 0.0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> SignalHandler:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._record) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def _record(self, number: int, frame: FrameType | None) -> None:
        if not self.signal_number:
            self.signal_number, self._received_at = number, time.monotonic()
        elif time.monotonic() - self._received_at > self.repeat_seconds:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


@contextmanager
def signals_held() -> Iterator[None]:
    """Delays stop signals until the block has ended; processes started inside it inherit the delay."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_signals_in_worker(worker: int) -> None:
    """A `worker_init_fn`: a worker survives stop signals sent to all processes, and is ended by its loader."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The loader also ends a worker that does not respond by SIGTERM: it then lives for one more minute.
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(_WORKER_GRACE_SECONDS))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
