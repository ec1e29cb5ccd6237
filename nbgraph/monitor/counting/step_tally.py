"""StepTally: calls of the steps of a watched graph: how many, how many raised, how long they took."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from nbgraph.engine.compile.call import Call
from nbgraph.engine.compile.plan_copy import with_calls
from nbgraph.engine.plan import Plan
from nbgraph.monitor.counting.graph_window import Buckets, quantile
from nbgraph.monitor.counting.tally import EdgeCounts
from nbgraph.monitor.rule import StepWindow
from nbgraph.monitor.statistics.counts import FieldCounts

MARK = "@"  # before a step's name, where its windows stand among those of edges
BUCKETS = 28  # of durations: up to 1 µs, 2 µs, 4 µs ... 67 s, and beyond
SECONDS, ERRORS = "seconds", "errors"


@dataclass(slots=True)
class _StepCalls:
    """The calls of one step in the open window."""

    errors: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    closed_errors: int = 0  # of the windows before
    closed: Buckets = (0,) * BUCKETS

    def count(self, began: float) -> None:
        place = int((time.perf_counter() - began) * 1e6).bit_length()
        self.buckets[place if place < BUCKETS else BUCKETS - 1] += 1


class StepTally:
    """The steps of a graph.

    >>> from nbgraph import Event, Graph
    >>> graph = Graph("double")
    >>> _ = graph.to("(event * 2)", "double")
    >>> tally = StepTally()
    >>> tally.watching(graph.plan(), ["double"]).run(Event(21))
    42
    >>> [(window.edge, window.events) for window in tally.close(0.0, 60.0)]
    [('@double', 1)]
    """

    def __init__(self) -> None:
        self._steps: dict[str, _StepCalls] = {}

    def watching(self, plan: Plan, steps: Collection[str]) -> Plan:
        """The plan in which these steps are counted."""
        return with_calls(plan, {name: self._counted(name, plan.steps[name].call) for name in steps})

    def close(self, start: float, end: float) -> list[EdgeCounts]:
        """The windows of all steps that were called."""
        found = []
        for name, calls in self._steps.items():
            buckets, errors = calls.buckets, calls.errors
            calls.buckets, calls.errors = [0] * BUCKETS, 0
            calls.closed_errors += errors
            calls.closed = _added(calls.closed, buckets)
            count = sum(buckets)
            if count:
                fields = {SECONDS: FieldCounts(count, tuple(buckets)), ERRORS: FieldCounts(errors)}
                found.append(EdgeCounts(f"{MARK}{name}", start, end, count, count, fields))
        return found

    def totals(self) -> tuple[int, dict[str, Buckets]]:
        """How many calls have raised so far, and how long those of each step took."""
        errors = sum(calls.closed_errors + calls.errors for calls in self._steps.values())
        return errors, {name: _added(calls.closed, calls.buckets) for name, calls in self._steps.items()}

    def _counted(self, name: str, call: Call) -> Call:
        calls = self._steps.setdefault(name, _StepCalls())
        around = _around_async if call.awaits else _around
        function = around(calls, call.function)
        return replace(call, function=function, anew=lambda clock: self._counted(name, call.anew(clock)))


def step_window(window: EdgeCounts) -> StepWindow:
    """The window of a step, as rules look at it.

    >>> buckets = (0, 90, 0, 10)
    >>> window = EdgeCounts("@score", 0.0, 60.0, 100, 100, {"seconds": FieldCounts(100, buckets)})
    >>> step_window(window).p95
    8e-06
    """
    errors = window.fields.get(ERRORS, FieldCounts()).count
    p95 = quantile(window.fields[SECONDS].cells, 0.95)
    return StepWindow(window.edge.removeprefix(MARK), window.start, window.events, errors, p95)


def _added(first: Buckets, second: Iterable[int]) -> Buckets:
    return tuple(one + other for one, other in zip(first, second, strict=True))


def _around(calls: _StepCalls, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def counted(body: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(body)
        except BaseException:
            calls.errors += 1
            raise
        finally:
            calls.count(began)

    return counted


def _around_async(calls: _StepCalls, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def counted(body: Any) -> Any:
        began = time.perf_counter()
        try:
            return await function(body)
        except BaseException:
            calls.errors += 1
            raise
        finally:
            calls.count(began)

    return counted
