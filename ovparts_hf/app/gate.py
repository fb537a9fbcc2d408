"""Who is served when: a few requests at a time, first come, first served, and a bounded number of each client."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from typing import Any

from ..errors import OVPartsError
from .limits import Limits


class Gate:
    """Runs requests in `concurrency` threads, and refuses those that would wait too long or crowd others out."""

    def __init__(self, limits: Limits, concurrency: int) -> None:
        self._per_client = limits.per_client
        self._places = concurrency + limits.waiting
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="ovparts_page")
        self._present: Counter[str] = Counter()
        self._lock = Lock()

    async def run(self, client: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns; if this is cancelled, a waiting request is dropped, a running one runs on."""
        self._enter(client)
        future = self._threads.submit(copy_context().run, function, *arguments)  # with gradio's request
        future.add_done_callback(lambda _: self._leave(client))
        return await asyncio.wrap_future(future)

    def _enter(self, client: str) -> None:
        with self._lock:
            if self._present[client] >= self._per_client:
                raise OVPartsError(
                    f"Requests of yours that are running or waiting: {self._present[client]}; allowed at a time: "
                    f"{self._per_client}. Wait for the answer, perhaps in another tab, then try again."
                )
            if self._present.total() >= self._places:
                raise OVPartsError(
                    f"{self._places} requests are running or waiting, which is as many as are allowed. Try again in a "
                    "minute."
                )
            self._present[client] += 1

    def _leave(self, client: str) -> None:
        with self._lock:
            self._present -= Counter([client])  # which also drops clients of whom nothing is left
