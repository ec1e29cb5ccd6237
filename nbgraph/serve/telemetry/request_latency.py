"""RequestLatency: how long requests take, with the trace of one of them beside each bucket."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from nbgraph.serve.telemetry.step_metrics import BOUNDS, Seconds


class RequestLatency(Seconds, Collector):
    """A histogram that knows the last trace of each bucket, so that a slow request can be looked up.

    >>> latency = RequestLatency()
    >>> latency.observe(0.2, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    >>> [sample.exemplar.labels for family in latency.collect() for sample in family.samples if sample.exemplar]
    [{'trace_id': '0af7651916cd43dd8448eb211c80319c'}]
    """

    __slots__ = ("_traces",)

    def __init__(self) -> None:
        super().__init__()
        self._traces: list[tuple[str, float] | None] = [None] * len(self.buckets)

    def observe(self, seconds: float, trace: str = "") -> None:
        bucket = bisect_left(BOUNDS, seconds)
        self.buckets[bucket] += 1
        self.seconds += seconds
        if trace:
            self._traces[bucket] = trace, seconds

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily("nbgraph_request_seconds", "From a request to its answer")
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        for (bound, count), seen in zip(self.rows(), self._traces, strict=True):
            buckets.append((bound, count) if seen is None else (bound, count, _exemplar(*seen)))
        family.add_metric([], buckets, self.seconds)
        yield family


def _exemplar(traceparent: str, seconds: float) -> Exemplar:
    return Exemplar({"trace_id": traceparent[3:35]}, seconds)
