"""Metrics: what Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nbgraph.engine import loop
from nbgraph.serve.pipeline import Pipeline
from nbgraph.serve.tally import Tally


class Metrics:
    """The tally of the steps, requests by status, what is in flight, and numbers that steps report.

    >>> metrics = Metrics("fraud", ["score"])
    >>> metrics.answered(200)
    >>> metrics.registry.get_sample_value("nbgraph_requests_total", {"graph": "fraud", "status": "200"})
    1.0
    """

    def __init__(self, graph: str, steps: Sequence[str]) -> None:
        self.registry = registry = CollectorRegistry()
        self.tally = Tally(graph, steps)
        registry.register(self.tally)
        ProcessCollector(registry=registry)
        self._graph = graph
        self._user = Gauge("nbgraph_user", "Numbers that steps report", ["graph", "step", "name"], registry=registry)
        requests = Counter("nbgraph_requests", "Answers of the gateway", ["graph", "status"], registry=registry)
        self.in_flight = Gauge("nbgraph_in_flight", "Requests being worked on", registry=registry)
        self.draining = Gauge("nbgraph_draining", "1 from SIGTERM on", registry=registry)
        self._request: Callable[[int], Counter] = cache(lambda status: requests.labels(graph, str(status)))

    def join(self, pipeline: Pipeline) -> None:
        """Numbers of the queues that a function reads, beside those of its steps."""
        self.registry.register(_Queues(pipeline))

    def answered(self, status: int) -> None:
        """The gateway has answered a request."""
        self._request(status).inc()

    def metric(self, step: str, name: str, value: float) -> None:
        """A number that a step reports with `context.metric`."""
        self._user.labels(self._graph, step, name).set(value)


class _Queues(Collector):
    """Backlog, redeliveries and dead letters, read when Prometheus asks."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def collect(self) -> Iterator[Metric]:
        backlog = GaugeMetricFamily("nbgraph_queue_backlog", "Messages that wait or are worked on", labels=["queue"])
        for name, size in loop.complete(self._pipeline.backlog()).items():
            backlog.add_metric([name], size)
        yield backlog
        for name, count in self._pipeline.counts.items():
            yield CounterMetricFamily(f"nbgraph_messages_{name}", f"Messages: {name}", value=count)
