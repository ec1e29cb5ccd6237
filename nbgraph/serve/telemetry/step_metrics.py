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
from nbgraph.serve.telemetry.cpu_time import CpuTime
from nbgraph.serve.telemetry.size import size_of

BOUNDS = tuple(2**n / 1e6 for n in range(27))  # from 1 µs to 67 s: steps take microseconds, models seconds
SAMPLED = 32  # of so many quick calls one has its processor time measured, which costs more than the call
SLOW = 1e-4  # seconds from which every call is worth a look
SHARE = 100  # sizes are measured at most one part in so many of the time


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
    >>> seconds.rows()[17:19]
    [('0.131072', 0), ('0.262144', 1)]
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
    """The numbers of one step; processor time and sizes are those of a few calls, counted for the calls between."""

    __slots__ = ("_size_at", "_sized", "bytes", "calls", "cpu", "errors", "look_at", "name")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.errors = 0
        self.cpu, self.bytes = 0.0, 0
        self.calls, self.look_at = 0, 1  # calls since the last that was looked at; which one is looked at next
        self._sized, self._size_at = 0, 0.0  # calls since the last size; when there is time for the next

    def count(self, body: Any, result: Any, error: BaseException | None, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        if error is not None:
            self.errors += 1
        seen = record.get()
        if seen is not None:
            seen.append(Seen(self.name, body, result, error, seconds))

    def looked(self, cpu: float, seconds: float, result: Any, now: float) -> None:
        """Such a call took so much of the processor, for all calls since the last one."""
        calls, self.calls = self.calls, 0
        self.cpu += cpu * calls
        self.look_at = 1 if seconds >= SLOW else SAMPLED
        self._sized += calls
        if now >= self._size_at:
            self.bytes += self._sized * size_of(result)
            self._sized, self._size_at = 0, now + SHARE * (time.perf_counter() - now)


class StepMetrics(Collector):
    """The numbers of all steps, for Prometheus.

    >>> tally = StepMetrics(["score"])
    >>> tally.around("score", lambda body: body + 1)(1)
    2
    >>> [sample.value for sample in next(iter(tally.collect())).samples][:1]
    [1]
    """

    def __init__(self, steps: Iterable[str]) -> None:
        self._steps = {name: _StepCounts(name) for name in steps}

    def watching(self, plan: Plan) -> Plan:
        """The plan with the tally around every step, those of inner graphs too."""
        for name in plan.steps:
            self._steps.setdefault(name, _StepCounts(name))
        return with_calls(plan, {name: self._watched(name, step.call) for name, step in plan.steps.items()})

    def around(self, name: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A function that is not awaited, counted and timed."""
        step, clock, cpu_clock = self._steps[name], time.perf_counter, time.thread_time
        count = step.count

        def watched(body: Any) -> Any:
            step.calls += 1
            cpu = cpu_clock() if step.calls >= step.look_at else None
            began = clock()
            try:
                result = function(body)
            except BaseException as error:
                count(body, None, error, clock() - began)
                raise
            ended = clock()
            count(body, result, None, ended - began)
            if cpu is not None:
                step.looked(cpu_clock() - cpu, ended - began, result, ended)
            return result

        return watched

    def collect(self) -> Iterator[Metric]:
        labels = ["step"]
        events = CounterMetricFamily("nbgraph_events", "Calls of a step", labels=labels)
        errors = CounterMetricFamily("nbgraph_errors", "Calls of a step that raised", labels=labels)
        seconds = HistogramMetricFamily(contract.Metric.STEP_SECONDS, "Time in a step", labels=labels)
        cpu = CounterMetricFamily(contract.Metric.STEP_CPU, "Processor time in a step, by samples", labels=labels)
        size = CounterMetricFamily(contract.Metric.STEP_BYTES, "Bytes that a step gave, by samples", labels=labels)
        for name, step in list(self._steps.items()):
            rows = step.rows()
            events.add_metric([name], rows[-1][1])
            errors.add_metric([name], step.errors)
            seconds.add_metric([name], rows, step.seconds)
            cpu.add_metric([name], step.cpu)
            size.add_metric([name], step.bytes)
        yield from (events, errors, seconds, cpu, size)

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
        step, clock, function = self._steps[name], time.perf_counter, call.function
        count = step.count

        async def watched(body: Any) -> Any:
            step.calls += 1
            cpu = CpuTime(function(body)) if step.calls >= step.look_at else None
            began = clock()
            try:
                result = await (function(body) if cpu is None else cpu)
            except BaseException as error:
                count(body, None, error, clock() - began)
                raise
            ended = clock()
            count(body, result, None, ended - began)
            if cpu is not None:
                step.looked(cpu.seconds, ended - began, result, ended)
            return result

        return watched
