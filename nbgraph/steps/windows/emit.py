"""Emit: when AggregateByKey emits the values of its windows: the policies, and what holds events back for them."""

from __future__ import annotations

import math
import time as clocks
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.steps.windows.spec import FieldAggregator, duration
from nbgraph.types import Clock, Section

__all__ = [
    "AfterDelay",
    "AfterMaxEvent",
    "AfterPeriod",
    "AfterWindow",
    "EmitAfterDelay",
    "EmitAfterMaxEvent",
    "EmitAfterPeriod",
    "EmitAfterWindow",
    "EmitEveryEvent",
    "EveryEvent",
]


@dataclass(frozen=True)
class EveryEvent:
    """Every event goes on with its columns; the default."""

    section: ClassVar[Section] = Section.WINDOWS


@dataclass(frozen=True)
class AfterMaxEvent:
    """Of each key every n-th event goes on; after `timeout_secs` of waiting, and at the end, the last there is.

    Parameters
    ----------
    max_events
        Events of a key, of which the last goes on.
    timeout_secs
        Seconds after which the last goes on although there are fewer.
    """

    section: ClassVar[Section] = Section.WINDOWS

    max_events: int
    timeout_secs: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.max_events, int) or self.max_events < 1:
            raise GraphError(f"AfterMaxEvent got max_events={self.max_events!r}; expected a whole number from 1.")


@dataclass(frozen=True)
class AfterPeriod:
    """At the end of every period each key gives one event, with its windows as they end there.

    A period ends when an event comes whose time is `delay_in_seconds` or more past its end, so that late events count.

    Parameters
    ----------
    delay_in_seconds
        Seconds of event time by which the end is put off for late events.
    """

    section: ClassVar[Section] = Section.WINDOWS

    delay_in_seconds: float = 0


@dataclass(frozen=True)
class AfterWindow:
    """As AfterPeriod, at the end of every window; where there are several, of the shortest.

    Parameters
    ----------
    delay_in_seconds
        Seconds of event time by which the end is put off for late events.
    """

    section: ClassVar[Section] = Section.WINDOWS

    delay_in_seconds: float = 0


@dataclass(frozen=True)
class AfterDelay:
    """Of each key the last event goes on, so long after the first that was held back.

    Parameters
    ----------
    delay_in_seconds
        Seconds from the first event that was held back.
    """

    section: ClassVar[Section] = Section.WINDOWS

    delay_in_seconds: float


# As Storey calls them.
EmitEveryEvent, EmitAfterMaxEvent, EmitAfterPeriod = EveryEvent, AfterMaxEvent, AfterPeriod
EmitAfterWindow, EmitAfterDelay = AfterWindow, AfterDelay

EmitPolicy = EveryEvent | AfterMaxEvent | AfterPeriod | AfterWindow | AfterDelay
KINDS = (EveryEvent, AfterMaxEvent, AfterPeriod, AfterWindow, AfterDelay)

_MODES: dict[str, tuple[type[Any], dict[str, str]]] = {
    "everyEvent": (EveryEvent, {}),
    "maxEvents": (AfterMaxEvent, {"maxEvents": "max_events"}),
    "afterPeriod": (AfterPeriod, {"delay": "delay_in_seconds"}),
    "afterWindow": (AfterWindow, {"delay": "delay_in_seconds"}),
    "afterDelay": (AfterDelay, {"delay": "delay_in_seconds"}),
}


def policy_of(given: EmitPolicy | Mapping[str, Any] | None) -> EmitPolicy:
    """The policy itself, or the one a dict means, in which MLRun's specs have them.

    >>> policy_of(None), policy_of({"mode": "maxEvents", "maxEvents": 3})
    (EveryEvent(), AfterMaxEvent(max_events=3, timeout_secs=None))
    """
    if given is None:
        return EveryEvent()
    if isinstance(given, KINDS):
        return given
    if not isinstance(given, Mapping) or given.get("mode") not in _MODES:
        raise GraphError(
            f"AggregateByKey got emit_policy={given!r}; expected one of "
            f"{', '.join(kind.__name__ for kind in KINDS)}, or a dict with the mode {', '.join(_MODES)}."
        )
    kind, words = _MODES[given["mode"]]
    rest = {key: value for key, value in given.items() if key != "mode"}
    if unknown := set(rest) - set(words):
        raise GraphError(
            f"The emit policy {given!r} has {', '.join(sorted(unknown))}; known: {', '.join(words) or 'none'}."
        )
    policy: EmitPolicy = kind(**{words[key]: value for key, value in rest.items()})
    return policy


Held = dict[Any, Any]  # the part of the step's state that belongs to its policy


