"""Alert: a rule that holds, from the first window in which it did to the one that resolves it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from nbgraph.event import Event
from nbgraph.monitor.rule import AlertRule, Breach
from nbgraph.monitor.statistics.limit import INSIDE
from nbgraph.steps.windows.spec import duration

if TYPE_CHECKING:
    from nbgraph.debug.trace import Trace

NAMESPACE = "alert"


class AlertState(StrEnum):
    """Pending: it holds, and not for long enough. Withdrawn: it was pending and holds no more."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Alert:
    """A rule that holds.

    Parameters
    ----------
    name
        The rule: `"drift"`, `"missing"`.
    at
        The edge, step or graph that it is about.
    field
        The field, or the measure; empty where it is about no one field.
    state
        `"pending"`, `"firing"`, `"resolved"`, or `"withdrawn"`.
    since
        When the first window in which it held began.
    value, limit
        What was found, and what it is beyond, in the last window in which it held.
    text
        A sentence that tells it.
    ids
        The events that it is about, as far as they were kept.
    """

    name: str
    at: str
    field: str
    state: AlertState
    since: float
    value: float
    limit: float
    text: str
    ids: tuple[str, ...] = ()
    _traces: Callable[[Alert], Sequence[Trace]] | None = dataclasses.field(default=None, compare=False, repr=False)
    _silence: Callable[[Alert, float], None] | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def id(self) -> str:
        """The same for whoever tells it, and told again, so that a handler may know that it has seen it."""
        return ":".join((self.name, self.at, self.field, f"{self.since:.3f}", self.state))

    def events(self) -> list[Trace]:
        """The events that it is about, each as it stood before the step behind the edge; for `graph.debug`."""
        return list(self._traces(self)) if self._traces is not None else []

    def with_events(
        self,
        ids: tuple[str, ...],
        traces: Callable[[Alert], Sequence[Trace]],
        silence: Callable[[Alert, float], None],
    ) -> Alert:
        """The alert with its events, and with what silences it."""
        return replace(self, ids=ids, _traces=traces, _silence=silence)

    def silence(self, span: str) -> None:
        """Tell its handlers nothing of it for a while.

        Parameters
        ----------
        span
            How long: `"2h"`.
        """
        if self._silence is not None:
            self._silence(self, duration(span))

    def body(self) -> dict[str, Any]:
        """What its handlers get."""
        return {
            "name": self.name,
            "at": self.at,
            "field": self.field,
            "state": self.state.value,
            "value": self.value,
            "limit": self.limit,
            "since": self.since,
            "text": self.text,
            "events": list(self.ids),
        }

    def event(self) -> Event:
        """The event that travels to its handlers."""
        return Event(self.body(), id=self.id, headers={"nbgraph-kind": NAMESPACE})


Subject = tuple[str, str, str]  # rule, place, field


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a rule stands at one place: windows in a row in which it held, or did not since."""

    alert: Alert
    held: int = 1
    inside: int = 0


class Alerts:
    """What rules found, window by window, becomes alerts: after so many windows in a row, until it has been good again.

    >>> from nbgraph.monitor.rule import Drift
    >>> alerts, subject, breach = Alerts(), ("drift", "a -> b", "x"), Breach(0.3, 0.1, "drifted")
    >>> [alert.state.value for alert in alerts.look(0.0, {subject: (Drift(), breach)}, {subject})]
    ['pending']
    >>> [alert.state.value for alert in alerts.look(60.0, {subject: (Drift(), breach)}, {subject})]
    ['firing']
    """

    def __init__(self) -> None:
        self._standing: dict[Subject, _Standing] = {}
        self._silent: dict[Subject, float] = {}

    @property
    def open(self) -> list[Alert]:
        """Those that are pending or firing."""
        return [one.alert for one in self._standing.values()]

    def look(self, start: float, found: dict[Subject, tuple[AlertRule, Breach]], judged: set[Subject]) -> list[Alert]:
        """What changes with a window that begins at `start`; only what was `judged` in it counts as good again."""
        changed = [self._holds(start, subject, rule, breach) for subject, (rule, breach) in found.items()]
        quiet = [subject for subject in self._standing if subject in judged and subject not in found]
        changed += [self._is_inside(subject) for subject in quiet]
        return [alert for alert in changed if alert is not None]

    def silence(self, subject: Subject, until: float) -> None:
        """Tell nobody of it until then."""
        self._silent[subject] = until

    def is_silent(self, alert: Alert, now: float | None = None) -> bool:
        """Whether nobody is to be told of it now."""
        return self._silent.get(subject_of(alert), 0.0) > (time.time() if now is None else now)

    def to_plain(self) -> list[Any]:
        """How all rules stand, for whoever evaluates next."""
        rows = [[list(subject), one.alert.body(), one.held, one.inside] for subject, one in self._standing.items()]
        return [rows, [[list(subject), until] for subject, until in self._silent.items()]]

    @classmethod
    def from_plain(cls, document: Sequence[Any]) -> Alerts:
        """What `to_plain` told."""
        alerts = cls()
        for subject, body, held, inside in document[0]:
            alerts._standing[_subject(subject)] = _Standing(alert_of(body), held, inside)
        alerts._silent = {_subject(subject): until for subject, until in document[1]}
        return alerts

    def _holds(self, start: float, subject: Subject, rule: AlertRule, breach: Breach) -> Alert | None:
        before = self._standing.get(subject)
        held = 1 if before is None else before.held + 1
        state = AlertState.FIRING if held >= rule.in_a_row or _is_firing(before) else AlertState.PENDING
        since = start if before is None else before.alert.since
        alert = Alert(*subject, state, since, breach.value, breach.limit, breach.text)
        self._standing[subject] = _Standing(alert, held)
        return alert if before is None or before.alert.state is not state else None

    def _is_inside(self, subject: Subject) -> Alert | None:
        standing = self._standing[subject]
        if not _is_firing(standing):
            del self._standing[subject]
            return replace(standing.alert, state=AlertState.WITHDRAWN)
        if standing.inside + 1 < INSIDE:
            self._standing[subject] = replace(standing, held=0, inside=standing.inside + 1)
            return None
        del self._standing[subject]
        return replace(standing.alert, state=AlertState.RESOLVED)


def subject_of(alert: Alert) -> Subject:
    """What it is about."""
    return alert.name, alert.at, alert.field


def alert_of(body: dict[str, Any]) -> Alert:
    """The alert that its body tells."""
    return Alert(
        body["name"],
        body["at"],
        body["field"],
        AlertState(body["state"]),
        body["since"],
        body["value"],
        body["limit"],
        body["text"],
        tuple(body["events"]),
    )


def _subject(given: Sequence[str]) -> Subject:
    name, at, field = given
    return name, at, field


def _is_firing(standing: _Standing | None) -> bool:
    return standing is not None and standing.alert.state is AlertState.FIRING
