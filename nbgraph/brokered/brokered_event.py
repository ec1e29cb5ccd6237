"""BrokeredEvent: an event on its way through parts, and its answers, in the order of a graph that is not cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nbgraph.engine.event_run import EventRun
from nbgraph.engine.plan import Answers
from nbgraph.errors import StepError
from nbgraph.event import Event


@dataclass(eq=False, slots=True)
class EventPart:
    """What came of an event in one part: answers, and branches in the places of what was handed on to a queue."""

    found: list[Any] = field(default_factory=list)
    late: list[Any] = field(default_factory=list)

    def __repr__(self) -> str:
        return "<handed on to a queue>"

    def ended(self, answers: Answers, sent: list[EventPart], *, is_answering: bool) -> None:
        """The part is done with the event."""
        self.found = [item for item in answers if is_answering or isinstance(item, EventPart)]
        self.late = answers.late
        placed = {id(item) for item in (*self.found, *self.late) if isinstance(item, EventPart)}
        self.found += [branch for branch in sent if id(branch) not in placed]

    def gather(self, answers: Answers) -> None:
        """Add all answers of this branch and those behind it."""
        for item in self.found:
            item.gather(answers) if isinstance(item, EventPart) else answers.append(item)
        for item in self.late:
            item.gather(answers) if isinstance(item, EventPart) else answers.late.append(item)


class BrokeredEvent(EventRun):
    """One event; `ended` is set when no branch of it is under way any more, in a part or in a queue.

    >>> run = BrokeredEvent(Event(1))
    >>> behind = EventPart(["b"])
    >>> run.root.found = ["a", behind, "c"]
    >>> run.answers()
    ['a', 'b', 'c']
    """

    __slots__ = ("ended", "root")

    def __init__(self, event: Event, on_end: Callable[[BrokeredEvent], None] | None = None) -> None:
        super().__init__(event, on_end)
        self.root = EventPart()
        self.ended = asyncio.Event()

    def answers(self) -> Answers:
        """All answers, or the error."""
        if self.error is not None:
            raise self.error
        return self._gathered()

    def end(self) -> None:
        if isinstance(self.error, StepError):
            self.error.answer = next(iter(self._gathered().all()), None)
        self.ended.set()
        super().end()

    def _gathered(self) -> Answers:
        answers = Answers()
        self.root.gather(answers)
        return answers
