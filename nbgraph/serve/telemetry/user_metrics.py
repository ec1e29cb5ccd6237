"""UserMetrics: the numbers that steps report of their own, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from nbgraph.graph.reported import Reported


class UserMetrics(Collector):
    """Gauges, counters and histograms; each number is a series of its family, by step and name.

    >>> reported = Reported()
    >>> reported.count("score", "refused", 2)
    >>> [sample for family in UserMetrics(reported).collect() for sample in family.samples][0].labels
    {'step': 'score', 'name': 'refused'}
    """

    def __init__(self, reported: Reported, *, has_gauges: bool = True) -> None:
        self._reported, self._has_gauges = reported, has_gauges

    def collect(self) -> Iterator[Metric]:
        labels = ["step", "name"]
        gauges = GaugeMetricFamily("nbgraph_user", "Numbers that steps report", labels=labels)
        counts = CounterMetricFamily("nbgraph_user_counts", "What steps count", labels=labels)
        seen = HistogramMetricFamily("nbgraph_user_values", "Values that steps observe", labels=labels)
        for (step, name), value in list(self._reported.gauges.items()):
            gauges.add_metric([step, name], value)
        for (step, name), value in list(self._reported.counts.items()):
            counts.add_metric([step, name], value)
        for (step, name), distribution in list(self._reported.distributions.items()):
            seen.add_metric([step, name], distribution.rows(), distribution.sum)
        if self._has_gauges:
            yield gauges
        yield from (counts, seen)
