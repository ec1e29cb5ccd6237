"""What a deployment's workers count, added up, for who looks at it from the notebook."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from nbgraph.contract import PROFILES_PATH, beside_metrics
from nbgraph.debug.trace import Trace
from nbgraph.errors import DeployError
from nbgraph.graph.graph import Graph
from nbgraph.monitor.alert import Alert, alert_of, subject_of
from nbgraph.monitor.baseline import Baseline
from nbgraph.monitor.counting.segment import windows_of
from nbgraph.monitor.counting.tally import EdgeCounts
from nbgraph.monitor.evaluation import Evaluation
from nbgraph.monitor.ledger import LabelledPrediction, Prediction
from nbgraph.monitor.monitor import Monitor
from nbgraph.monitor.predictions import quality_frame
from nbgraph.monitor.report import MonitorReport, reports_of
from nbgraph.monitor.watch import profile_of
from nbgraph.steps.windows.spec import duration

if TYPE_CHECKING:
    import pandas as pd

SECONDS = 10.0


class MonitorReader:
    """Asks the workers, and adds up what they tell; `metrics_urls` are where they are."""

    def __init__(self, name: str, graph: Graph | None, metrics_urls: Sequence[str]) -> None:
        if graph is not None and graph.watched is None:
            raise _unwatched(name)
        self._name, self._graph = name, graph
        self._watched: Monitor | None = None if graph is None else graph.watched
        self._places = [beside_metrics(url, PROFILES_PATH) for url in metrics_urls]

    @property
    def _monitor(self) -> Monitor:
        """What is watched: as the graph says, or where that is not at hand, as the workers tell."""
        if self._watched is None:
            self._watched = Monitor.from_plain(self._reports("1s")[0].monitor)
        return self._watched

    def profile(
        self, at: str | None, since: str, until: str | None, segment: Mapping[str, Any] | None = None
    ) -> Baseline:
        """What went along the edges in that time."""
        reports = self._reports(since)
        end = float("inf") if until is None else time.time() - duration(until)
        windows = [window for window in _windows(reports) if window.start < end]
        found = windows_of(windows, segment, self._monitor.segments)
        return profile_of(self._baseline(reports), found, at)

    def drift(self, since: str) -> pd.DataFrame:
        """The verdicts of the windows of that time."""
        reports = self._reports(since)
        evaluation = Evaluation(self._monitor, self._baseline(reports))
        evaluation.look(_windows(reports))
        return evaluation.drift()

    def quality(self, since: str, segment: Mapping[str, Any] | None) -> pd.DataFrame:
        """How good the predictions of that time were."""
        rows = [
            LabelledPrediction(Prediction(*row[:7]), row[7], row[8])
            for report in self._reports(since)
            for row in report.predictions
        ]
        rows.sort(key=lambda row: row.prediction.time)
        return quality_frame(rows, self._monitor.every, segment)

    def alerts(self) -> list[Alert]:
        """The alerts as they stand, those that began first before."""
        found = [self._alert(told) for report in self._reports("1s") for told in report.alerts]
        return sorted(found, key=lambda alert: alert.since)

    def _alert(self, told: dict[str, Any]) -> Alert:
        alert = alert_of(told)
        traces = [_trace(alert, content, self._graph) for content in told.get("traces", [])]
        ids = tuple(trace.event.id for trace in traces if trace.event is not None)
        return alert.with_events(ids, lambda _: traces, self._silence)

    def _silence(self, alert: Alert, seconds: float) -> None:
        content = json.dumps([*subject_of(alert), time.time() + seconds])
        for place in self._places:
            httpx.post(place, content=content, trust_env=False, timeout=SECONDS)

    def _reports(self, since: str) -> list[MonitorReport]:
        moment = time.time() - duration(since)
        told = [_told(f"{place}?since={moment}") for place in self._places]
        reports = reports_of(told)
        if reports:
            return reports
        if self._graph is None:
            raise _unwatched(self._name)
        raise DeployError("No worker tells what it counts; deployment.status() shows what has ended.")

    def _baseline(self, reports: Sequence[MonitorReport]) -> Baseline:
        if self._watched is not None and self._watched.baseline is not None:
            return self._watched.baseline
        found = next((report.baseline for report in reports if report.baseline is not None), None)
        if found is None:
            raise DeployError(
                f"There is no baseline yet: the first {self._monitor.warm_up} events become it (warm_up), and so many "
                "have not come."
            )
        return Baseline.from_bytes(found)


def _unwatched(name: str) -> DeployError:
    return DeployError(f'Nothing of "{name}" is watched: graph.monitor(baseline), then deployment.update().')


def _told(url: str) -> bytes:
    try:
        response = httpx.get(url, trust_env=False, timeout=SECONDS)
    except httpx.HTTPError:
        return b""
    return response.content if response.is_success else b""


def _windows(reports: Sequence[MonitorReport]) -> list[EdgeCounts]:
    """The windows of all journals; those of one edge and time add up."""
    found: dict[tuple[float, str], EdgeCounts] = {}
    for window in (window for report in reports for window in report.windows):
        key = (window.start, window.edge)
        found[key] = found[key] + window if key in found else window
    return [found[key] for key in sorted(found)]


def _trace(alert: Alert, content: bytes, graph: Graph | None) -> Trace:
    trace = Trace.from_dict(msgspec.json.decode(content), graph)
    if not alert.at.endswith("->") and trace.frames:
        trace.due = trace.frames[-1]
    return trace
