"""Measuring one piece of work, and comparing label maps."""

from __future__ import annotations

import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch


class Measured(NamedTuple):
    """What a piece of work cost: CPU and wall seconds and, in MB, the largest resident size meanwhile."""

    cpu: float
    wall: float
    memory: float


@torch.no_grad()
def measure(work: Callable[[], Any], device: str = "cpu") -> tuple[Measured, Any]:
    """Runs something once; what it cost, and its result."""
    process, done, largest = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.01):
            largest[0] = max(largest[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        cpu, wall = time.process_time(), time.perf_counter()
        result = work()
        if torch.device(device).type != "cpu":
            torch.accelerator.synchronize()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    finally:
        done.set()
        watcher.join()
    return Measured(cpu, wall, largest[0] / 2**20), result


def peak_memory() -> float:
    """The largest resident size that this process has had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's `ru_maxrss` starts at the size of the process that started this one
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def spread(values: Iterable[float]) -> list[float]:
    """Median, minimum and maximum."""
    values = sorted(values)
    return [statistics.median(values), values[0], values[-1]]


def count_different(pairs: Iterable[tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]]) -> list[int]:
    """How many pixels of label maps differ, and how many there are; only maps that both have are compared."""
    different = total = 0
    for ours, others in pairs:
        for one, other in zip(ours, others):
            different += int((one != other).sum())
            total += one.numel()
    return [different, total]
