"""Several jobs in processes of their own, a few at a time."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from ...errors import OVPartsError
from ...training.signals import SignalHandler, TrainingInterrupted

logger = logging.getLogger(__name__)

LOG = "log.txt"
_PAUSE = 0.2  # seconds between looks at the processes


class Job(Protocol):
    """What can be carried out; `folder` is its own."""

    name: str
    folder: Path

    def carry_out(self) -> None: ...


def carry_out(jobs: Sequence[Job], processes: int, bar: tqdm) -> None:
    """Carries out jobs, as many at a time as `processes`; one at a time in this very process.

    Raises:
        OVPartsError: A job failed; the others have been stopped.
        TrainingInterrupted: SIGINT or SIGTERM was received, and has been passed on.
    """
    if processes == 1:
        for job in jobs:
            job.carry_out()
            bar.update()
        return
    waiting, running = list(jobs), {}
    context = multiprocessing.get_context("spawn")
    with SignalHandler() as signals:
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    job = waiting.pop(0)
                    process = context.Process(target=_with_log, args=(job,), name=job.name)
                    process.start()
                    running[process] = job
                time.sleep(_PAUSE)
                if signals.signal_number:
                    raise TrainingInterrupted(signals.signal_number)
                for process in [process for process in running if not process.is_alive()]:
                    _check(process, running.pop(process))
                    bar.update()
        finally:
            _stop(list(running))


def _with_log(job: Job) -> None:
    """Carries out a job whose messages go to a file in its folder."""
    job.folder.mkdir(parents=True, exist_ok=True)
    with (job.folder / LOG).open("a", encoding="utf-8") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
        job.carry_out()


def _check(process: BaseProcess, job: Job) -> None:
    if process.exitcode:
        raise OVPartsError(
            f"{job.name} ended with exit code {process.exitcode}; {job.folder / LOG} says why. The same command "
            "continues with what is not done yet."
        )


def _stop(processes: Sequence[BaseProcess]) -> None:
    """Lets processes save what they have, and waits for them."""
    for process in processes:
        with suppress(OSError):
            process.terminate()
    for process in processes:
        process.join()
