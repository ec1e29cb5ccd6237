"""A Journey: one event's whole way through a long-lived run; an Item: a part of it that waits for its turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.interpret.pending import Pending
from nbgraph.engine.plan import Answers, Plan
from nbgraph.errors import StepError
from nbgraph.event import Event


class EventRun:
    """Counts the parts under way, on whichever threads; the last one to land settles the future."""

    def __init__(self, event: Event, future: Future[Any], ended: Callable[[], None]) -> None:
        self.event, self.future = event, future
        self.error: BaseException | None = None
        self._answers = Answers()
        self._ended = ended
        self._plan: Plan | None = None
        self._open = 1
        self._lock = threading.Lock()

    def begin(self, plan: Plan) -> None:
        """The event enters."""
        self._plan = plan
        for observer in plan.observers:
            observer.started(self.event)

    def fork(self) -> None:
        """A part of the way begins to wait somewhere."""
        with self._lock:
            self._open += 1

    def unfork(self) -> None:
        """It does not wait after all."""
        with self._lock:
            self._open -= 1

    @property
    def is_undivided(self) -> bool:
        """Whether only one part of the way is under way."""
        return self._open == 1

    def land(self, answers: Answers | None = None, error: BaseException | None = None) -> None:
        """A part of the way is at its end, with what it answered, or with an error."""
        with self._lock:
            self._open -= 1
            if answers is not None:
                self._answers.extend(answers)
                self._answers.late.extend(answers.late)
            self.error = self.error or error
            if self._open:
                return
        self._settle()

    def answer(self, answer: Any) -> None:
        """The event's whole way was run at once: its answer."""
        self.future.set_result(answer)
        self._ended()

    def cancel(self) -> None:
        """Nobody wants the answer, and nothing has run."""
        self._ended()

    def drop(self) -> None:
        """A part of the way goes no further; the future is cancelled."""
        if self._plan is not None or not self.future.cancel():
            self.land(error=CancelledError())
            return
        self.future.set_running_or_notify_cancel()
        self._ended()

    def _settle(self) -> None:
        if self._plan is not None:
            told = self.error if isinstance(self.error, StepError) else None
            for observer in self._plan.observers:
                observer.finished(self.event, self._answers.all(), told)
        if self.error is not None:
            self.future.set_exception(self.error)
        elif self._plan is not None:
            self.future.set_result(self._plan.answer_of(self.event, self._answers))
        self._ended()


@dataclass(eq=False, slots=True)
class WorkItem:
    """A part of a journey: it enters by the start, or stands before a step, where a queue or a hold has parked it."""

    journey: EventRun
    event: Event
    step: str | None = None
    visits: dict[str, int] | None = None
    walk: Interpreter | None = None  # what a step has let go by itself

    @property
    def has_begun(self) -> bool:
        """Whether something of the event has run already."""
        return self.step is not None or self.walk is not None

    def cancel(self) -> None:
        """It goes no further."""
        self.journey.drop()

    def walked(self, plan: Plan) -> tuple[Interpreter, Pending | None]:
        """Its walk, and the call that it stood before and that must not park it again."""
        if self.walk is not None:
            return self.walk, None
        walk = Interpreter(plan, self.event, plan.observers, enters=self.step is None)
        if self.step is None:
            return walk, None
        first = Pending(self.step, self.event)
        walk.waiting, walk.visits = [first], dict(self.visits or {})
        return walk, first


class Parking:
    """Where a walk of a run stops: `parked` takes what waits from now on, and tells whether it did."""

    __slots__ = ("_first", "_journey", "_parked", "walk")

    def __init__(
        self, walk: Interpreter, journey: EventRun, first: Pending | None, parked: Callable[[WorkItem], bool]
    ) -> None:
        self.walk, self._journey, self._first, self._parked = walk, journey, first, parked

    @property
    def is_last(self) -> bool:
        """Whether nothing of the event waits elsewhere."""
        return self._journey.is_undivided

    def has_parked(self) -> bool:
        """Take what comes next off the walk, if it has to wait somewhere; what it stood before at first has waited."""
        pending = self.walk.waiting[-1]
        if pending.chunks is not None or pending is self._first:
            return False
        self._journey.fork()
        item = WorkItem(self._journey, pending.event, pending.step, dict(self.walk.visits))
        if self._parked(item):
            self.walk.waiting.pop()
            return True
        self._journey.unfork()
        return False
