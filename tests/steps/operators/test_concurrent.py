"""Concurrent: on the event loop, on threads, in processes."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from nbgraph import Event, Graph, GraphError, StepError, steps
from tests.steps.both import both_ways


async def later(body: int) -> int:
    await asyncio.sleep(0.001)
    return body * 2


def test_asyncio() -> None:
    assert both_ways(steps.Concurrent(later), [1, 2, 3]) == [2, 4, 6]


def test_threads() -> None:
    seen: set[str] = set()

    def fetch(body: int) -> int:
        seen.add(threading.current_thread().name)
        time.sleep(0.001)
        return body * 2

    assert both_ways(steps.Concurrent(fetch, "thread", max_in_flight=2), [1, 2, 3]) == [2, 4, 6]
    assert all(name.startswith("nbgraph-concurrent") for name in seen)


def test_processes_take_functions_of_a_cell() -> None:
    offset = 40
    graph = Graph("g")
    graph.to(steps.Concurrent(lambda body: (body + offset, os.getpid()), "process", max_in_flight=1))
    answers = list(graph.stream([1, 2]))
    assert [number for number, _ in answers] == [41, 42]
    assert os.getpid() not in {process for _, process in answers}


def test_an_error_in_a_process_is_the_steps_error() -> None:
    class OddError(Exception):
        pass

    def refuse(body: int) -> int:
        raise OddError(f"{body} is odd")

    graph = Graph("g")
    graph.to(steps.Concurrent(refuse, "process", max_in_flight=1), "refuse")
    with pytest.raises(StepError, match='Step "refuse" failed: OddError: 3 is odd'):
        graph.run(3)


def test_no_more_than_allowed_are_in_flight() -> None:
    now, most = 0, 0

    async def busy(body: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)
        now -= 1
        return body

    graph = Graph("g")
    graph.to(steps.Concurrent(busy, max_in_flight=3))

    async def many() -> list[int]:
        return await asyncio.gather(*(graph.arun(number) for number in range(12)))

    assert (asyncio.run(many()), most) == (list(range(12)), 3)


def test_retries() -> None:
    tries: list[int] = []

    async def flaky(body: int) -> int:
        tries.append(body)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return body

    graph = Graph("g")
    graph.to(steps.Concurrent(flaky, retries=2, backoff_factor=0.001))
    assert (graph.run(7), tries) == (7, [7, 7, 7])


def test_a_function_that_does_not_fit_the_mechanism() -> None:
    with pytest.raises(GraphError, match="a plain function with"):
        steps.Concurrent(len)
    with pytest.raises(GraphError, match='expected "asyncio"'):
        steps.Concurrent(later, "thread")
    with pytest.raises(GraphError, match="expected one of asyncio, thread"):
        steps.Concurrent(later, "magic")
    with pytest.raises(GraphError, match="expected a function of the body"):
        steps.Concurrent("event + 1")


async def doubled(event: Event) -> Event:
    event.body = event.body * 2
    return event


def test_a_concurrent_step_may_change_the_event_itself() -> None:
    assert both_ways(doubled, [1, 2, 3], full_event=True, concurrency=2) == [2, 4, 6]
