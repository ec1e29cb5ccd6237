"""Checkpoints: the state of a run before each move, from which the run can be continued.

They share what did not change: a waiting body is copied once, answers are stored once and counted. So memory grows
linearly with the number of moves.
"""

from __future__ import annotations

from typing import Any

import msgspec

from nbgraph.debug.copies import PLAIN, Copies, UncopiedError, is_unchanged
from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.interpret.pending import Pending
from nbgraph.engine.plan import Plan
from nbgraph.event import Event
from nbgraph.types import Shape

EVENTFUL = (Shape.EVENT, Shape.EVENTS)  # steps of these may change the Event itself


class WaitingItem(msgspec.Struct, frozen=True, gc=False):
    """An entry of the stack, its body a copy, on top of all `below`.

    `why` is the reason if it could not be copied: then the body is the original.
    """

    pending: Pending
    below: WaitingItem | None
    why: str = ""

    @property
    def body(self) -> Any:
        return self.pending.event.body


class Checkpoint(msgspec.Struct, frozen=True, gc=False):
    """The run, its waiting items, the visits of the next step, and the number of answers."""

    run: Interpreter
    plan: Plan
    top: WaitingItem
    visits: int
    answers: int
    late: int

    @property
    def step(self) -> str:
        return self.top.pending.step


class Checkpoints:
    """Takes checkpoints of the runs of events, and restores them."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._stack: list[tuple[Pending, WaitingItem]] = []  # waiting items at the last checkpoint
        self._answers: list[Any] = []  # copies of the run's answers
        self._late: list[Any] = []
        self._walk: Interpreter | None = None

    def take(self, run: Interpreter) -> Checkpoint:
        """A checkpoint of a run that has not ended."""
        self._update(run)
        _, top = self._stack[-1]
        visits = run.visits.get(top.pending.step, 0)
        return Checkpoint(run, run.plan, top, visits, len(run.answers), len(run.answers.late))

    def undo(self, checkpoint: Checkpoint) -> None:
        """Undo the counts of a move; the run itself is restored once, by `restore`."""
        run, step = checkpoint.run, checkpoint.step
        if checkpoint.visits:
            run.visits[step] = checkpoint.visits
        else:
            run.visits.pop(step, None)

    def restore(self, checkpoint: Checkpoint) -> Interpreter:
        """Restore the run."""
        run, copies = checkpoint.run, dict[int, Any]()
        self._stack = []
        found: WaitingItem | None = checkpoint.top
        while found is not None:
            body = found.body
            if id(body) not in copies:  # branches that shared a body share its copy
                copies[id(body)] = body if found.why else self._copies.copy(body)
            event = found.pending.event.with_body(copies[id(body)])
            self._stack.append((_with_event(event, found.pending), found))
            found = found.below
        self._stack.reverse()
        run.plan, run.waiting = checkpoint.plan, [pending for pending, _ in self._stack]
        self._restore_answers(run, checkpoint)
        return run

    def _update(self, run: Interpreter) -> None:
        """Update the stack to the waiting items; unchanged entries are kept."""
        if self._walk is not run:
            self._walk, self._stack, self._answers, self._late = run, [], [], []
        known = self._same(run.waiting) if self._stack else 0
        if known:
            del self._stack[known:]
        else:
            self._stack = []
        if len(run.waiting) == 1:
            if not known:
                self._stack.append((run.waiting[0], self._waiting(run, run.waiting[0], None, None)))
        else:
            self._update_several(run, known)
        answers, late = run.answers, run.answers.late
        if len(answers) > len(self._answers):
            self._answers.extend(map(self._copies.copy_or_same, answers[len(self._answers) :]))
        if len(late) > len(self._late):
            self._late.extend(map(self._copies.copy_or_same, late[len(self._late) :]))

    def _update_several(self, run: Interpreter, known: int) -> None:
        """The entries from `known` on; branches that share a body share its copy."""
        bodies = {id(pending.event.body): waiting for pending, waiting in self._stack}
        top = next((waiting for _, waiting in reversed(self._stack)), None)
        for pending in run.waiting[known:]:
            top = waiting = self._waiting(run, pending, top, bodies.get(id(pending.event.body)))
            bodies[id(pending.event.body)] = waiting
            self._stack.append((pending, waiting))

    def _same(self, pending: list[Pending]) -> int:
        """The number of entries from the bottom that are unchanged."""
        count = 0
        for now, (before, waiting) in zip(pending, self._stack, strict=False):
            if now is not before or not (waiting.why or is_unchanged(waiting.body, now.event.body)):
                break
            count += 1
        return count

    def _waiting(
        self, run: Interpreter, pending: Pending, below: WaitingItem | None, sharing: WaitingItem | None
    ) -> WaitingItem:
        why = ""
        step = run.plan.steps.get(pending.step)
        if type(pending.event.body) in PLAIN and step is not None and step.call.shape not in EVENTFUL:
            return WaitingItem(pending, below)  # immutable
        if sharing is not None:
            body, why = sharing.body, sharing.why
        else:
            try:
                body = self._copies.copy(pending.event.body)
            except UncopiedError as error:
                body, why = pending.event.body, str(error)
        return WaitingItem(_with_event(pending.event.with_body(body), pending), below, why)

    def _restore_answers(self, run: Interpreter, checkpoint: Checkpoint) -> None:
        """Restore copies of the answers: a later step may have changed one in place."""
        if self._walk is not run:  # the run of an earlier event
            self._walk, self._answers, self._late = run, list(run.answers), list(run.answers.late)
        self._restore_list(self._answers, run.answers, checkpoint.answers)
        self._restore_list(self._late, run.answers.late, checkpoint.late)

    def _restore_list(self, copies: list[Any], answers: list[Any], count: int) -> None:
        del copies[count:]
        for place, copy in enumerate(copies):
            if not is_unchanged(copy, answers[place]):
                answers[place] = self._copies.copy_or_same(copy)
        del answers[count:]


def _with_event(event: Event, pending: Pending) -> Pending:
    return Pending(pending.step, event, pending.visit, pending.chunks, pending.index)
