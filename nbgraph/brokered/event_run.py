"""Asked: an event on its way through parts, and all that came of it, in the order of a graph that is not cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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


class BrokeredEvent:
    """One event, until nothing of it is under way any more; then `done` is set, and `told` is called.

    >>> asked = BrokeredEvent(Event(1))
    >>> behind = EventPart(["b"])
    >>> asked.root.found = ["a", behind, "c"]
    >>> asked.answers()
    ['a', 'b', 'c']
    """

    def __init__(self, event: Event, told: Callable[[BrokeredEvent], None] | None = None) -> None:
        self.event = event
        self.root = EventPart()
        self.error: Exception | None = None
        self.done = asyncio.Event()
        self._told = told
        self._open = 0

    def begun(self) -> None:
        """One more branch is under way."""
        self._open += 1

    def ended(self) -> None:
        """One branch less is under way."""
        self._open -= 1
        if self._open == 0:
            self._end()

    def fail(self, error: Exception) -> None:
        """Nothing more of the event runs; of several errors the first one counts."""
        self.error = self.error or error

    def refuse(self, error: Exception) -> None:
        """It can't even enter."""
        self.error = error
        self._end()

    def answers(self) -> Answers:
        """All answers, or the error."""
        answers = Answers()
        self.root.gather(answers)
        if self.error is not None:
            raise self.error
        return answers

    def _end(self) -> None:
        if isinstance(self.error, StepError):
            found = Answers()
            self.root.gather(found)
            self.error.answer = next(iter(found.all()), None)
        self.done.set()
        if self._told is not None:
            self._told(self)
