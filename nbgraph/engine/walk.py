"""A Walk: one event's way through a plan, move by move; what observers and the debugger see.

Its state is `waiting`, a stack of what is still to be done (the top comes next), `visits` (calls per step, for the
limits of cycles), and the `answers` so far. A pending item is a step with the event it gets or, for a step that
makes several results, the rest of them. The generated functions of `generate.py` do the same in the same order.
"""

from __future__ import annotations

import copy
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from nbgraph.engine.loop import without_waiting
from nbgraph.engine.observer import Move, Observer, Skip
from nbgraph.engine.paths import part, put
from nbgraph.engine.plan import Answers, Arrow, Plan, PlanStep
from nbgraph.errors import NbgraphError, StepError
from nbgraph.event import Event
from nbgraph.types import Shape


class LimitError(NbgraphError):
    """A step on a cycle ran too often for one event."""


class Chunks:
    """The results of a step that makes several, drawn one by one and, while somebody may go back, remembered."""

    def __init__(self, results: Any, is_kept: bool) -> None:
        self.is_ready = isinstance(results, list | tuple)  # all there: drawing runs no code of the step
        self._iterator = results if isinstance(results, AsyncIterator) else iter(results)
        self._kept: list[Any] | None = [] if is_kept else None
        self._error: Exception | None = None

    async def at(self, index: int) -> Any:
        """The result of that index; StopAsyncIteration after the last."""
        if self._kept is None:
            return await self._draw()
        if index == len(self._kept):
            if self._error is not None:
                raise self._error
            self._kept.append(await self._draw())
        return _copied(self._kept[index])

    async def is_at_end(self, index: int) -> bool:
        """Whether there is no result of that index; it is drawn to know that. An error counts as a result."""
        try:
            await self.at(index)
        except StopAsyncIteration:
            return True
        except Exception as error:
            self._error = error
        return False

    async def _draw(self) -> Any:
        if isinstance(self._iterator, AsyncIterator):
            return await anext(self._iterator)
        return _next(self._iterator)


def _copied(chunk: Any) -> Any:
    try:
        return copy.deepcopy(chunk)
    except Exception:
        return chunk  # it can't be copied: going back finds it as it is now


