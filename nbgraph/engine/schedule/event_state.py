"""A Ticket: one event on its way among others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbgraph.engine.plan import Answers
from nbgraph.event import Event

if TYPE_CHECKING:
    from nbgraph.engine.interpret.interpreter import Interpreter
    from nbgraph.engine.live.event_run import Parking


class EventState(Answers):
    """Its answers so far, where it is parked, how many of its calls are under way; its error at the end."""

    __slots__ = ("done", "error", "event", "open", "parked", "stops", "walk")

    def __init__(self, event: Event, done: Callable[[EventState], None] | None = None) -> None:
        super().__init__()
        self.event, self.done = event, done
        self.parked: list[tuple[str, Any, Event]] = []
        self.open = 0
        self.error: Exception | None = None
        self.walk: Interpreter | None = None
        self.stops: Parking | None = None  # of a run, which tells of the walk's begin and end itself

    def park(self, step: str, body: Any, event: Event | None) -> None:
        """Called by the generated code where a stage begins."""
        self.parked.append((step, body, event if event is not None else self.event))
