"""Metrics: what Prometheus reads, counted by an observer of the graph and by the gateway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from nbgraph.engine.observer import Move, Observer
from nbgraph.errors import StepError
from nbgraph.event import Event

SECONDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)


class Metrics(Observer):
    """Events, errors and seconds of every step; requests by status; what is in flight.

    >>> metrics = Metrics("fraud", ["score"])
    >>> metrics.after(Move("score", Event(1), 1, 1, seconds=0.002))
    >>> metrics.registry.get_sample_value("nbgraph_events_total", {"graph": "fraud", "step": "score"})
    1.0
    """

    def __init__(self, graph: str, steps: Sequence[str]) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        labels = ["graph", "step"]
        events = Counter("nbgraph_events", "Calls of a step", labels, registry=registry)
        errors = Counter("nbgraph_errors", "Calls of a step that raised", labels, registry=registry)
        seconds = Histogram("nbgraph_step_seconds", "Time in a step", labels, buckets=SECONDS, registry=registry)
        # A series for every step from the start: a step that never ran shows as 0, and no lookup is made per event.
        self._events: dict[str, Callable[[], None]] = {step: events.labels(graph, step).inc for step in steps}
        self._errors: dict[str, Callable[[], None]] = {step: errors.labels(graph, step).inc for step in steps}
        self._seconds = {step: seconds.labels(graph, step).observe for step in steps}
        self._graph = graph
        self._user = Gauge("nbgraph_user", "Numbers that steps report", [*labels, "name"], registry=registry)
        requests = Counter("nbgraph_requests", "Answers of the gateway", ["graph", "status"], registry=registry)
        self.in_flight = Gauge("nbgraph_in_flight", "Requests being worked on", registry=registry)
        self.draining = Gauge("nbgraph_draining", "1 from SIGTERM on", registry=registry)
        self._request: Callable[[int], Counter] = cache(lambda status: requests.labels(graph, str(status)))

    def after(self, move: Move) -> None:
        self._events[move.step]()
        self._seconds[move.step](move.seconds)
        if move.error is not None:
            self._errors[move.step]()

    def finished(self, event: Event, answers: Sequence[Any], error: StepError | None) -> None:
        """Nothing to count: a step that failed is counted by `after`."""

    def answered(self, status: int) -> None:
        """The gateway has answered a request."""
        self._request(status).inc()

    def metric(self, step: str, name: str, value: float) -> None:
        """A number that a step reports with `context.metric`."""
        self._user.labels(self._graph, step, name).set(value)
