"""Where synchronous steps run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable

from nbgraph.serve.lane import Lane


class Clock:
    """Time goes on by what the next call is to take."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def places(seconds: Iterable[float]) -> list[bool]:
    """Whether the lane wanted each call on the loop, when the calls take that long."""
    clock = Clock()
    lane = Lane(clock)

    def call(takes: float) -> str:
        clock.now += takes
        return threading.current_thread().name

    async def run() -> list[bool]:
        found = []
        for takes in seconds:
            found.append(lane.is_on_loop)
            if lane.is_on_loop:
                assert lane.here(lambda takes=takes: call(takes)) == "MainThread"  # type: ignore[misc]
            else:
                name = await lane.run(lambda takes=takes: call(takes))  # type: ignore[misc]
                assert name.startswith("nbgraph-lane")
        return found

    try:
        return asyncio.run(run())
    finally:
        lane.close()


def test_quick_calls_earn_the_loop() -> None:
    assert places([0.0001] * 52) == [False] * 50 + [True] * 2


def test_a_slow_call_ends_it_at_once_and_for_longer_each_time() -> None:
    found = places([0.0001] * 50 + [0.5] + [0.0001] * 102)
    assert found[49:] == [False, True] + [False] * 100 + [True] * 2


def test_calls_that_are_neither_quick_nor_slow_stay_on_the_thread_for_the_most_part() -> None:
    assert sum(places([0.005] * 1000)) < 30


def test_a_hiccup_is_forgiven() -> None:
    assert all(places([0.0001] * 100 + [0.005] + [0.0001] * 5)[50:])


def test_a_lane_that_is_never_idle_still_gets_onto_the_loop() -> None:
    lane = Lane(Clock())

    async def caller() -> list[str]:
        return [await lane.run(lambda: threading.current_thread().name) for _ in range(100)]

    async def crowd() -> list[list[str]]:
        return await asyncio.gather(*(caller() for _ in range(8)))

    assert {names[-1] for names in asyncio.run(crowd())} == {"MainThread"}
    lane.close()
