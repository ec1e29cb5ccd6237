"""Bulletin: windows that several processes count in one journal are judged once, their alerts handled at least once.

Whoever looks first at windows that are over judges them, while no other process can; so nobody is elected, and nobody's
death is waited for. Alerts stand there until each step that handles them has done so: a process that dies with one in
hand is followed by another, after a while.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from nbgraph.debug.trace import Trace
from nbgraph.monitor.alert import Alert, AlertState, alert_of, subject_of
from nbgraph.monitor.baseline import Baseline
from nbgraph.monitor.counting.graph_window import GraphWindow
from nbgraph.monitor.evaluation import Evaluation
from nbgraph.monitor.journal import Journal
from nbgraph.monitor.measures import MeasuredRules
from nbgraph.monitor.monitor import Monitor

JUDGED, MEASURED, TOLD, BASELINE, NAME, SILENT = "judged", "measured", "told", "baseline", "name", "silent"
CLAIMED = 30.0  # seconds in which a process handles an alert; after that another one does
MOST_TOLD = 500  # alerts that are remembered
DONE = float("inf")
Traces = Callable[[Alert], list[Trace]]


class _Judged(msgspec.Struct, frozen=True, array_like=True):
    """How far it was judged, and how the evaluation stood."""

    until: float = 0.0
    state: bytes | None = None


class TellableAlert(msgspec.Struct, array_like=True):
    """An alert as it stands in the journal: its events, and until when which step has it in hand."""

    id: str
    body: dict[str, Any]
    traces: list[bytes] = []
    claims: dict[str, float] = {}


_SILENT = msgspec.msgpack.Decoder(list[tuple[str, str, str, float]])
_TOLD = msgspec.msgpack.Decoder(list[TellableAlert])


class Bulletin:
    """The alerts of a journal."""

    def __init__(self, journal: Journal, monitor: Monitor) -> None:
        self._journal, self._monitor = journal, monitor
        named = journal.change(NAME, lambda found: None if found else uuid.uuid4().hex.encode())
        self.name = (named or b"").decode()

    def agreed(self, found: Baseline | None) -> Baseline | None:
        """The baseline of all processes: the first that one has learned."""
        content = self._journal.change(BASELINE, lambda there: None if there or found is None else found.to_bytes())
        return None if content is None else Baseline.from_bytes(content)

    def judge(
        self, baseline: Baseline, before: float, traces: Traces, quality: Callable[[], Mapping[str, float]]
    ) -> None:
        """Judge the windows that have ended before that time, if no other process has."""
        changed: list[Alert] = []

        def judged(content: bytes | None) -> bytes | None:
            known = _Judged() if content is None else msgspec.msgpack.decode(content, type=_Judged)
            windows = [
                window
                for window in self._journal.windows(since=known.until)
                if window.start > known.until and window.end <= before
            ]
            if not windows:
                return None
            evaluation = Evaluation(self._monitor, baseline)
            if known.state is not None:
                evaluation.resume(known.state)
            changed.extend(evaluation.look(windows, quality=quality()))
            return msgspec.msgpack.encode(_Judged(max(window.start for window in windows), evaluation.to_plain()))

        self._journal.change(JUDGED, judged)
        if changed:
            self._tell([TellableAlert(alert.id, alert.body(), _saved(traces(alert))) for alert in changed])

    def measure(self, windows: Iterable[GraphWindow], before: float) -> None:
        """Add what this process counted of the whole graph, and judge the beats that have ended before that time."""
        rules = MeasuredRules(self._monitor)
        changed: list[Alert] = []

        def measured(content: bytes | None) -> bytes:
            if content is not None:
                rules.resume(content)
            changed.extend(rules.look(windows, before))
            return rules.to_plain()

        self._journal.change(MEASURED, measured)
        if changed:
            self._tell([TellableAlert(alert.id, alert.body()) for alert in changed])

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts as they stand, with their events."""
        latest: dict[Any, dict[str, Any]] = {}
        for one in self._all():
            alert = alert_of(one.body)
            key = (*subject_of(alert), alert.since)
            latest[key] = {**one.body, "traces": one.traces or latest.get(key, {}).get("traces", [])}
        return [one for one in latest.values() if one["state"] != AlertState.WITHDRAWN]

    def silence(self, content: bytes) -> None:
        """Let nobody handle an alert for a while: its rule, place, field, and the time until when."""
        rule, at, field, until = msgspec.json.decode(content, type=tuple[str, str, str, float])

        def silenced(there: bytes | None) -> bytes:
            known = _SILENT.decode(there) if there else []
            return msgspec.msgpack.encode([*known, (rule, at, field, until)][-MOST_TOLD:])

        self._journal.change(SILENT, silenced)

    def _is_silent(self, alert: Alert) -> bool:
        content = self._journal.note(SILENT)
        now, subject = time.time(), subject_of(alert)
        return content is not None and any((*one[:3],) == subject and one[3] > now for one in _SILENT.decode(content))

    def claim(self, steps: Callable[[Alert], Iterable[str]]) -> list[tuple[str, Alert]]:
        """Alerts that a step here is to handle, and that no process has in hand; `steps` are those of an alert."""
        taken: list[tuple[str, Alert]] = []
        now = time.time()

        def claimed(content: bytes | None) -> bytes | None:
            every = [] if content is None else _TOLD.decode(content)
            for one in every:
                alert = alert_of(one.body)
                for step in [] if self._is_silent(alert) else steps(alert):
                    if one.claims.get(step, 0.0) < now:
                        one.claims[step] = now + CLAIMED
                        taken.append((step, alert))
            return msgspec.msgpack.encode(every) if taken else None

        self._journal.change(TOLD, claimed)
        return taken

    def done(self, step: str, alert: Alert) -> None:
        """The step has handled it."""

        def noted(content: bytes | None) -> bytes | None:
            every = [] if content is None else _TOLD.decode(content)
            for one in every:
                if one.id == alert.id:
                    one.claims[step] = DONE
            return msgspec.msgpack.encode(every)

        self._journal.change(TOLD, noted)

    def _all(self) -> list[TellableAlert]:
        content = self._journal.note(TOLD)
        return [] if content is None else _TOLD.decode(content)

    def _tell(self, told: list[TellableAlert]) -> None:
        def added(content: bytes | None) -> bytes:
            every = [] if content is None else _TOLD.decode(content)
            return msgspec.msgpack.encode([*every, *told][-MOST_TOLD:])

        self._journal.change(TOLD, added)


def _saved(traces: Iterable[Trace]) -> list[bytes]:
    return [trace.to_json() for trace in traces]
