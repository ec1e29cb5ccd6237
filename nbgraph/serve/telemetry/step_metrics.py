"""StepMetrics: calls, errors and seconds of every step, and what the steps of one event saw.

A graph with observers runs move by move; a served graph shall run as its one generated function. So the tally stands
around each step's own function instead, in a twin of the plan.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import replace
from itertools import accumulate
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from nbgraph import contract
from nbgraph.engine.compile.call import Call
from nbgraph.engine.compile.plan_copy import with_calls
from nbgraph.engine.plan import Plan

BOUNDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)


class Seen(NamedTuple):
    """What a step was given and what it made of it."""

    step: str
    input: Any
    output: Any
    error: BaseException | None
    seconds: float


# Each event's own list; unset where nobody wants to know.
record: ContextVar[list[Seen] | None] = ContextVar("record", default=None)


class Seconds:
    """A histogram in plain numbers, since they are written at every call and read once in a while.

    >>> seconds = Seconds()
    >>> seconds.observe(0.2)
    >>> seconds.rows()[6:9]
    [('0.1', 0), ('0.5', 1), ('1.0', 1)]
    """

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def rows(self) -> list[tuple[str, float]]:
        """How many were at most that long, for each bound."""
        return list(zip([*map(str, BOUNDS), "+Inf"], accumulate(self.buckets), strict=True))


class _StepCounts(Seconds):
    """The numbers of one step."""

    __slots__ = ("errors", "name")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.errors = 0

    def count(self, body: Any, result: Any, error: BaseException | None, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        if error is not None:
            self.errors += 1
        seen = record.get()
        if seen is not None:
            seen.append(Seen(self.name, body, result, error, seconds))


class StepMetrics(Collector):
    """The numbers of all steps, for Prometheus.

    >>> tally = StepMetrics("fraud", ["score"])
    >>> tally.around("score", lambda body: body + 1)(1)
    2
    >>> [sample.value for sample in next(iter(tally.collect())).samples][:1]
    [1]
    """

    def __init__(self, graph: str, steps: Iterable[str]) -> None:
        self._graph = graph
        self._steps = {name: _StepCounts(name) for name in steps}

    def watching(self, plan: Plan) -> Plan:
        """The plan with the tally around every step, those of inner graphs too."""
        for name in plan.steps:
            self._steps.setdefault(name, _StepCounts(name))
        return with_calls(plan, {name: self._watched(name, step.call) for name, step in plan.steps.items()})

    def around(self, name: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A function that is not awaited, counted and timed."""
        count, clock = self._steps[name].count, time.perf_counter

        def watched(body: Any) -> Any:
            began = clock()
            try:
                result = function(body)
            except BaseException as error:
                count(body, None, error, clock() - began)
                raise
            count(body, result, None, clock() - began)
            return result

        return watched

    def collect(self) -> Iterator[Metric]:
        labels = ["graph", "step"]
        events = CounterMetricFamily("nbgraph_events", "Calls of a step", labels=labels)
        errors = CounterMetricFamily("nbgraph_errors", "Calls of a step that raised", labels=labels)
        seconds = HistogramMetricFamily(contract.Metric.STEP_SECONDS, "Time in a step", labels=labels)
        for name, step in self._steps.items():
            rows = step.rows()
            events.add_metric([self._graph, name], rows[-1][1])
            errors.add_metric([self._graph, name], step.errors)
            seconds.add_metric([self._graph, name], rows, step.seconds)
        yield from (events, errors, seconds)

    def noticed(self, step: str, seen: Iterable[Seen]) -> None:
        """A step failed while its results were drawn, after its call had been counted as a good one."""
        calls = [found for found in seen if found.step == step]
        if step in self._steps and calls and calls[-1].error is None:
            self._steps[step].errors += 1

    def _watched(self, name: str, call: Call) -> Call:
        return replace(
            call, function=self._around(name, call), anew=lambda clock: self._watched(name, call.anew(clock))
        )

    def _around(self, name: str, call: Call) -> Callable[[Any], Any]:
        if not call.awaits:
            return self.around(name, call.function)
        count, clock, function = self._steps[name].count, time.perf_counter, call.function

        async def watched(body: Any) -> Any:
            began = clock()
            try:
                result = await function(body)
            except BaseException as error:
                count(body, None, error, clock() - began)
                raise
            count(body, result, None, clock() - began)
            return result

        return watched
