"""EventRun: one event under way, until no part of it is open any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from nbgraph.event import Event


class EventRun:
    """The event, its first error, and the number of its open parts: branches that run or wait somewhere.

    Its kinds are `ScheduledEvent` (beside others at concurrent steps), `PushedEvent` (of a long-lived run) and
    `BrokeredEvent` (over the queues of a broker); they differ in where the answers are kept.

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
        """Whether one part alone is open."""
        return self.open == 1

    def fork(self) -> None:
        """One more part is open."""
        self.open += 1

    def land(self, error: BaseException | None = None) -> None:
        """A part has come to its end; with the last one the event ends."""
        if error is not None and self.error is None:
            self.error = error
        self.open -= 1
        if not self.open:
            self.end()

    def fail(self, error: BaseException | None) -> None:
        """Keep the error, unless there is one already."""
        if self.error is None:
            self.error = error

    def end(self) -> None:
        """Nothing of the event is under way any more."""
        if self.on_end is not None:
            self.on_end(self)