def _next(iterator: Iterator[Any]) -> Any:
    try:
        return next(iterator)
    except StopIteration:
        raise StopAsyncIteration from None


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits: a step and its event; `chunks` and `index` where the step has begun to give several results."""

    step: str
    event: Event
    visit: int = 0
    chunks: Chunks | None = None
    index: int = 0


class Walk:
    """See the module's docstring."""

    def __init__(
        self, plan: Plan, event: Event, observers: Sequence[Observer] = (), *, keeps_chunks: bool = False
    ) -> None:
        self.plan = plan
        self.event = event
        self.observers = observers
        self.answers = Answers()
        self.visits: dict[str, int] = {}
        self.waiting: list[Pending] = []
        self.error: StepError | None = None
        self._keeps_chunks = keeps_chunks
        self._failing: Any = None  # the body that an error of the running move would be about
        self._push(plan.starts, event)

    async def finish(self) -> Answers:
        """Make all moves; the answers, or the error that nobody handled."""
        with self._watched():
            while self.waiting:
                await self.advance()
        return self.answers

    def moves(self) -> Iterator[Move | None]:
        """The moves of a synchronous plan, made as they are asked for."""
        with self._watched():
            while self.waiting:
                yield without_waiting(self.advance())

    @contextmanager
    def _watched(self) -> Iterator[None]:
        for observer in self.observers:
            observer.started(self.event)
        try:
            yield
        except StepError as error:
            self.error = error
            raise
        finally:
            for observer in self.observers:
                observer.finished(self.event, self.answers.all(), self.error)

    async def advance(self) -> Move | None:
        """Make the next move; None where a step had no further result to give."""
        pending = self.waiting.pop()
        step = self.plan.steps[pending.step]
        if pending.chunks is not None:
            return await self._draw(step, pending)
        visit = self.visits[step.name] = self.visits.get(step.name, 0) + 1
        pending = replace(pending, visit=visit)
        move = Move(step.name, pending.event, visit, pending.event.body)
        skip = self._before(move)
        self._failing = move.input
        began = time.perf_counter()
        try:
            await self._call(step, pending, move, skip)
        except Exception as error:
            move.error = error
        move.seconds = time.perf_counter() - began
        self._done(step, move)
        return move

    def resume_after(self, step: str, event: Event, chunk: Any) -> None:
        """Instead of entering by the start, let what a step held back go on from it."""
        self.waiting = [Pending(step, event, 1, Chunks([chunk], self._keeps_chunks))]

    def replace_input(self, body: Any) -> None:
        """Let the next move see another body; a step that is giving its results begins anew with it."""
        pending = self.waiting.pop()
        self.waiting.append(Pending(pending.step, pending.event.with_body(body)))

    async def settle(self) -> None:
        """Bring to the top what really runs next: hand on ready results, take off steps that have none left."""
        while self.waiting and (chunks := self.waiting[-1].chunks) is not None:
            if chunks.is_ready:
                await self.advance()
            elif await chunks.is_at_end(self.waiting[-1].index):
                self.waiting.pop()
            else:
                return

    async def _call(self, step: PlanStep, pending: Pending, move: Move, skip: Skip | None) -> None:
        call, event = step.call, pending.event
        if step.limit is not None and pending.visit > step.limit:
            raise LimitError(f"it ran {step.limit} times for this event, its limit on the cycle (max_iterations)")
        if skip is not None:
            self._go_on(step, event, skip.value, move)
            return
        given = part(event.body, call.input_path) if call.input_path else event.body
        by_event = call.shape in (Shape.EVENT, Shape.EVENTS)
        result = call.function(event if by_event else given)
        if call.shape in (Shape.FLAT, Shape.EVENTS):
            if call.is_async and not isinstance(result, AsyncIterator):
                result = await result
            chunks = Chunks(result, self._keeps_chunks)
            await self._first_chunk(step, replace(pending, chunks=chunks), move)
            if chunks.is_ready:
                move.output = list(result)  # one call, one record, however many go on
            return
        if call.is_async:
            result = await result
        if call.shape is Shape.FILTER:
            if result:
                self._go_on(step, event, event.body, move)
            else:
                move.dropped, move.reason = True, "the filter's predicate did not hold"
        elif call.shape is Shape.HOLD:
            move.dropped, move.reason = True, "the step holds it back"
        elif call.shape is Shape.EACH:
            self._go_on(step, event, event.body, move)
        elif call.shape is Shape.EVENT:
            raise_unless_event(result)
            changed = result if result is not None else event
            self._go_on(step, changed, changed.body, move)
        else:
            self._go_on(step, event, put(event.body, call.result_path, result) if call.result_path else result, move)

    async def _first_chunk(self, step: PlanStep, pending: Pending, move: Move) -> None:
        assert pending.chunks is not None
        try:
            chunk = await pending.chunks.at(0)
        except StopAsyncIteration:
            move.dropped, move.reason = True, "it gave no result for this event"
            return
        self.waiting.append(replace(pending, index=1))
        self._go_on_chunk(step, pending.event, chunk, move)

    async def _draw(self, step: PlanStep, pending: Pending) -> Move | None:
        """The next result of a step that makes several.

        Where drawing it runs code of the step, it is a move of its own, under the visit of the call that began.
        """
        assert pending.chunks is not None
        move = Move(step.name, pending.event, pending.visit, pending.event.body)
        self._failing = move.input
        began = time.perf_counter()
        try:
            chunk = await pending.chunks.at(pending.index)
            self.waiting.append(replace(pending, index=pending.index + 1))
            self._go_on_chunk(step, pending.event, chunk, move)
        except StopAsyncIteration:
            return None
        except Exception as error:
            move.error = error
        if pending.chunks.is_ready and move.error is None:
            return None
        move.seconds = time.perf_counter() - began
        self._done(step, move)
        return move

    def _go_on_chunk(self, step: PlanStep, event: Event, chunk: Any, move: Move) -> None:
        if step.call.shape is Shape.EVENTS:
            raise_unless_event(chunk)
            changed = chunk if chunk is not None else event
            self._go_on(step, changed, changed.body, move)
            return
        path = step.call.result_path
        self._go_on(step, event, put(event.body, path, chunk) if path else chunk, move)

    def _go_on(self, step: PlanStep, event: Event, body: Any, move: Move) -> None:
        """The step's result answers, and goes on along the arrows that carry it."""
        self._failing = body  # should a condition fail now, its error handler gets the result
        if step.answers:
            self.answers.append(body)
        elif step.rescues:
            self.answers.late.append(body)
        chosen, reason = choose(step, self.plan, body)
        move.output, move.reason = body, reason
        move.edges = tuple(arrow.target for arrow in chosen)
        move.dropped = bool(step.arrows) and not chosen
        self._push(move.edges, event.with_body(body))

    def _done(self, step: PlanStep, move: Move) -> None:
        """Tell who watches; an error goes to the step's handler, else the graph's, else it ends the event's run."""
        handler = step.handler_of(move.error) if move.error is not None else None
        if handler is not None:
            event = move.event.with_body(self._failing)
            event.error, event.origin = move.error, step.name
            move.edges, move.reason = (handler,), f"error: {type(move.error).__name__}"
            self._push(move.edges, event)
        for observer in self.observers:
            observer.after(move)
        if move.error is not None and handler is None:
            found = self.answers.all()
            answer = found[0] if found else None
            raise StepError(step.name, move.event.with_body(self._failing), move.error, answer) from move.error

    def _push(self, targets: Sequence[str], event: Event) -> None:
        """Each branch travels in an Event of its own around the same body; the first target runs first."""
        events = [event, *(event.with_body(event.body) for _ in targets[1:])]
        self.waiting += [Pending(target, event) for target, event in zip(targets, events, strict=False)][::-1]

    def _before(self, move: Move) -> Skip | None:
        answers = [observer.before(move) for observer in self.observers]
        return next((answer for answer in answers if answer is not None), None)


