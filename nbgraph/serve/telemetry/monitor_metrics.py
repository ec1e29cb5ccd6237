"""MonitorMetrics: what the monitor has found, for Prometheus: drift, data quality, quality of predictions, alerts.

Workers that share a journal tell the same, as those of one queue do: take the `max`.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nbgraph.contract import Metric as Name
from nbgraph.monitor.counting.tally import EdgeCounts
from nbgraph.monitor.evaluation import Evaluation
from nbgraph.monitor.statistics.quality import METRICS, row_of
from nbgraph.monitor.watch import profile_of

if TYPE_CHECKING:
    from nbgraph.serve.telemetry.watching import Watching

FRESH = 2.0  # seconds for which what was found serves everyone who asks
RECENT = 600.0  # seconds of windows that are looked at
PREDICTED = 86_400.0  # seconds of predictions
SHARES = (0.05, 0.5, 0.95)


class MonitorMetrics(Collector):
    """Reads the journal when it is asked, at most once in two seconds."""

    def __init__(self, watching: Watching) -> None:
        self._watching = watching
        self._found: list[Metric] = []
        self._found_at = -math.inf
        self._counted_until = 0.0
        self._events: Counter[tuple[str, str]] = Counter()
        self._dropped: Counter[str] = Counter()

    def describe(self) -> list[Metric]:
        """None: so that nothing is read to register it."""
        return []

    def collect(self) -> Iterator[Metric]:
        now = time.monotonic()
        if now - self._found_at >= FRESH:
            self._found, self._found_at = [*self._of_data(), *self._of_quality(), self._of_alerts()], now
        yield from self._found

    def _of_data(self) -> Iterator[Metric]:
        labels = ["edge", "field"]
        events = CounterMetricFamily(Name.FIELD_EVENTS, "Events whose field was looked at", labels=labels)
        dropped = CounterMetricFamily(Name.MONITOR_DROPPED, "Events that could not be looked at", labels=["edge"])
        windows = self._watching.windows(time.time() - RECENT)
        self._count(windows)
        for (edge, name), count in self._events.items():
            events.add_metric([edge, name], count)
        for edge, count in self._dropped.items():
            dropped.add_metric([edge], count)
        yield from (events, dropped)
        if self._watching.baseline is not None:
            yield from self._of_fields(windows)

    def _of_fields(self, windows: list[EdgeCounts]) -> Iterator[Metric]:
        def gauge(name: str, help: str, *more: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(name, help, labels=["edge", "field", *more])

        baseline, monitor = self._watching.baseline, self._watching.monitor
        assert baseline is not None
        evaluation = Evaluation(monitor, baseline)
        evaluation.look(windows)
        distance = gauge(Name.FIELD_DISTANCE, "Distance from the baseline, in the last window")
        limit = gauge(Name.FIELD_LIMIT, "Distance beyond which a field has drifted")
        for row in {(row.edge, row.field): row for row in evaluation.rows}.values():
            distance.add_metric([row.edge, row.field], row.verdict.distance)
            limit.add_metric([row.edge, row.field], row.verdict.limit)
        missing = gauge(Name.FIELD_MISSING, "Share of the events without a value, of late")
        unseen = gauge(Name.FIELD_UNSEEN, "Share of the values of a class that the baseline does not have, of late")
        quantile = gauge(Name.FIELD_QUANTILE, "Quantiles of the values, of late", "quantile")
        for edge, profile in profile_of(baseline, windows, None).items():
            for name, one in profile.items():
                missing.add_metric([edge, name], one.missing_share)
                unseen.add_metric([edge, name], one.unseen_share)
                for share, value in zip(SHARES, one.quantiles(SHARES), strict=True):
                    if not math.isnan(value):
                        quantile.add_metric([edge, name, str(share)], value)
        yield from (distance, limit, missing, unseen, quantile)

    def _of_quality(self) -> Iterator[Metric]:
        if self._watching.monitor.score is None:
            return
        quality = GaugeMetricFamily(Name.QUALITY, "Quality of the predictions of a day", labels=["metric", "segment"])
        coverage = GaugeMetricFamily(Name.COVERAGE, "Share of these predictions with a label")
        rows = list(self._watching.predictions(time.time() - PREDICTED))
        numbers = row_of([row.prediction.score for row in rows], _labels(rows))
        for name in METRICS:
            if not math.isnan(numbers[name]):
                quality.add_metric([name, ""], numbers[name])
        coverage.add_metric([], 0.0 if math.isnan(numbers["coverage"]) else numbers["coverage"])
        yield from (quality, coverage)

    def _of_alerts(self) -> Metric:
        alerts = GaugeMetricFamily(Name.ALERTS, "Alerts that stand", labels=["rule", "at", "field", "state"])
        for told in self._watching.standing():
            alerts.add_metric([told["name"], told["at"], told["field"], told["state"]], 1)
        return alerts

    def _count(self, windows: Iterable[EdgeCounts]) -> None:
        fresh = [window for window in windows if window.start > self._counted_until]
        for window in fresh:
            self._dropped[window.edge] += window.dropped
            self._events.update({(window.edge, name): window.events for name in window.fields})
        self._counted_until = max((window.start for window in fresh), default=self._counted_until)


def _labels(rows: list[Any]) -> dict[int, Any]:
    return {place: row.label for place, row in enumerate(rows) if row.is_labelled}
