"""Checkpoints: how a walk stood before each move, good enough to go on from there again.

They share what did not change: a body that waits is copied once, however many moves it waits, answers are kept once
and counted. So all of them together hold what happened, and not its square.
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
    """Something that waited, its body a copy, on top of all `below`.

    `why` tells that there is no copy: the body is the one that ran.
    """

    pending: Pending
    below: WaitingItem | None
    why: str = ""

    @property
    def body(self) -> Any:
        return self.pending.event.body


class Checkpoint(msgspec.Struct, frozen=True, gc=False):
    """The walk, what waited, how often the step that comes next had run, and how many answers there were."""

    walk: Interpreter
    plan: Plan
    top: WaitingItem
    visits: int
    answers: int
    late: int

    @property
    def step(self) -> str:
        return self.top.pending.step


class Checkpoints:
    """Makes checkpoints of the walks of a run and puts them back into place."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._stack: list[tuple[Pending, WaitingItem]] = []  # what waits, as the last checkpoint has it
        self._answers: list[Any] = []  # copies, each of those that the walk has
        self._late: list[Any] = []
        self._walk: Interpreter | None = None

    def of(self, walk: Interpreter) -> Checkpoint:
        """How the walk stands; something waits."""
        self._follow(walk)
        top = self._stack[-1][1]
        visits = walk.visits.get(top.pending.step, 0)
        return Checkpoint(walk, walk.plan, top, visits, len(walk.answers), len(walk.answers.late))

    def undo(self, checkpoint: Checkpoint) -> None:
        """Take back what a move counted; the walk itself is put into place by `restore`, once."""
        walk, step = checkpoint.walk, checkpoint.step
        if checkpoint.visits:
            walk.visits[step] = checkpoint.visits
        else:
            walk.visits.pop(step, None)

    def restore(self, checkpoint: Checkpoint) -> Interpreter:
        """The walk as it stood."""
        walk, copies = checkpoint.walk, dict[int, Any]()
        self._stack = []
        found: WaitingItem | None = checkpoint.top
        while found is not None:
            body = found.body
            if id(body) not in copies:  # branches that shared a body share it again
                copies[id(body)] = body if found.why else self._copies.of(body)
            event = found.pending.event.with_body(copies[id(body)])
            self._stack.append((_around(event, found.pending), found))
            found = found.below
        self._stack.reverse()
        walk.plan, walk.waiting = checkpoint.plan, [pending for pending, _ in self._stack]
        self._restore_answers(walk, checkpoint)
        return walk

    def _follow(self, walk: Interpreter) -> None:
        """Bring the stack up to what waits; what stayed as it was is kept."""
        if self._walk is not walk:
            self._walk, self._stack, self._answers, self._late = walk, [], [], []
        known = self._same(walk.waiting) if self._stack else 0
        if known:
            del self._stack[known:]
        else:
            self._stack = []
        if len(walk.waiting) == 1:
            if not known:
                self._stack.append((walk.waiting[0], self._waiting(walk, walk.waiting[0], None, None)))
        else:
            self._follow_several(walk, known)
        answers, late = walk.answers, walk.answers.late
        if len(answers) > len(self._answers):
            self._answers.extend(map(self._copies.or_itself, answers[len(self._answers) :]))
        if len(late) > len(self._late):
            self._late.extend(map(self._copies.or_itself, late[len(self._late) :]))

    def _follow_several(self, walk: Interpreter, known: int) -> None:
        """Those from there on; branches that share a body share the copy of it."""
        bodies = {id(pending.event.body): waiting for pending, waiting in self._stack}
        for pending in walk.waiting[known:]:
            below = self._stack[-1][1] if self._stack else None
            waiting = self._waiting(walk, pending, below, bodies.get(id(pending.event.body)))
            bodies[id(pending.event.body)] = waiting
            self._stack.append((pending, waiting))

    def _same(self, pending: list[Pending]) -> int:
        """How many from the bottom wait as they did, with the bodies that they had."""
        count = 0
        for now, (before, waiting) in zip(pending, self._stack, strict=False):
            if now is not before or not (waiting.why or is_unchanged(waiting.body, now.event.body)):
                break
            count += 1
        return count

    def _waiting(
        self, walk: Interpreter, pending: Pending, below: WaitingItem | None, sharing: WaitingItem | None
    ) -> WaitingItem:
        why = ""
        step = walk.plan.steps.get(pending.step)
        if type(pending.event.body) in PLAIN and step is not None and step.call.shape not in EVENTFUL:
            return WaitingItem(pending, below)  # nobody can change it
        if sharing is not None:
            body, why = sharing.body, sharing.why
        else:
            try:
                body = self._copies.of(pending.event.body)
            except UncopiedError as error:
                body, why = pending.event.body, str(error)
        return WaitingItem(_around(pending.event.with_body(body), pending), below, why)

    def _restore_answers(self, walk: Interpreter, checkpoint: Checkpoint) -> None:
        """Answers as they were given: a later step may have changed one in place."""
        if self._walk is not walk:  # of an event that was over
            self._walk, self._answers, self._late = walk, list(walk.answers), list(walk.answers.late)
        for kept, given, count in (
            (self._answers, walk.answers, checkpoint.answers), (self._late, walk.answers.late, checkpoint.late),
        ):  # fmt: skip
            del kept[count:]
            for place, copy in enumerate(kept):
                if not is_unchanged(copy, given[place]):
                    given[place] = self._copies.or_itself(copy)
            del given[count:]


def _around(event: Event, pending: Pending) -> Pending:
    return Pending(pending.step, event, pending.visit, pending.chunks, pending.index)
