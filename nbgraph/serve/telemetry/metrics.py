"""Metrics: what Prometheus reads; the names are listed in docs/serving.md and stay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nbgraph import contract
from nbgraph.graph.reported import Reported
from nbgraph.serve.queues.consumer import Consumer
from nbgraph.serve.telemetry.labelled import Labelled
from nbgraph.serve.telemetry.request_latency import RequestLatency
from nbgraph.serve.telemetry.step_metrics import StepMetrics
from nbgraph.serve.telemetry.user_metrics import UserMetrics
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

    Every series says of which graph and function it is.

    >>> metrics = Metrics("fraud", ["score"], "gateway")
    >>> metrics.answered(200)
    >>> labels = {"graph": "fraud", "function": "gateway", "status": "200"}
    >>> metrics.registry.get_sample_value("nbgraph_requests_total", labels)
    1.0
    """

    def __init__(
        self, graph: str, steps: Iterable[str], function: str = "", reported: Reported | None = None
    ) -> None:  # fmt: skip
        labels = {"graph": graph, "function": function or graph}
        self._whole, self._counted = CollectorRegistry(), CollectorRegistry()
        self.registry, self.counts = CollectorRegistry(), CollectorRegistry()  # `counts`: what no broker is asked for
        self.registry.register(Labelled(self._whole, labels))
        self.counts.register(Labelled(self._counted, labels))
        self.tally = StepMetrics(steps)
        self._register(self.tally)
        for told in (self._whole, self._counted):
            ProcessCollector(registry=told)
            GCCollector(registry=told)
        own = reported or Reported()
        self._whole.register(UserMetrics(own))
        self._counted.register(UserMetrics(own, has_gauges=False))
        requests = Counter(contract.Metric.REQUESTS, "Answers of the gateway", ["status"], registry=self._whole)
        self.in_flight = Gauge(contract.Metric.IN_FLIGHT, "Requests being worked on", registry=self._whole)
        self.draining = Gauge("nbgraph_draining", "1 from SIGTERM on", registry=self._whole)
        self._request: Callable[[int], Counter] = cache(lambda status: requests.labels(str(status)))
        self._counted.register(requests)
        self._latency = RequestLatency()
        self._register(self._latency)

    def join(self, pipeline: Consumer) -> None:
        """Numbers of the queues that a function reads, beside those of its steps."""
        self._register(_Messages(pipeline))
        self._whole.register(_Queues(pipeline))

    def watch(self, found: Collector) -> None:
        """What the monitor of a watched graph finds, beside all else."""
        self._whole.register(found)

    def _register(self, counted: Collector) -> None:
        for registry in (self._whole, self._counted):
            registry.register(counted)

    def answered(self, status: int, seconds: float = 0.0, trace: str = "") -> None:
        """The gateway has answered a request, so long after it came; `trace`: its `traceparent`."""
        self._request(status).inc()
        self._latency.observe(seconds, trace)


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
        yield from _gauges(loads_of(self._pipeline))
        capacity = GaugeMetricFamily(contract.Metric.CAPACITY, "Messages that have room", labels=["queue"])
        for queue, spec in self._pipeline.specs.items():
            capacity.add_metric([queue], spec.max_size)
        yield capacity


def loads_of(pipeline: Consumer) -> dict[str, Load]:
    """What the queues have that a function reads; nothing where the broker is away: the rest is told all the same."""
    reading = asyncio.run_coroutine_threadsafe(pipeline.loads(), pipeline.home)
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
