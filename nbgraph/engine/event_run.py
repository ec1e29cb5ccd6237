"""EventRun: one event in flight, until none of its parts is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from nbgraph.event import Event


class EventRun:
    """The event, its first error, and the number of its open parts: branches that run or wait.

    Its kinds are `ScheduledEvent` (beside others at concurrent steps), `PushedEvent` (of a long-lived run) and
    `BrokeredEvent` (over the queues of a broker); they differ in where answers are stored.

    >>> run = EventRun(Event(1), lambda run: print("ended:", run.error))
    >>> run.fork(), run.fork(), run.land(ValueError("the first counts")), run.land(KeyError("b"))
    ended: the first counts
    (None, None, None, None)
    """

    __slots__ = ("error", "event", "on_end", "open")

    def __init__(self, event: Event, on_end: Callable[[Self], None] | None = None) -> None:
        self.event = event
        self.on_end: Callable[[Any], None] | None = on_end
        self.error: BaseException | None = None
        self.open = 0

    @property
    def is_undivided(self) -> bool:
        """Whether only one part is open."""
        return self.open == 1

    def fork(self) -> None:
        """Open one more part."""
        self.open += 1

    def land(self, error: BaseException | None = None) -> None:
        """Close a part; with the last one the event ends."""
        if error is not None and self.error is None:
            self.error = error
        self.open -= 1
        if not self.open:
            self.end()

    def fail(self, error: BaseException | None) -> None:
        """Record the error, unless there is one already."""
        if self.error is None:
            self.error = error

    def end(self) -> None:
        """Called when no part of the event is open any more."""
        if self.on_end is not None:
            self.on_end(self)
