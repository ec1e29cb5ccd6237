"""Profiling: a stream runs through a graph, and what goes along its edges becomes a baseline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nbgraph.engine.compile.plan_copy import with_taps
from nbgraph.engine.plan import Tap
from nbgraph.engine.schedule.stream import stream
from nbgraph.errors import StepError
from nbgraph.event import Event
from nbgraph.monitor.baseline import BLOCK, Baseline, EdgeRecord, Every
from nbgraph.monitor.counting.edges import edges_of, name_of
from nbgraph.steps.windows.spec import duration

if TYPE_CHECKING:
    from nbgraph.graph.graph import Graph


def profile(graph: Graph, source: Any, *, every: Every, key: Any = None) -> Baseline:
    """The baseline of what goes through a graph; events that fail count as far as they come.

    >>> from nbgraph import Graph
    >>> graph = Graph("double")
    >>> _ = graph.to(lambda body: {"y": body["x"] * 2}, "double").respond()
    >>> baseline = profile(graph, [{"x": 1.0}, {"x": 3.0}], every=2)
    >>> list(baseline), baseline["double ->"]["y"].mean
    (['-> double', 'double ->'], 4.0)
    """
    plan = graph.plan()
    records = {ends: _EdgeRecorder(name_of(ends), every, graph.redacted) for ends in edges_of(plan)}
    _run(stream(with_taps(plan, {ends: one.tap for ends, one in records.items()}), source, key=key))
    found = {one.record.edge: one.finished() for one in records.values()}
    profiles = {edge: record.profile() for edge, record in found.items() if record.events}
    return Baseline(profiles, {edge: found[edge].windows(one) for edge, one in profiles.items()}, every)


class _EdgeRecorder:
    """The record of an edge, filled as bodies go along it."""

    def __init__(self, edge: str, every: Every, redacted: Iterable[str]) -> None:
        self.record = EdgeRecord(edge, redacted=redacted)
        self._start = _by_number(every) if isinstance(every, int) else _by_time(duration(every))
        self._kept: list[Any] = []
        self._at = 0.0
        self._lock = threading.Lock()

    @property
    def tap(self) -> Tap:
        return self._tell

    def finished(self) -> EdgeRecord:
        self._write()
        return self.record

    def _tell(self, body: Any, event: Event) -> None:
        with self._lock:
            start = self._start(event)
            if start != self._at or len(self._kept) >= BLOCK:
                self._write()
                self._at = start
            self._kept.append(self.record.copied(body))

    def _write(self) -> None:
        if self._kept:
            self.record.add(self._at, self._kept)
            self._kept = []


def _by_number(every: int) -> Callable[[Event], float]:
    seen = -1

    def start(event: Event) -> float:
        nonlocal seen
        seen += 1
        return float(seen - seen % every)

    return start


def _by_time(seconds: float) -> Callable[[Event], float]:
    def start(event: Event) -> float:
        moment = event.time.timestamp()
        return moment - moment % seconds

    return start


def _run(answers: Any) -> None:
    """Draw all answers; an error ends its event, and nothing else."""
    while True:
        try:
            for _ in answers:
                pass
        except StepError:
            answers = answers.rest()
        else:
            return
