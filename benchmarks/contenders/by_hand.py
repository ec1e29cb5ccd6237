"""The same work written by hand: the reference."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import work
from protocol import Run, one_by_one, serve


def chain(steps: int) -> Run:
    """The calls one below the other, as one would type them."""
    lines = ["def chained(number):", *["    number = plus(number)"] * steps, "    return number"]
    names: dict[str, Any] = {"plus": work.plus}
    exec("\n".join(lines), names)
    chained: Callable[[int], int] = names["chained"]
    return one_by_one(chained)


def stream() -> Run:
    def run(events: int) -> int:
        total = 0
        for number in range(events):
            following = work.plus(number)
            if work.is_even(following):
                for one in work.both(following):
                    total = work.add(total, one)
        return total

    return run


def records() -> Run:
    orders = work.records(20_000)

    def run(events: int) -> list[int]:
        collected = []
        for order in orders[:events]:
            derived = work.derive(work.enrich(order))
            collected.append(work.review(derived) if work.is_large(derived) else work.book(derived))
        return work.summary(collected)

    return run


def fetching() -> Run:
    """A window of tasks, read in the order of the input."""

    async def all_of(events: int) -> int:
        window: deque[asyncio.Task[int]] = deque()
        total = 0
        for number in range(events):
            if len(window) == work.IN_FLIGHT:
                total += await window.popleft()
            window.append(asyncio.ensure_future(work.fetch(number)))
        while window:
            total += await window.popleft()
        return total

    return lambda events: asyncio.run(all_of(events))


def voting(kind: str) -> Run:
    from voters import vote, voters

    models, rows = voters(kind)
    called = list(models.values())
    return lambda events: [vote(called, rows[number % len(rows)]) for number in range(events)][-50:]


serve(
    {
        "chain 3": lambda: chain(3),
        "chain 20": lambda: chain(20),
        "chain 100": lambda: chain(100),
        "stream": stream,
        "records": records,
        "fetch": fetching,
        "vote usual": lambda: voting("usual"),
        "vote quick": lambda: voting("quick"),
    }
)
