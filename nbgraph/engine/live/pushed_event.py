"""PushedEvent: one event of a long-lived run, with its future; WorkItem: a waiting part of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

from nbgraph.engine.event_run import EventRun
from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.interpret.pending import Pending
from nbgraph.engine.plan import Answers, Plan
from nbgraph.errors import StepError
from nbgraph.event import Event


class PushedEvent(EventRun):
    """An event whose parts run on the threads of several regions; the last one to end settles the future."""

    __slots__ = ("_answers", "_lock", "_plan", "future")

    def __init__(self, event: Event, future: Future[Any], on_end: Callable[[EventRun], None]) -> None:
        super().__init__(event, on_end)
        self.future = future
        self.open = 1
        self._answers = Answers()
        self._plan: Plan | None = None
        self._lock = threading.Lock()

    def begin(self, plan: Plan) -> None:
        """Report that the event enters."""
        self._plan = plan
        for observer in plan.observers:
            observer.started(self.event)

    def fork(self) -> None:
        with self._lock:
            self.open += 1

    def unfork(self) -> None:
        """Merge the part opened last into the one it came from."""
        with self._lock:
            self.open -= 1

    def land(self, error: BaseException | None = None, answers: Answers | None = None) -> None:
        with self._lock:
            self.open -= 1
            if answers is not None:
                self._answers.extend(answers)
                self._answers.late.extend(answers.late)
            self.fail(error)
            if self.open:
                return
        self.end()

    def answer(self, answer: Any) -> None:
        """Settle the future of an event that ran at once, from begin to end."""
        self.future.set_result(answer)
        super().end()

    def cancel(self) -> None:
        """Cancel the future of an event of which nothing has run."""
        super().end()

    def drop(self) -> None:
        """Drop a part, and cancel the future."""
        if self._plan is not None or not self.future.cancel():
            self.land(CancelledError())
            return
        self.future.set_running_or_notify_cancel()
        super().end()

    def end(self) -> None:
        """Report the end to the observers, and settle the future."""
        if self._plan is not None:
            reported = self.error if isinstance(self.error, StepError) else None
            for observer in self._plan.observers:
                observer.finished(self.event, self._answers.all(), reported)
        if self.error is not None:
            self.future.set_exception(self.error)
        elif self._plan is not None:
            self.future.set_result(self._plan.answer_of(self.event, self._answers))
        super().end()


@dataclass(eq=False, slots=True)
class WorkItem:
    """A part of a pushed event that enters by the start, or waits in a queue or before a held step."""

    pushed: PushedEvent
    event: Event
    step: str | None = None
    visits: dict[str, int] | None = None
    interpreter: Interpreter | None = None  # of an event that a step has released by time

    @property
    def has_begun(self) -> bool:
        """Whether something of the event has run already."""
        return self.step is not None or self.interpreter is not None

    def cancel(self) -> None:
        """Drop it."""
        self.pushed.drop()

    def interpreter_of(self, plan: Plan) -> tuple[Interpreter, Pending | None]:
        """Its interpreter, and the call it waited for, which must not park it again."""
        if self.interpreter is not None:
            return self.interpreter, None
        interpreter = Interpreter(plan, self.event, plan.observers, enters=self.step is None)
        if self.step is None:
            return interpreter, None
        first = Pending(self.step, self.event)
        interpreter.waiting, interpreter.visits = [first], dict(self.visits or {})
        return interpreter, first


class RegionParking:
    """Decides where the interpreter of a region stops; `parked` takes an item and returns whether it has to wait."""

    __slots__ = ("_first", "_parked", "_pushed", "interpreter")

    def __init__(
        self, interpreter: Interpreter, pushed: PushedEvent, first: Pending | None, parked: Callable[[WorkItem], bool]
    ) -> None:
        self.interpreter, self._pushed, self._first, self._parked = interpreter, pushed, first, parked

    @property
    def is_last(self) -> bool:
        """Whether no other part of the event waits."""
        return self._pushed.is_undivided

    def has_parked(self) -> bool:
        """Take the next item off the interpreter if it has to wait; the first one has waited already."""
        pending = self.interpreter.waiting[-1]
        if pending.chunks is not None or pending is self._first:
            return False
        self._pushed.fork()
        item = WorkItem(self._pushed, pending.event, pending.step, dict(self.interpreter.visits))
        if self._parked(item):
            self.interpreter.waiting.pop()
            return True
        self._pushed.unfork()
        return False
