"""A Checkpoint: the state of a walk before a move, good enough to go on from there again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from nbgraph.debug.preview import snapshot
from nbgraph.engine.observer import Observer
from nbgraph.engine.pending import Pending
from nbgraph.engine.plan import Answers, Plan
from nbgraph.engine.walk import Walk
from nbgraph.errors import StepError
from nbgraph.event import Event
from nbgraph.look import Preview


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What waited, was counted, was answered and was remembered by steps; `events` had not entered yet.

    Bodies are kept as copies, once for each object, so that branches that share a body share it again. A body that
    is too big or can't be copied is kept itself: going back then finds it as it is now.
    """

    plan: Plan
    event: Event
    waiting: tuple[Pending, ...]
    bodies: dict[int, Any]
    visits: dict[str, int]
    answers: tuple[Any, ...]
    late: tuple[Any, ...]
    memory: dict[str, Any]
    error: StepError | None
    events: tuple[Event, ...]

    @classmethod
    def of(cls, walk: Walk, error: StepError | None, events: Sequence[Event]) -> Self:
        bodies = {id(pending.event.body): kept(pending.event.body) for pending in walk.waiting}
        return cls(
            plan=walk.plan,
            event=walk.event,
            waiting=tuple(replace(pending, event=_twin(pending.event)) for pending in walk.waiting),
            bodies=bodies,
            visits=dict(walk.visits),
            answers=tuple(walk.answers),
            late=tuple(walk.answers.late),
            memory=_memory(walk.plan),
            error=error,
            events=tuple(events),
        )

    def restored(self, observers: Sequence[Observer]) -> tuple[Walk, StepError | None, list[Event]]:
        """A walk in this state, with the error and the events that belonged to it."""
        walk = Walk(self.plan, self.event, observers, keeps_chunks=True)
        copies = {key: kept(body) for key, body in self.bodies.items()}
        walk.waiting = [
            replace(pending, event=pending.event.with_body(copies[id(pending.event.body)])) for pending in self.waiting
        ]
        walk.visits = dict(self.visits)
        walk.answers = Answers()
        walk.answers.extend(self.answers)
        walk.answers.late.extend(self.late)
        self.recall(self.memory)
        return walk, self.error, list(self.events)

    def recall(self, steps: Iterable[str]) -> None:
        """Let these steps remember what they did then."""
        for name in steps:
            if name in self.memory:
                self.plan.steps[name].call.target.state = kept(self.memory[name])


def kept(value: Any) -> Any:
    """A copy, or the value itself where it can't be copied or is too big."""
    copy = snapshot(value)
    return value if isinstance(copy, Preview) else copy


def _twin(event: Event) -> Event:
    """An Event of its own around the same body: handlers may change the one that runs."""
    return event.with_body(event.body)


def _memory(plan: Plan) -> dict[str, Any]:
    """What steps remember between events."""
    return {name: kept(step.call.target.state) for name, step in plan.steps.items() if step.call.has_state}
