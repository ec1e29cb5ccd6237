"""Where synchronous steps run, how many at once, in which order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest

from nbgraph import Event, Graph, StepError
from nbgraph.serve.execution.executor import DeadlineHalt, Executor, ExecutorTurn
from nbgraph.serve.execution.inline_policy import InlinePolicy
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.execution.pure_code import is_prompt


class Clock:
    """Time goes on by what the next call is to take."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def count_down(number: int) -> int:
    while number:
        number -= 1
    return number


def total(rows: list[Any]) -> int:
    found = 0
    for row in rows:
        if row < 0:
            continue
        found += row
    return found


def test_what_may_go_round_for_ever_is_not_prompt() -> None:
    steps: list[Any] = [
        count_down,
        lambda n: [x * x for x in range(n)],
        total,
        lambda rows: [x for x in rows if x],
        str.upper,
    ]
    assert [is_prompt(step) for step in steps] == [False, False, True, True, True]


def places(seconds: Iterable[float], *, is_prompt: bool = True) -> list[bool]:
    """Whether each call ran on the loop, when the calls take that long."""
    clock = Clock()
    lane, pace = Executor(clock=clock), InlinePolicy(is_prompt=is_prompt)

    def call(takes: float) -> bool:
        clock.now += takes
        return threading.current_thread() is threading.main_thread()

    async def run() -> list[bool]:
        return [await lane.run(lambda takes=takes: call(takes), pace) for takes in seconds]  # type: ignore[misc]

    try:
        return asyncio.run(run())
    finally:
        lane.close()


def test_quick_calls_earn_the_loop() -> None:
    assert places([0.0001] * 52) == [False] * 50 + [True] * 2


def test_what_may_wait_never_does() -> None:
    assert not any(places([0.0001] * 200, is_prompt=False))


def test_a_slow_call_ends_it_at_once_and_for_longer_each_time() -> None:
    found = places([0.0001] * 50 + [0.5] + [0.0001] * 102)
    assert found[49:] == [False, True] + [False] * 100 + [True] * 2


def test_calls_that_are_neither_quick_nor_slow_stay_on_the_thread_for_the_most_part() -> None:
    assert sum(places([0.005] * 1000)) < 30


def test_a_hiccup_is_forgiven() -> None:
    assert all(places([0.0001] * 100 + [0.005] + [0.0001] * 5)[50:])


@pytest.mark.parametrize("threads", [1, 3])
def test_so_many_at_once_and_in_order(threads: int) -> None:
    lane, pace = Executor(threads), InlinePolicy()
    begun: list[int] = []
    running = [0, 0]

    def call(number: int) -> None:
        begun.append(number)
        running[0] += 1
        running[1] = max(running)
        time.sleep(0.02)
        running[0] -= 1

    async def crowd() -> None:
        await asyncio.gather(*(lane.run(lambda number=number: call(number), pace) for number in range(9)))  # type: ignore[misc]

    asyncio.run(crowd())
    lane.close()
    assert (running[1], sorted(begun)) == (threads, list(range(9)))
    assert begun == list(range(9)) or threads > 1


def test_who_goes_while_he_waits_is_passed_over_and_who_goes_while_he_runs_keeps_his_turn_until_the_end() -> None:
    lane, pace, done = Executor(), InlinePolicy(), list[str]()

    def slow() -> None:
        time.sleep(0.1)
        done.append("slow")

    async def story() -> None:
        runs = [asyncio.create_task(lane.run(slow, pace))]
        runs += [asyncio.create_task(lane.run(lambda name=name: done.append(name), pace)) for name in "ab"]  # type: ignore[misc]
        await asyncio.sleep(0.02)
        runs[0].cancel()
        runs[1].cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    asyncio.run(story())
    lane.close()
    assert done == ["slow", "b"]


def test_a_turn_that_comes_too_late_runs_nothing() -> None:
    lane, pace, ran = Executor(), InlinePolicy(), list[int]()

    async def story() -> None:
        first = asyncio.create_task(lane.run(lambda: time.sleep(0.05), pace))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineHalt):
            await lane.run(lambda: ran.append(1), pace, ExecutorTurn(lane, lambda: True))
        await first
        await lane.run(lambda: ran.append(2), pace)

    asyncio.run(story())
    lane.close()
    assert ran == [2]


def test_a_generator_whose_results_are_refused_leaves_the_lane_to_others() -> None:
    async def refuse(number: int) -> None:
        await asyncio.sleep(0)
        raise ValueError("full")

    graph = Graph("spread")
    graph.to(count_up).to(refuse)

    async def story() -> list[bool]:
        track, free = PlanRunner(graph.plan()), []
        for _ in range(4):
            with pytest.raises(StepError):
                await asyncio.wait_for(track.answer(Event(3)), 5)
            await asyncio.sleep(0.05)  # a generator that was left is closed in a task of its own
            free.append(track.lane.is_free)
        return free

    assert asyncio.run(story()) == [True] * 4


def count_up(number: int) -> Iterable[int]:
    yield from range(number)
