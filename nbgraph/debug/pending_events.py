"""Pending events: the further events of a debugged run, then the events that steps hold back."""

from __future__ import annotations

from typing import Any, Self

import msgspec
from msgspec.structs import replace

from nbgraph.debug.trace import Trace
from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.plan import Plan
from nbgraph.errors import StepError
from nbgraph.event import Event, entering
from nbgraph.failure import Failure
from nbgraph.types import Shape


class PendingEvent(msgspec.Struct, frozen=True):
    """An event by the start, or a `chunk` that a `step` held back and that goes on from there."""

    event: Event
    step: str = ""
    chunk: Any = None


class PendingEvents(msgspec.Struct, frozen=True, gc=False):
    """How far a list of events has come; `released` is what the step before the `holder`-th of the holders released.

    A list made of Events only is a stream: when it ends, steps release what they hold, those first that others follow.
    Anything else is one event.
    """

    events: tuple[Event, ...] = ()
    entered: int = 0
    is_stream: bool = False
    holder: int = 0
    released: tuple[Any, ...] = ()
    given: int = 0

    @classmethod
    def of(cls, events: Any) -> tuple[Event, Self]:
        """The first event, and what comes behind it."""
        if isinstance(events, list) and events and all(isinstance(event, Event) for event in events):
            all_ = tuple(map(entering, events))
            return all_[0], cls(all_, 1, is_stream=True)
        recorded = events.event if isinstance(events, Failure | Trace) else None
        event = entering(events) if recorded is None else recorded.with_body(recorded.body)
        return event, cls((event,), 1)

    @property
    def is_draining(self) -> bool:
        """Whether steps are to release what they hold, now that nothing else is left."""
        return self.is_stream and self.entered == len(self.events) and self.given == len(self.released)

    def next(self, plan: Plan) -> tuple[Self, PendingEvent] | None:
        """What enters next, and what comes behind it; None at the end."""
        if self.entered < len(self.events):
            return replace(self, entered=self.entered + 1), PendingEvent(self.events[self.entered])
        found = self
        while found.given == len(found.released):
            if not found.is_draining or found.holder == len(plan.holders):
                return None
            release = plan.steps[plan.holders[found.holder]].call.release
            chunks = tuple(release()) if release is not None else ()
            found = replace(found, holder=found.holder + 1, released=chunks, given=0)
        name = plan.holders[found.holder - 1]
        return replace(found, given=found.given + 1), _entry(plan, name, found.released[found.given])


def _entry(plan: Plan, step: str, chunk: Any) -> PendingEvent:
    event = chunk if isinstance(chunk, Event) else Event(chunk)
    return PendingEvent(event, step, event if plan.steps[step].call.shape is Shape.EVENTS else event.body)


class Lifecycle:
    """Notifies the observers when an event enters and when it is done; also when a debugger is left in the middle."""

    def __init__(self) -> None:
        self._open: Interpreter | None = None

    def update(self, run: Interpreter, error: StepError | None = None) -> None:
        """The run as it stands now: under way, or at its end; stepping back from there opens it again."""
        if self._open is not None and self._open.event is not run.event:
            self.close()
        if self._open is None:
            run.begun()
        self._open = run if run.waiting else None
        if self._open is None:
            run.ended(error)

    def close(self) -> None:
        if self._open is not None:
            self._open.ended()
            self._open = None