class HeldAggregation(Protocol):
    """What an emitter needs of the step that it belongs to."""

    state: dict[str, Any]

    def ended(self, seconds: float, time: Any) -> Iterable[Event]:
        """An event for each key that has something in its windows as they end at a time."""


class WindowEmitter(Protocol):
    """Holds events back for a policy: asked before an event is aggregated, after it, and at the end."""

    def before(self, seconds: float, time: Any) -> list[Event]: ...
    def after(self, key: Any, event: Event) -> list[Event]: ...
    def release(self) -> list[Event]: ...
    def overdue(self) -> list[Event]: ...
    def due(self) -> float | None: ...


class LastOfKey:
    """Keeps the last event of each key until there were `max_events`, or `seconds` have gone by since the first."""

    def __init__(self, step: HeldAggregation, max_events: int | None, seconds: float | None, clock: Clock) -> None:
        self._step, self._max_events, self._seconds, self._clock = step, max_events, seconds, clock

    @property
    def _held(self) -> dict[Any, tuple[int, float, Event]]:
        held: dict[Any, tuple[int, float, Event]] = self._step.state["held"]
        return held

    def before(self, seconds: float, time: Any) -> list[Event]:
        return self.overdue()

    def after(self, key: Any, event: Event) -> list[Event]:
        number, since, _ = self._held.get(key) or (0, self._clock(), event)
        self._held[key] = (number + 1, since, event)
        return [self._held.pop(key)[2]] if number + 1 == self._max_events else []

    def overdue(self) -> list[Event]:
        if self._seconds is None:
            return []
        limit = self._clock() - self._seconds
        late = [key for key, (_, since, _) in dict.items(self._held) if since <= limit]  # see Batch._late
        return [self._held.pop(key)[2] for key in late]

    def release(self) -> list[Event]:
        return [self._held.pop(key)[2] for key in list(self._held)]

    def due(self) -> float | None:
        if self._seconds is None or not self._held:
            return None
        return min(since for _, since, _ in dict.values(self._held)) + self._seconds


class EndOfPeriod:
    """Emits every key's values when event time has passed the end of a period, and a delay."""

    def __init__(
        self, step: HeldAggregation, period: int, delay: float, arrival: Callable[[], float] | None, clock: Clock
    ):
        self._step, self._period, self._delay = step, period, delay
        self._arrival, self._clock = arrival, clock  # arrival: the time of day, where windows go by it

    @property
    def _held(self) -> Held:
        held: Held = self._step.state["held"]
        return held

    def before(self, seconds: float, time: Any) -> list[Event]:
        held = self._held
        held.setdefault("end", self._end_after(seconds))
        held["time"], held["now"] = time, max(seconds, held.get("now", seconds))
        return self._until(seconds - self._delay)

    def after(self, key: Any, event: Event) -> list[Event]:
        return []

    def overdue(self) -> list[Event]:
        assert self._arrival is not None
        return self._until(self._arrival() - self._delay)

    def release(self) -> list[Event]:
        """The period that had not ended with the stream, and those before it that still waited for late events."""
        held = self._held
        if "end" not in held:
            return []
        events = [*self._until(held["now"]), *self._step.ended(held["end"], held["time"])]
        held.clear()
        return events

    def due(self) -> float | None:
        if self._arrival is None or "end" not in self._held:
            return None
        left: float = self._held["end"] + self._delay - self._arrival()
        return self._clock() + max(left, 0.0)

    def _until(self, now: float) -> list[Event]:
        events: list[Event] = []
        held = self._held
        while held["end"] <= now:
            ended = list(self._step.ended(held["end"], held["time"]))
            events += ended
            held["end"] = held["end"] + self._period if ended else self._end_after(now)
        return events

    def _end_after(self, seconds: float) -> float:
        return (math.floor(seconds / self._period) + 1) * self._period


def emitter_of(
    policy: EmitPolicy, step: HeldAggregation, aggregators: Sequence[FieldAggregator], clock: Clock, *, by_arrival: bool
) -> WindowEmitter:
    """What holds events back as a policy says; with `by_arrival` the times of windows are those of arrival."""
    if isinstance(policy, AfterMaxEvent):
        return LastOfKey(step, policy.max_events, policy.timeout_secs, clock)
    if isinstance(policy, AfterDelay):
        return LastOfKey(step, None, policy.delay_in_seconds, clock)
    if isinstance(policy, AfterPeriod):
        period = min(spans.period for aggregator in aggregators for spans in aggregator.spans())
    else:
        period = min(duration(window) for aggregator in aggregators for window in aggregator.windows.windows)
    return EndOfPeriod(step, period, getattr(policy, "delay_in_seconds", 0), clocks.time if by_arrival else None, clock)
