"""Ending a run early without losing it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingInterrupted(SystemExit):
    """A run was asked to stop and has saved its state.

    Nobody needs to catch it: Python then exits with 128 + the signal's number, as a shell reports a process that the
    signal ended.

    Args:
        signal_number: Which signal asked for it.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)


class StopRequest:
    """Notes SIGINT (Ctrl-C) and SIGTERM while its `with` block runs, instead of obeying them at once.

    The first one is only noted; after it the previous handlers are back, so that a second one acts immediately. Outside
    the main thread, where Python allows no handlers, nothing is noted.

    Attributes:
        signal_number: The signal that came, or 0.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


def leave_signals_to_parent(worker: int) -> None:
    """Makes a data loading worker survive a stop signal that all processes get; the training process ends its workers.

    SIGTERM is ignored once only, because it is also how a worker that does not answer is ended.

    Args:
        worker: Index of the worker, which `torch.utils.data.DataLoader` passes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.signal(number, signal.SIG_DFL))
