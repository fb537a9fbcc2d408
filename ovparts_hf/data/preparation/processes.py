"""Work spread over processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_in_processes(
    function: Callable[[T], R], tasks: Iterable[T], num_proc: int = 1, chunksize: int = 1
) -> Iterator[R]:
    """`map`, with the calls spread over processes if there is more than one.

    Args:
        function: What to do; with several processes it, the tasks and the results must be picklable.
        tasks: Its arguments.
        num_proc: Number of processes; 1 is this one.
        chunksize: How many tasks are sent to a process at a time.

    Yields:
        The results in the order of the tasks. An error ends the work: tasks that were not begun are dropped.
    """
    if num_proc == 1:
        yield from map(function, tasks)
        return
    with ProcessPoolExecutor(num_proc, initializer=_end_with_parent) as pool:
        yield from pool.map(function, tasks, chunksize=chunksize)


def _end_with_parent() -> None:
    """Keeps a worker from outliving a killed parent, and from writing where the next run writes."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
