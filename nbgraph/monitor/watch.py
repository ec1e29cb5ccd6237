"""Watch: a long-lived run is watched: counted, compared, judged; its alerts go to the steps that handle them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from nbgraph.debug.frame import Frame
from nbgraph.debug.redact import Redaction
from nbgraph.debug.trace import Trace
from nbgraph.engine.compile.flatten import flatten
from nbgraph.engine.plan import Plan
from nbgraph.errors import NbgraphError
from nbgraph.event import Event
from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.monitor.alert import Alert, Alerts, AlertState, Subject, subject_of
from nbgraph.monitor.baseline import Baseline, BaselineWindow
from nbgraph.monitor.counting.counting import Counting
from nbgraph.monitor.counting.edges import ends_of, refuse_unknown
from nbgraph.monitor.counting.graph_window import GraphWindow
from nbgraph.monitor.counting.segment import windows_of
from nbgraph.monitor.counting.tally import EdgeCounts, Kept
from nbgraph.monitor.evaluation import Evaluation, drift_frame
from nbgraph.monitor.journal import Journal
from nbgraph.monitor.ledger import EventLabel, Ledger, Receipt
from nbgraph.monitor.measures import MeasuredRules
from nbgraph.monitor.monitor import Monitor
from nbgraph.monitor.predictions import PredictionReader, quality_frame, quality_now
from nbgraph.steps.windows.spec import duration
from nbgraph.values import is_missing, seconds_of

if TYPE_CHECKING:
    import pandas as pd

    from nbgraph.graph.graph import Graph

MOST_EVENTS = 10  # of an alert
TIDY = 600.0  # seconds between two looks at what is old
OVER = (AlertState.RESOLVED, AlertState.WITHDRAWN)
_logger = logging.getLogger("nbgraph.monitor")
Deliver = Callable[[str, Event], Future[Any]]
Waiting = Callable[[], Mapping[str, int]]  # how many events wait, by the queue


class Watch:
    """What is watched of one run; `graph.start().monitor`.

    >>> from nbgraph import Graph
    >>> graph = Graph("double")
    >>> _ = graph.to(lambda body: {"y": body["x"] * 2}, "double").respond()
    >>> _ = graph.monitor(graph.profile([{"x": float(n)} for n in range(1000)]), every=500, share=1.0)
    >>> with graph.start() as run:
    ...     for n in range(1000):
    ...         _ = run.push({"x": float(n) + 900})
    >>> found = run.monitor.drift().iloc[-1]
    >>> found.edge, found.field, bool(found.drifted), bool(found["first"])
    ('double ->', 'y', True, False)
    """

    def __init__(self, graph: Graph, monitor: Monitor, deliver: Deliver, waiting: Waiting = dict) -> None:
        refuse_unknown(graph.plan(), monitor)
        self._graph, self._monitor, self._deliver, self._waiting = graph, monitor, deliver, waiting
        self._redaction = Redaction(graph)
        self._handlers = [edge for edge in flatten(graph).edges if edge.is_alert]
        self._keep = float(duration(monitor.keep))
        self.journal = Journal(keep=self._keep)
        self.ledger = Ledger()
        self._alerts = Alerts()
        self._evaluation: Evaluation | None = None
        self._rules = MeasuredRules(monitor, self._alerts)
        self._tidied = time.time()
        self._ends: list[tuple[float, float]] = []  # when a window had closed, and its end, which may be a number
        self._lock = threading.RLock()
        self._kept: dict[Subject, list[Trace]] = {}
        self._history: dict[str, Alert] = {}
        self._reader = PredictionReader(graph, monitor)
        self._has_labels = any(rule.has_labels for rule in monitor.watched_rules)
        self._before = graph.report_label
        graph.report_label = self._label
        self._counting = Counting(
            monitor, self._closed, self._looked, frozenset(graph.redacted), measured=self._measured
        )

    # --- for the run ---

    def twin(self, plan: Plan) -> Plan:
        """The plan that is watched."""
        return self._counting.twin(plan)

    def drawn(self, twin: Plan) -> Plan:
        """The plan that the next event runs by."""
        return self._counting.drawn(twin)

    def flush(self) -> None:
        """Count all that went along so far."""
        self._counting.flush()

    def close(self) -> None:
        """Nothing comes any more."""
        self._counting.close()
        if self._graph.report_label == self._label:
            self._graph.report_label = self._before

    # --- what was found ---

    @property
    def baseline(self) -> Baseline | None:
        """What it is compared with; None as long as the first events become it."""
        return self._counting.baseline

    @property
    def sampled(self) -> float:
        """The share of the events that are looked at now."""
        return self._counting.rate

    def profile(
        self,
        at: str | None = None,
        since: str = "1h",
        until: str | None = None,
        segment: Mapping[str, Any] | None = None,
    ) -> Baseline:
        """What went along the edges in that time, which may be another graph's baseline.

        Parameters
        ----------
        at
            Edge, or step; None: all edges.
        since, until
            How long ago it begins and ends: `"1h"`; windows that were counted by events are all taken.
        segment
            Only events with this value of a field of `segments`: `{"country": "NL"}`; at edges that have the field.
        """
        self.flush()
        windows = windows_of(self.journal.windows(*self._span(since, until)), segment, self._monitor.segments)
        return profile_of(self._found_baseline(), windows, at)

    def drift(self, since: str = "1h") -> pd.DataFrame:
        """A row for each field of an edge and window: count, distance, floor, limit, p, drifted, first.

        `floor` is the distance that chance alone gives; `first` tells that no edge before drifts in the same window.

        Parameters
        ----------
        since
            How long ago: `"1h"`; windows that were counted by events are all there.
        """
        self.flush()
        with self._lock:
            return drift_frame([]) if self._evaluation is None else self._evaluation.drift(self._span(since, None)[0])

    def quality(self, since: str = "24h", segment: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """A row for each window of predictions: how many have labels, and how good they are.

        `estimated` is the accuracy that the scores let one expect: it assumes calibrated scores and no change of the
        concept.

        Parameters
        ----------
        since
            How long ago: `"24h"`.
        segment
            Only predictions with these values: `{"country": "NL"}`.
        """
        self.flush()
        return quality_frame(self.ledger.rows(time.time() - duration(since)), self._monitor.every, segment)

    @property
    def alerts(self) -> list[Alert]:
        """Those that are pending or firing, then those that are resolved, the latest last."""
        self.flush()
        with self._lock:
            return list(self._history.values())

    def label(self, event_id: str, value: Any) -> Receipt:
        """Tell the truth about an event.

        Parameters
        ----------
        event_id
            Id of the event.
        value
            What is true.
        """
        return self.labels([(event_id, value, None)])

    def labels(self, given: Any) -> Receipt:
        """Tell the truth about many events.

        Parameters
        ----------
        given
            A DataFrame with the columns id, label and, if wished, time; or an iterable of (id, value, time).
        """
        self.flush()
        return self.ledger.label(labels_of(given))

    # --- as windows close ---

    def _closed(self, windows: list[EdgeCounts]) -> None:
        self.journal.add(windows)
        with self._lock:
            quality = quality_now(self.ledger.rows()) if self._has_labels else {}
            for alert in self._judging().look(windows, quality=quality):
                self._tell(alert)
            self._tidy(time.time(), max(window.end for window in windows))

    def _tidy(self, now: float, end: float) -> None:
        """Let go what is older than `keep`, now and then; windows of so many events by when they closed."""
        if now - self._tidied < min(TIDY, self._keep / 4):
            return
        self._tidied = now
        self._ends.append((now, end))
        until = max((end for closed, end in self._ends if closed <= now - self._keep), default=0.0)
        self._ends = [one for one in self._ends if one[1] >= until]
        if self._monitor.is_by_clock:
            until = now - self._keep
            self.journal.roll_up(now)
        self.journal.forget(until)
        self._judging().forget(until)
        self.ledger.forget(now - self._keep)
        gone = [name for name, one in self._history.items() if one.state in OVER and one.since < until]
        for name in gone:
            del self._history[name]

    def _judging(self) -> Evaluation:
        """The evaluation; one that judges steps alone, as long as there is no baseline."""
        baseline = self._counting.baseline
        if baseline is None:
            return Evaluation(self._monitor, Baseline({}, {}, self._monitor.every), self._alerts)
        if self._evaluation is None:
            self._evaluation = Evaluation(self._monitor, baseline, self._alerts)
        return self._evaluation

    def _measured(self, windows: list[GraphWindow]) -> None:
        waiting = dict(self._waiting())
        with self._lock:
            last = msgspec.structs.replace(windows[-1], backlog=waiting)
            for alert in self._rules.look([*windows[:-1], last], last.end):
                self._tell(alert)

    def _tell(self, alert: Alert) -> None:
        subject = subject_of(alert)
        if alert.state is AlertState.FIRING:
            self._kept[subject] = self._traces(alert)
        ids = tuple(trace.event.id for trace in self._kept.get(subject, ()) if trace.event is not None)
        alert = alert.with_events(ids, lambda alert: self._kept.get(subject_of(alert), []), self._silence)
        self._history[":".join((*subject, str(alert.since)))] = alert
        if alert.state is AlertState.WITHDRAWN:
            del self._history[":".join((*subject, str(alert.since)))]
        if not self._alerts.is_silent(alert):
            for name in handlers_of(alert, self._handlers):
                self._deliver(name, alert.event()).add_done_callback(partial(_log_error, name))

    def _silence(self, alert: Alert, seconds: float) -> None:
        with self._lock:
            self._alerts.silence(subject_of(alert), time.time() + seconds)

    def _traces(self, alert: Alert) -> list[Trace]:
        return traces_of(alert, self._counting, self._graph, self._redaction)

    def _looked(self, edge: str, block: Sequence[Kept]) -> None:
        found = self._reader.read(edge, block)
        if found:
            self.ledger.predicted(found)

    def _label(self, id: str, value: Any, when: Any) -> None:
        self.ledger.label(labels_of([(id, value, when)]))

    def _found_baseline(self) -> Baseline:
        found = self._counting.baseline
        if found is None:
            raise NbgraphError(
                f"There is no baseline yet: the first {self._monitor.warm_up} events become it (warm_up), and so many "
                "have not come."
            )
        return found

    def _span(self, since: str, until: str | None) -> tuple[float, float]:
        if not self._monitor.is_by_clock:
            return 0.0, float("inf")
        now = time.time()
        return now - duration(since), now - duration(until) if until is not None else float("inf")


def handlers_of(alert: Alert, edges: Iterable[Edge]) -> list[str]:
    """The steps that handle an alert: those of the steps at its edge, and of the whole graph."""
    places = {alert.at, *ends_of(alert.at), WHOLE_GRAPH} - {""} if "->" in alert.at else {alert.at, WHOLE_GRAPH}
    body = alert.body()
    found = [
        edge.target
        for edge in edges
        if edge.source in places and (edge.when is None or edge.when(body))  # type: ignore[operator]
    ]
    return list(dict.fromkeys(found))


def traces_of(alert: Alert, counting: Counting, graph: Graph, redaction: Redaction) -> list[Trace]:
    """Events that an alert is about: the last ones in the cells that have more than in the baseline."""
    tally, baseline = counting.tallies.get(alert.at), counting.baseline
    base = None if baseline is None else baseline.find(alert.at)
    if tally is None or base is None or alert.field not in base:
        return []
    source, target = ends_of(alert.at)
    found = []
    for body, event in tally.closed_events(alert.field)[:MOST_EVENTS]:
        shown = redaction.keep(body)
        frame = Frame(event.id, target, 1, shown) if target else Frame(event.id, source, 1, None, shown)
        due = frame if target else None
        found.append(Trace([frame], graph=graph, event=event.with_body(shown), due=due))
    return found


def profile_of(baseline: Baseline, windows: Iterable[EdgeCounts], at: str | None) -> Baseline:
    """Windows as profiles, in the bins of their baseline."""
    wholes: dict[str, EdgeCounts] = {}
    parts: dict[str, list[BaselineWindow]] = {}
    for window in windows:
        base = baseline.find(window.edge)
        if base is None or (at is not None and at not in (window.edge, *ends_of(window.edge)[1:])):
            continue
        known = wholes.get(window.edge)
        wholes[window.edge] = window if known is None else known + window
        now = window.profile(base)
        cells = {name: one.judged() for name, one in now.items()}
        parts.setdefault(window.edge, []).append(BaselineWindow(window.start, window.events, cells))
    profiles = {edge: whole.profile(baseline[edge]) for edge, whole in wholes.items()}
    return Baseline(profiles, parts, baseline.every)


def labels_of(given: Any) -> list[EventLabel]:
    """Labels of a DataFrame, or of an iterable of (id, value) or (id, value, time)."""
    if hasattr(given, "to_dict"):
        missing = {"id", "label"} - set(given.columns)
        if missing:
            expected = "expected id, label and, if wished, time"
            raise NbgraphError(f"The table of labels has no column {min(missing)!r}; {expected}.")
        given = [(row["id"], row["label"], row.get("time")) for row in given.to_dict("records")]
    return [EventLabel(str(row[0]), row[1], _seconds(row[2]) if len(row) > 2 else None) for row in given]


def _seconds(moment: Any) -> float | None:
    return None if is_missing(moment) else seconds_of(moment, "time")


def _log_error(step: str, future: Future[Any]) -> None:
    if not future.cancelled() and future.exception() is not None:
        _logger.error('Step "%s" failed with an alert: %s', step, future.exception())
