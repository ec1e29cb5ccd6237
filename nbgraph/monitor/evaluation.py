"""Evaluation: windows, merged over all workers, become verdicts, and what rules find in them becomes alerts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from nbgraph.monitor.alert import Alert, Alerts, Subject
from nbgraph.monitor.baseline import Baseline
from nbgraph.monitor.counting import segment
from nbgraph.monitor.counting.edges import before
from nbgraph.monitor.counting.step_tally import MARK, step_window
from nbgraph.monitor.counting.tally import EdgeCounts
from nbgraph.monitor.monitor import Monitor
from nbgraph.monitor.profile import Profile
from nbgraph.monitor.rule import AlertRule, Breach, Drift, FieldWindow, StepWindow
from nbgraph.monitor.statistics.limit import IN_A_ROW, LEAST_EVENTS, Verdict, verdicts

if TYPE_CHECKING:
    import pandas as pd

_STATE: msgspec.msgpack.Decoder[tuple[list[Any], list[tuple[str, str, int]], list[EdgeCounts]]] = (
    msgspec.msgpack.Decoder(tuple[list[Any], list[tuple[str, str, int]], list[EdgeCounts]])
)
COLUMNS = ("edge", "field", "start", "count", "distance", "floor", "limit", "p", "drifted", "first")
Found = dict[Subject, tuple[AlertRule, Breach]]


@dataclass(frozen=True, slots=True)
class DriftRow:
    """The verdict of a field in a window; `drifted` where it is the second in a row that is beyond its limit."""

    edge: str
    field: str
    start: float
    end: float
    verdict: Verdict
    drifted: bool


class Evaluation:
    """Windows in their order; those with few events are added to the next ones of their edge.

    >>> import pandas as pd
    >>> baseline = Baseline.of(pd.DataFrame({"x": [float(n) for n in range(1000)]}), at="a -> b")
    >>> Evaluation(Monitor(baseline), baseline).look([EdgeCounts("a -> b", 0.0, 60.0, 10)])
    []
    """

    def __init__(self, monitor: Monitor, baseline: Baseline, alerts: Alerts | None = None) -> None:
        self._monitor, self._baseline = monitor, baseline
        self.alerts = alerts or Alerts()
        self.rows: list[DriftRow] = []
        self._waiting: dict[str, EdgeCounts] = {}
        self._beyond: dict[tuple[str, str], int] = {}  # windows in a row in which a field is beyond its limit
        self._fields = sum(len(profile) for profile in baseline.edges.values())
        drift = next((rule for rule in monitor.watched_rules if isinstance(rule, Drift)), Drift())
        self._floor = drift.limit

    def look(
        self,
        windows: Iterable[EdgeCounts],
        steps: Sequence[StepWindow] = (),
        quality: Mapping[str, float] | None = None,
    ) -> list[Alert]:
        """The alerts that change with these windows."""
        changed: list[Alert] = []
        windows = list(windows)
        steps = [*steps, *(step_window(window) for window in windows if window.edge.startswith(MARK))]
        for window in windows:
            if window.edge.startswith(MARK) or segment.MARK in window.edge:
                continue
            whole = self._gathered(window)
            if whole is not None:
                changed += self._look_at_edge(whole)
        return [*changed, *self._look_at_steps(steps), *self._look_at_quality(quality or {})]

    def drift(self, since: float = 0.0) -> pd.DataFrame:
        """The verdicts of the windows that end after `since`, a row a field; `first` is the first edge that drifts."""
        return drift_frame([row for row in self.rows if row.end >= since])

    def forget(self, until: float) -> None:
        """Let go the verdicts of windows that have ended by then."""
        self.rows = [row for row in self.rows if row.end > until]

    def to_plain(self) -> bytes:
        """How it stands, for whoever evaluates next."""
        beyond = [(edge, name, held) for (edge, name), held in self._beyond.items() if held]
        return msgspec.msgpack.encode([self.alerts.to_plain(), beyond, list(self._waiting.values())])

    def resume(self, content: bytes) -> None:
        """Go on from where another one stood."""
        alerts, beyond, waiting = _STATE.decode(content)
        self.alerts = Alerts.from_plain(alerts)
        self._beyond = {(edge, name): held for edge, name, held in beyond}
        self._waiting = {one.edge: one for one in waiting}

    def _gathered(self, window: EdgeCounts) -> EdgeCounts | None:
        waiting = self._waiting.pop(window.edge, None)
        whole = window if waiting is None else waiting + window
        if whole.events >= LEAST_EVENTS:
            return whole
        self._waiting[window.edge] = whole
        return None

    def _look_at_edge(self, window: EdgeCounts) -> list[Alert]:
        base = self._baseline.find(window.edge)
        if base is None:
            return []
        now = window.profile(base)
        found: Found = {}
        judged: set[Subject] = set()
        for seen in self._judged(now, base, window):
            for rule in self._monitor.watched_rules:
                judged |= self._with(rule, now.edge, seen.field, rule.of_field(seen), found)
        for rule in self._monitor.watched_rules:
            for field, breach in rule.of_edge(now, base).items():
                judged |= self._with(rule, now.edge, field, breach, found)
        judged |= set(self._standing_at(now.edge, base))
        return self.alerts.look(window.start, found, judged)

    def _standing_at(self, edge: str, base: Profile) -> Iterable[Subject]:
        """What stands about fields that the baseline does not have: they were looked at, too."""
        for alert in self.alerts.open:
            if alert.at == edge and alert.field not in base:
                yield alert.name, alert.at, alert.field

    def _judged(self, now: Profile, base: Profile, window: EdgeCounts) -> list[FieldWindow]:
        names = list(now)
        limits = [self._baseline.limit(now.edge, name) for name in names]
        found = verdicts(
            [now[name].judged() for name in names],
            [base[name].judged() for name in names],
            limits,
            self._fields,
            self._floor,
        )
        for name, verdict in zip(names, found, strict=True):
            if verdict is not None:
                held = self._beyond.get((now.edge, name), 0) + 1 if verdict.drifted else 0
                self._beyond[now.edge, name] = held
                drifted = held >= IN_A_ROW
                self.rows.append(DriftRow(now.edge, name, window.start, window.end, verdict, drifted))
        pairs = zip(names, found, strict=True)
        return [FieldWindow(now.edge, name, now[name], base[name], verdict) for name, verdict in pairs]

    def _look_at_steps(self, steps: Sequence[StepWindow]) -> list[Alert]:
        found: Found = {}
        judged: set[Subject] = set()
        rules = [rule for rule in self._monitor.watched_rules if rule.has_steps]
        for window in steps:
            for rule in rules:
                judged |= self._with(rule, window.step, "", rule.of_step(window), found)
        return self.alerts.look(steps[0].start, found, judged) if steps else []

    def _look_at_quality(self, quality: Mapping[str, float]) -> list[Alert]:
        found: Found = {}
        judged: set[Subject] = set()
        for rule in self._monitor.watched_rules if quality else ():
            if rule.has_labels:
                judged |= self._with(rule, "", rule.about, rule.of_quality(quality), found)
        return self.alerts.look(quality.get("start", 0.0), found, judged) if judged else []

    @staticmethod
    def _with(rule: AlertRule, at: str, field: str, breach: Breach | None, found: Found) -> set[Subject]:
        subject = (rule.name, at, field)
        if breach is not None:
            found[subject] = (rule, breach)
        return {subject}


def drift_frame(rows: Sequence[DriftRow]) -> pd.DataFrame:
    """Verdicts as a table; `first` where no edge before drifts in the same window."""
    import pandas as pd

    earlier = before(dict.fromkeys(row.edge for row in rows))
    rows = sorted(rows, key=lambda row: (row.start, len(earlier[row.edge]), row.edge, row.field))
    drifting: dict[float, set[str]] = {}
    for row in rows:
        if row.drifted:
            drifting.setdefault(row.start, set()).add(row.edge)
    table: list[tuple[Any, ...]] = [
        (
            row.edge,
            row.field,
            row.start,
            row.verdict.count,
            row.verdict.distance,
            row.verdict.noise,
            row.verdict.limit,
            row.verdict.p,
            row.drifted,
            row.drifted and not (earlier[row.edge] & drifting[row.start]),
        )
        for row in rows
    ]
    return pd.DataFrame(table, columns=list(COLUMNS))
