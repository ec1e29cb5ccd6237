"""Memory of long streams: `python -m benchmarks.memory [seconds]` prints how much a process holds as events go by.

Trivial events go through the fused loop, and through a slow concurrent step that a fast source must wait for; both
curves stay flat when nothing piles up. `python -m benchmarks.memory debugger` prints what the debugger holds.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nbgraph import Event, Graph, steps
from nbgraph.debug import Debugger

EVENTS = 10_000_000
POINTS = 8


def megabytes() -> float:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def trivial() -> Graph:
    graph = Graph("trivial")
    graph.to(lambda body: body + 1, "plus").to(steps.Filter("event % 2 == 0")).to(lambda body: body * 2, "twice")
    return graph


async def wait(body: int) -> int:
    await asyncio.sleep(0.001)
    return body


def slow() -> Graph:
    graph = Graph("slow")
    graph.to(wait, concurrency=64).to(steps.MapWithState(0, lambda body, count: (body + count, count + 1)))
    return graph


class Counted:
    """Numbers from a source that never waits, until there are enough or the time is over."""

    def __init__(self, seconds: float) -> None:
        self.given = 0
        self._end = time.monotonic() + seconds

    def __iter__(self) -> Iterator[int]:
        while self.given < EVENTS and (self.given % 1000 or time.monotonic() < self._end):
            self.given += 1
            yield self.given


def curve(name: str, make: Callable[[], Graph], seconds: float) -> None:
    """Print the memory at equal steps of time or number, and by how much it grew after the first of them."""
    source, began = Counted(seconds), time.monotonic()
    points: list[tuple[int, float]] = []
    for _ in make().stream(source):
        due = len(points) / POINTS
        if source.given >= due * EVENTS or time.monotonic() - began >= due * seconds:
            points.append((source.given, megabytes()))
    points.append((source.given, megabytes()))
    took = time.monotonic() - began
    print(f"{name}: {source.given:,} events in {took:.1f} s ({source.given / took:,.0f}/s)")
    top = max(held for _, held in points)
    for given, held in points:
        print(f"  {given:>12,} events  {held:8.1f} MB  {'#' * round(50 * held / top)}")
    print(f"  grew by {points[-1][1] - points[1][1]:.1f} MB after the first {points[1][0]:,} events\n")


def chunks(body: int) -> Iterator[int]:
    yield from range(body)


def counted(body: int, counts: dict[int, int]) -> tuple[int, dict[int, int]]:
    counts[body % 4_000] += 1
    return body, counts


def debugged(name: str, graph: Graph, events: list[Event]) -> None:
    """Print what traces of the events hold, and what a debugger holds that has gone through them."""
    for what in ("traced", "in the debugger"):
        gc.collect()
        before, began = megabytes(), time.process_time()
        kept: Any = [graph.trace(event) for event in events] if what == "traced" else graph.debug(events)
        if isinstance(kept, Debugger):
            kept.resume()
        took = time.process_time() - began
        gc.collect()
        print(f"{name}, {what}: {megabytes() - before:.1f} MB, {took:.2f} s of CPU")
        del kept


def debugger() -> None:
    plain, fan, states = Graph("plain"), Graph("fan"), Graph("states")
    plain.to("(event + 1)", "plus").to("(event * 2)", "twice")
    fan.to(chunks).to("(event + 1)", "plus")
    states.to(steps.MapWithState(dict.fromkeys(range(4_000), 0), counted), "count").to("(event)", "end")
    debugged("10,000 events", plain, [Event(number) for number in range(10_000)])
    debugged("10,000 chunks of one event", fan, [Event(10_000)])
    debugged("10,000 events that change one of 4,000 states", states, [Event(number) for number in range(10_000)])


def main() -> None:
    if sys.argv[1:] == ["debugger"]:
        debugger()
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    curve("trivial events, fused", trivial, seconds)
    curve("a fast source before a slow step, 64 in flight", slow, min(seconds, 30.0))


if __name__ == "__main__":
    main()
