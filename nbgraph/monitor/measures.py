"""Measures: rules about a graph as a whole, and about its queues, are asked by the clock, whatever comes or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from nbgraph.monitor.alert import Alert, Alerts, Subject
from nbgraph.monitor.counting.graph_window import GraphWindow, measures_of
from nbgraph.monitor.monitor import Monitor
from nbgraph.monitor.rule import AlertRule, Breach

COVERED = 0.9  # of a rule's time, before it is asked
LATE = 5  # beats in which a slow worker may still tell
Found = dict[Subject, tuple[AlertRule, Breach]]
_STATE: msgspec.msgpack.Decoder[tuple[list[Any], list[GraphWindow], float]] = msgspec.msgpack.Decoder(
    tuple[list[Any], list[GraphWindow], float]
)


class MeasuredRules:
    """Windows of the whole graph, as far back as rules look, and the alerts that they lead to.

    >>> from nbgraph.monitor.rule import Rule
    >>> rules = MeasuredRules(Monitor(rules=[Rule("event_rate < 1", over="2s")]))
    >>> rules.look([GraphWindow(0.0, 1.0)], 2.0)
    []
    >>> [(alert.field, alert.state.value, alert.value) for alert in rules.look([GraphWindow(1.0, 2.0)], 2.0)]
    [('event_rate < 1', 'firing', 0.0)]
    """

    def __init__(self, monitor: Monitor, alerts: Alerts | None = None) -> None:
        self._rules = monitor.measured_rules
        self._alerts = alerts or Alerts()
        self._windows: dict[float, GraphWindow] = {}
        self._until = 0.0  # the beats that began before are judged

    def look(self, windows: Iterable[GraphWindow], before: float) -> list[Alert]:
        """The alerts that change with the beats that have ended by then; these windows are added first."""
        for window in windows:
            known = self._windows.get(window.start)
            self._windows[window.start] = window if known is None else known + window
        due = sorted(start for start, one in self._windows.items() if start >= self._until and one.end <= before)
        changed = [alert for start in due for alert in self._judged(self._windows[start])]
        if due:
            self._until = self._windows[due[-1]].end
            self._forget()
        return changed

    def to_plain(self) -> bytes:
        """How it stands, for whoever looks next."""
        return msgspec.msgpack.encode([self._alerts.to_plain(), list(self._windows.values()), self._until])

    def resume(self, content: bytes) -> None:
        """Go on from where another one stood."""
        alerts, windows, self._until = _STATE.decode(content)
        self._alerts = Alerts.from_plain(alerts)
        self._windows = {window.start: window for window in windows}

    def _judged(self, window: GraphWindow) -> list[Alert]:
        found: Found = {}
        judged: set[Subject] = set()
        for rule in self._rules:
            for at, field, breach in self._asked(rule, window):
                subject = (rule.name, at, field)
                judged.add(subject)
                if breach is not None:
                    found[subject] = (rule, breach)
        return self._alerts.look(window.start, found, judged)

    def _asked(self, rule: AlertRule, window: GraphWindow) -> Iterable[tuple[str, str, Breach | None]]:
        """What a rule says of the beat: the place, the field, what is wrong."""
        for queue, waiting in window.backlog.items():
            yield queue, "", rule.of_queue(queue, waiting)
        within = [one for one in self._ordered(window.end) if one.start >= window.end - rule.span - 1e-6]
        if rule.span and sum(one.end - one.start for one in within) >= COVERED * rule.span:
            yield "", rule.about, rule.of_measures(measures_of(within))

    def _ordered(self, until: float) -> list[GraphWindow]:
        return [self._windows[start] for start in sorted(self._windows) if start < until]

    def _forget(self) -> None:
        length = max(window.end - window.start for window in self._windows.values())
        oldest = self._until - max(rule.span for rule in self._rules) - LATE * length
        self._windows = {start: window for start, window in self._windows.items() if start >= oldest}
