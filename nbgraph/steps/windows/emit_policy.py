"""Held: what AggregateByKey keeps back under an emit policy, and when it lets go."""

from __future__ import annotations

import math
import time as clocks
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from nbgraph.event import Event
from nbgraph.steps.windows.emit import AfterDelay, AfterMaxEvent, AfterPeriod, EmitPolicy
from nbgraph.steps.windows.spec import FieldAggregator, duration
from nbgraph.types import Clock

Held = dict[Any, Any]  # the part of the step's state that belongs to its policy


class HeldAggregation(Protocol):
    """What a policy asks of the step that it belongs to."""

    state: dict[str, Any]

    def ended(self, seconds: float, time: Any) -> Iterable[Event]:
        """An event for each key that has something in its windows as they end at a time."""


class Policy(Protocol):
    """How a policy is asked: before an event is aggregated, after it, and at the end."""

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
        return self._step.state["held"]  # type: ignore[no-any-return]

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
    """Lets every key's values go when event time has come past the end of a period, and a delay."""

    def __init__(
        self, step: HeldAggregation, period: int, delay: float, arrival: Callable[[], float] | None, clock: Clock
    ):
        self._step, self._period, self._delay = step, period, delay
        self._arrival, self._clock = arrival, clock  # arrival: today's time, where events are put by when they came

    @property
    def _held(self) -> Held:
        return self._step.state["held"]  # type: ignore[no-any-return]

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
        """The period that was not over when the stream was, and those before it that still waited for late events."""
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


def policy_at_work(
    policy: EmitPolicy, step: HeldAggregation, aggregators: Sequence[FieldAggregator], clock: Clock, *, by_arrival: bool
) -> Policy:
    """The policy as something that holds events back; `by_arrival` tells that windows go by when events came."""
    if isinstance(policy, AfterMaxEvent):
        return LastOfKey(step, policy.max_events, policy.timeout_secs, clock)
    if isinstance(policy, AfterDelay):
        return LastOfKey(step, None, policy.delay_in_seconds, clock)
    if isinstance(policy, AfterPeriod):
        period = min(spans.period for aggregator in aggregators for spans in aggregator.spans())
    else:
        period = min(duration(window) for aggregator in aggregators for window in aggregator.windows.windows)
    return EndOfPeriod(step, period, getattr(policy, "delay_in_seconds", 0), clocks.time if by_arrival else None, clock)