def choose(step: PlanStep, plan: Plan, body: Any) -> tuple[Sequence[Arrow], str]:
    """The arrows that carry the body on from the step, and why where that was a choice."""
    arrows: Sequence[Arrow] = step.arrows
    reasons: list[str] = []
    if step.call.outlets is not None:
        arrows, reason = by_outlets(step, body)
        reasons.append(reason)
    held = [arrow.test is not None and test(arrow, plan, body) for arrow in arrows]
    is_any = any(held)
    reasons += [f"{arrow.text} held" for arrow, yes in zip(arrows, held, strict=True) if yes]
    chosen = [
        arrow
        for arrow, yes in zip(arrows, held, strict=True)
        if yes or (arrow.otherwise and not is_any) or (arrow.test is None and not arrow.otherwise)
    ]
    if not is_any and any(arrow.test is not None for arrow in arrows):
        reasons.append("no condition held" + (", so else" if any(arrow.otherwise for arrow in chosen) else ""))
    return chosen, "; ".join(reasons)


def test(arrow: Arrow, plan: Plan, body: Any) -> bool:
    """Whether the arrow's condition holds; it sees the part that the next step takes by `input_path`."""
    assert arrow.test is not None
    path = plan.steps[arrow.target].call.input_path
    return bool(arrow.test(part(body, path) if path else body))


def by_outlets(step: PlanStep, body: Any) -> tuple[list[Arrow], str]:
    """The arrows to the steps that the handler's `select_outlets` names."""
    assert step.call.outlets is not None
    named = step.call.outlets(body)
    names = [named] if isinstance(named, str) else list(named or ())
    allowed = [arrow.target for arrow in step.arrows]
    for name in names:
        if name not in allowed:
            raise ValueError(
                f'select_outlets chose "{name}", which does not follow this step. Allowed: {", ".join(allowed)}.'
            )
    chosen = [arrow for arrow in step.arrows if arrow.target in names]
    return chosen, f"select_outlets chose {', '.join(names) or 'nothing'}"


def raise_unless_event(result: Any) -> None:
    if result is not None and not isinstance(result, Event):
        raise TypeError(
            f"a full_event handler returned {type(result).__name__}; expected the Event, or None to pass on the one "
            "that it changed (put the result into event.body)"
        )
