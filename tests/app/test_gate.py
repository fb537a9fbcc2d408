"""Who is served when."""

import asyncio
import time
from threading import Event

import pytest

from ovparts_hf.app import Limits
from ovparts_hf.app.gate import Gate
from ovparts_hf.errors import OVPartsError


def test_requests_are_served_in_their_order():
    async def run():
        gate, order = Gate(Limits(), 1), []
        await asyncio.gather(*(gate.run(f"client {i}", order.append, i) for i in range(10)))
        return order

    assert asyncio.run(run()) == list(range(10))


def test_a_client_has_one_request_at_a_time():
    async def run():
        gate, done = Gate(Limits(), 2), Event()
        first = asyncio.create_task(gate.run("a", done.wait, 30))
        await asyncio.sleep(0)
        for _ in range(20):  # tabs
            with pytest.raises(OVPartsError, match="running or waiting: 1; allowed at a time: 1. Wait for the answer"):
                await gate.run("a", str)
        assert await gate.run("b", str, 7) == "7"
        done.set()
        assert await first
        assert await gate.run("a", str, 8) == "8"

    asyncio.run(run())


def test_a_full_queue_says_so():
    async def run():
        gate, done = Gate(Limits(waiting=2), 1), Event()
        requests = [asyncio.create_task(gate.run(f"client {i}", done.wait, 30)) for i in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(OVPartsError, match="3 requests are running or waiting, which is as many as are allowed"):
            await gate.run("late", str)
        done.set()
        assert all(await asyncio.gather(*requests)) and len(requests) == 3
        assert await gate.run("late", str, 1) == "1"

    asyncio.run(run())


def test_errors_free_the_place():
    def fail():
        raise OVPartsError("no")

    async def run():
        gate = Gate(Limits(), 1)
        for _ in range(3):
            with pytest.raises(OVPartsError, match="no"):
                await gate.run("a", fail)

    asyncio.run(run())


def test_what_is_cancelled_while_it_runs_keeps_its_place_until_it_ends():
    async def run():
        gate, started, done, ran = Gate(Limits(), 1), Event(), Event(), []

        def work():
            started.set()
            done.wait(30)

        first = asyncio.create_task(gate.run("a", work))
        await asyncio.to_thread(started.wait, 30)
        waiting = asyncio.create_task(gate.run("b", ran.append, "b"))
        await asyncio.sleep(0)
        first.cancel()
        waiting.cancel()
        await asyncio.gather(first, waiting, return_exceptions=True)
        with pytest.raises(OVPartsError, match="allowed at a time: 1"):
            await gate.run("a", str)
        again = asyncio.create_task(gate.run("b", ran.append, "b again"))
        done.set()
        await again
        end = time.monotonic() + 30
        while gate._present and time.monotonic() < end:
            await asyncio.sleep(0.01)
        assert ran == ["b again"] and not gate._present

    asyncio.run(run())
