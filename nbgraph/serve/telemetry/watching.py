"""Watching: a worker counts what goes along the edges of a watched graph, judges it with its siblings, tells of it.

Workers that share a folder share one journal: their windows add up there, are judged once, and alerts are handled by
whichever of them has the step that does. NumPy is loaded where a graph is watched, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec

from nbgraph.debug.redact import Redaction
from nbgraph.debug.trace import Trace
from nbgraph.engine.compile.flatten import flatten
from nbgraph.engine.plan import Plan
from nbgraph.graph.graph import Graph
from nbgraph.monitor.alert import Alert, AlertState
from nbgraph.monitor.baseline import Baseline
from nbgraph.monitor.bulletin import Bulletin
from nbgraph.monitor.counting.counting import Counting
from nbgraph.monitor.counting.graph_window import GraphWindow
from nbgraph.monitor.counting.segment import windows_of
from nbgraph.monitor.counting.tally import EdgeCounts, Kept
from nbgraph.monitor.journal import Journal
from nbgraph.monitor.ledger import EventLabel, LabelledPrediction, Ledger
from nbgraph.monitor.monitor import Monitor
from nbgraph.monitor.predictions import SAID, PredictionReader, quality_now
from nbgraph.monitor.report import MonitorReport
from nbgraph.monitor.watch import handlers_of, traces_of
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.queues.consumer import Consumer
from nbgraph.serve.telemetry.metrics import loads_of
from nbgraph.steps.windows.spec import duration
from nbgraph.values import seconds_of

GRACE = 1.5  # seconds after the end of a window in which every worker, busy or not, has told of it
LOOK = 0.25  # seconds between two looks
DAY = 86_400.0  # seconds of predictions that a rule looks at
TIDY = 600.0  # seconds between two looks at what is old
log = logging.getLogger("nbgraph.monitor")


class Watching:
    """What is watched in this worker; `folder` is shared with others on this machine, None for one that is alone."""

    def __init__(self, graph: Graph, folder: Path | None) -> None:
        assert graph.watched is not None
        self._graph, self._monitor = graph, graph.watched
        self._redaction = Redaction(graph)
        self._pipeline: Consumer | None = None
        keep = float(duration(self._monitor.keep))
        self._keep = keep
        self._journal = Journal(None if folder is None else folder / "windows.db", keep)
        self.ledger = Ledger(None if folder is None else folder / "labels.db")
        self._bulletin = Bulletin(self._journal, self._monitor)
        self._reader = PredictionReader(graph, self._monitor)
        self._handlers = [edge for edge in flatten(graph).edges if edge.is_alert]
        self._has_labels = any(rule.has_labels for rule in self._monitor.watched_rules)
        graph.report_label = self._label
        self._counting = Counting(
            self._monitor, self._closed, self._looked, frozenset(graph.redacted), self._bulletin.agreed, self._measured,
            is_shared=True,
        )  # fmt: skip
        self._ended = threading.Event()
        self._judge = threading.Thread(target=self._work, daemon=True, name="nbgraph-alerts")
        self._judge.start()

    def twin(self, plan: Plan) -> Plan:
        """The plan that is watched."""
        return self._counting.twin(plan)

    async def handle(self, track: PlanRunner) -> None:
        """Let alerts enter at the steps here that handle them, until this is cancelled."""
        while self._handlers:
            await asyncio.sleep(LOOK)
            try:
                found = await asyncio.to_thread(self._bulletin.claim, lambda alert: handlers_of(alert, self._handlers))
                for step, alert in found:
                    await self._enter(track, step, alert)
            except Exception:
                log.exception("Alerts could not be handled, and are tried again")

    def join(self, pipeline: Consumer) -> None:
        """Queues that a function here reads, whose backlogs rules look at."""
        self._pipeline = pipeline

    def report(self, query: str) -> bytes:
        """What is told of it; `since`: of windows and predictions that are younger."""
        since = float(parse_qs(query).get("since", ["0"])[0])
        self._counting.flush()
        baseline = self._counting.baseline
        rows = [
            (*row.prediction[:6], dict(row.prediction.segment), row.label, row.is_labelled)
            for row in self.ledger.rows(since)
        ]
        return MonitorReport(
            self._bulletin.name,
            None if baseline is None else baseline.to_bytes(),
            self._journal.windows(since),
            self._bulletin.alerts(),
            rows,
            {name: told for name, told in self._monitor.to_plain().items() if name != "baseline"},
        ).to_bytes()

    @property
    def monitor(self) -> Monitor:
        """What is watched."""
        return self._monitor

    @property
    def baseline(self) -> Baseline | None:
        """What it is compared with; None as long as it is learned."""
        return self._counting.baseline

    def windows(self, since: float) -> list[EdgeCounts]:
        """The windows of all events that have ended after that time and are judged by now."""
        now = time.time() - GRACE
        ended = [window for window in self._journal.windows(since) if window.end <= now]
        return windows_of(ended, None, self._monitor.segments)

    def predictions(self, since: float) -> Iterator[LabelledPrediction]:
        """What was predicted from that time on; what a rule compares with the label as it is said is left out."""
        self._counting.flush()
        return (row for row in self.ledger.rows(since) if not row.prediction.at.endswith(SAID))

    def standing(self) -> list[dict[str, Any]]:
        """The alerts that are pending or firing."""
        return [one for one in self._bulletin.alerts() if one["state"] in (AlertState.PENDING, AlertState.FIRING)]

    def silence(self, content: bytes) -> None:
        """Tell nobody of an alert for a while."""
        self._bulletin.silence(content)

    def close(self) -> None:
        self._ended.set()
        self._judge.join()
        self._counting.close()

    async def _enter(self, track: PlanRunner, step: str, alert: Alert) -> None:
        """An error of a step with an alert is a failure, and never another alert."""
        try:
            await track.enter(step, alert.event())
        except Exception:
            log.exception('Step "%s" failed with the alert %s', step, alert.id)
        await asyncio.to_thread(self._bulletin.done, step, alert)

    def _work(self) -> None:
        tidied = 0.0
        while not self._ended.wait(LOOK):
            try:
                baseline = self._counting.baseline
                if baseline is not None:
                    self._bulletin.judge(baseline, time.time() - GRACE, self._traces, self._quality)
                if time.monotonic() - tidied > TIDY:
                    tidied = time.monotonic()
                    self._journal.roll_up(time.time())
                    self.ledger.forget(time.time() - self._keep)
            except Exception:
                log.exception("Windows could not be judged, and are tried again")

    def _quality(self) -> dict[str, float]:
        return quality_now(self.ledger.rows(time.time() - DAY)) if self._has_labels else {}

    def _closed(self, windows: list[EdgeCounts]) -> None:
        self._journal.add(windows)

    def _measured(self, windows: list[GraphWindow]) -> None:
        try:
            loads = {} if self._pipeline is None else loads_of(self._pipeline)
            backlog = {queue: load.backlog for queue, load in loads.items()}
            last = msgspec.structs.replace(windows[-1], backlog=backlog)
            self._bulletin.measure([*windows[:-1], last], time.time() - GRACE)
        except Exception:
            log.exception("A rule about the whole graph could not be asked, and is asked again")

    def _looked(self, edge: str, block: Sequence[Kept]) -> None:
        found = self._reader.read(edge, block)
        if found:
            self.ledger.predicted(found)

    def _label(self, id: str, value: Any, when: Any) -> None:
        self.ledger.label([EventLabel(id, value, None if when is None else seconds_of(when, "time"))])

    def _traces(self, alert: Alert) -> list[Trace]:
        return traces_of(alert, self._counting, self._graph, self._redaction)
