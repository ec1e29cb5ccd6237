"""Metrics: what Prometheus reads; the names are listed in docs/serving.md and stay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from nbgraph import contract
from nbgraph.serve.queues.consumer import Consumer
from nbgraph.serve.telemetry.step_metrics import Seconds, StepMetrics
from nbgraph.streams.base import Load

PATIENCE = 2.0  # seconds that a scrape waits for the broker
# What a pipeline counts, and how Prometheus calls it.
COUNTED = {
    "processed": (contract.Metric.PROCESSED, "Events whose part here is done"),
    "failed": (contract.Metric.FAILED, "Events that failed in a step here"),
    "redelivered": (contract.Metric.REDELIVERED, "Deliveries beyond a message's first"),
    "dead": (contract.Metric.DEAD, "Events put among the dead letters"),
}


class Metrics:
    """The tally of the steps, requests by status, what is in flight, and numbers that steps report.

    >>> metrics = Metrics("fraud", ["score"])
    >>> metrics.answered(200)
    >>> metrics.registry.get_sample_value("nbgraph_requests_total", {"graph": "fraud", "status": "200"})
    1.0
    """

    def __init__(self, graph: str, steps: Sequence[str]) -> None:
        self.registry = registry = CollectorRegistry()
        self.counts = CollectorRegistry()  # without what the broker has to be asked for
        self.tally = StepMetrics(graph, steps)
        self._register(self.tally)
        for told in (registry, self.counts):
            ProcessCollector(registry=told)
            GCCollector(registry=told)
        self._graph = graph
        self._user = Gauge("nbgraph_user", "Numbers that steps report", ["graph", "step", "name"], registry=registry)
        requests = Counter(contract.Metric.REQUESTS, "Answers of the gateway", ["graph", "status"], registry=registry)
        self.in_flight = Gauge(contract.Metric.IN_FLIGHT, "Requests being worked on", registry=registry)
        self.draining = Gauge("nbgraph_draining", "1 from SIGTERM on", registry=registry)
        self._request: Callable[[int], Counter] = cache(lambda status: requests.labels(graph, str(status)))
        self.counts.register(requests)
        self._seconds = Seconds()
        self._register(_RequestLatency(graph, self._seconds))

    def join(self, pipeline: Consumer) -> None:
        """Numbers of the queues that a function reads, beside those of its steps."""
        self._register(_Messages(pipeline))
        self.registry.register(_Queues(pipeline))

    def _register(self, counted: Collector) -> None:
        for registry in (self.registry, self.counts):
            registry.register(counted)

    def answered(self, status: int, seconds: float = 0.0) -> None:
        """The gateway has answered a request, so long after it came."""
        self._request(status).inc()
        self._seconds.observe(seconds)

    def metric(self, step: str, name: str, value: float) -> None:
        """A number that a step reports with `context.metric`."""
        self._user.labels(self._graph, step, name).set(value)


class _RequestLatency(Collector):
    def __init__(self, graph: str, seconds: Seconds) -> None:
        self._graph, self._seconds = graph, seconds

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily("nbgraph_request_seconds", "From a request to its answer", labels=["graph"])
        family.add_metric([self._graph], self._seconds.rows(), self._seconds.seconds)
        yield family


class _Messages(Collector):
    """What became of the messages that a function took."""

    def __init__(self, pipeline: Consumer) -> None:
        self._pipeline = pipeline

    def collect(self) -> Iterator[Metric]:
        for counted, (name, help) in COUNTED.items():
            yield CounterMetricFamily(name, help, value=self._pipeline.counts[counted])
        late = self._pipeline.callers.late
        yield CounterMetricFamily("nbgraph_replies_late", "Replies that nobody waited for any more", value=late)


class _Queues(Collector):
    """What waits before a function, read when Prometheus asks."""

    def __init__(self, pipeline: Consumer) -> None:
        self._pipeline = pipeline

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            contract.Metric.MESSAGES_IN_FLIGHT, "Events worked on here", value=self._pipeline.in_flight
        )
        yield from _gauges(self._loads())

    def _loads(self) -> dict[str, Load]:
        """Nothing where the broker is away: the rest is told all the same."""
        reading = asyncio.run_coroutine_threadsafe(self._pipeline.loads(), self._pipeline.home)
        try:
            return reading.result(PATIENCE)
        except Exception:
            reading.cancel()
            return {}


def _gauges(loads: dict[str, Load]) -> list[GaugeMetricFamily]:
    def gauge(name: str, help: str, value: Callable[[Load], float]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, help, labels=["queue"])
        for queue, load in loads.items():
            family.add_metric([queue], value(load))
        return family

    return [
        gauge(contract.Metric.BACKLOG, "Messages that wait or are worked on", lambda load: load.backlog),
        gauge("nbgraph_queue_waiting", "Messages that wait", lambda load: load.waiting),
        gauge("nbgraph_queue_unacknowledged", "Messages out with a worker", lambda load: load.in_flight),
        gauge(contract.Metric.AGE, "Age of the oldest message", lambda load: load.oldest_seconds),
    ]
