"""Interpreter: runs one event through a plan step by step, for observers and the debugger.

Its state is `waiting`, a stack of pending items (the top is next), `visits` (calls per step, for the
limits of cycles), and the `answers` so far. A pending item is a step with the event it gets or, for a step that
makes several results, the rest of them. The generated functions of `generate.py` do the same in the same order.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from nbgraph.engine.interpret.edge_choice import ConditionError, choose, condition_failed, raise_unless_event
from nbgraph.engine.interpret.observer import Observer, Skip, StepRun
from nbgraph.engine.interpret.pending import Pending, PendingCall
from nbgraph.engine.loop import without_waiting
from nbgraph.engine.paths import part, put
from nbgraph.engine.plan import Answers, Plan, PlanStep
from nbgraph.engine.results import Caller, Copy, FailedResult, Results
from nbgraph.errors import NbgraphError, RowError, StepError, own
from nbgraph.event import Chunk, Event
from nbgraph.handler import CallObserver, OnEnter
from nbgraph.types import Shape

FILTERED_OUT = "the filter's predicate did not hold"
_logger = logging.getLogger("nbgraph.run")


class LimitError(NbgraphError):
    """A step on a cycle ran too often for one event."""


class _Fault(NamedTuple):
    """A failed run of a step: the error, the body concerned, and a message that replaces the error's own."""

    error: BaseException
    body: Any
    message: str = ""


class Interpreter:
    """See the module's docstring. Used as a context manager, it reports the event's begin and end to the observers."""

    def __init__(
        self,
        plan: Plan,
        event: Event,
        observers: Sequence[Observer] = (),
        *,
        copy: Copy | None = None,
        enters: bool = True,
    ) -> None:
        self.plan = plan
        self._copied = plan.copier if plan.copier is not None else _shared
        self.event = event
        self.observers = observers
        self.answers = Answers()
        self.visits: dict[str, int] = {}
        self.waiting: list[Pending] = []
        self.error: StepError | None = None
        self._copy = copy  # copies results, for a debugger that may step back
        self.caller: Caller | None = None  # makes the calls of synchronous steps, for a debugger that may abandon one
        if enters:  # else it begins at a step in the middle, by one of the methods below
            entered = plan.starts if plan.routing is None else (plan.routing.admit(event),)
            self._tell("", entered, event)
            self._push(entered, event)

    def __enter__(self) -> None:
        self.begun()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.ended(error if isinstance(error, StepError) else None)

    async def finish(self) -> Answers:
        """Run to the end; return the answers, or raise the error that no handler took."""
        try:
            with self:
                while self.has_more():
                    await self.advance()
        finally:
            await self.leave()
        return self.answers

    def moves(self) -> Generator[StepRun | None, None, None]:
        """The runs of the steps of a synchronous plan, each made lazily."""
        try:
            with self:
                while self.has_more():
                    yield without_waiting(self.advance())
        finally:
            without_waiting(self.leave())

    async def stream_answers(self) -> AsyncGenerator[Any, None]:
        """The answers, each as soon as it is given."""
        told = 0
        try:
            with self:
                while self.has_more():
                    await self.advance()
                    for answer in self.answers[told:]:
                        yield answer
                    told = len(self.answers)
        finally:
            await self.leave()
        for answer in self.answers.late if not told else ():
            yield answer

    async def leave(self) -> None:
        """Close the generators of unfinished steps, the last one first: the rest of the event does not run."""
        while self.waiting:
            pending = self.waiting.pop()
            try:
                if pending.chunks is not None:
                    await pending.chunks.close()
            except own():
                _logger.exception('Step "%s" of graph "%s" failed when it was closed', pending.step, self.plan.name)
        if self.error is not None:  # gathered parts of a failed event are dropped
            self._gathered()

    def has_more(self) -> bool:
        """Whether something is left to run; at the end of an event, gathering steps release what they gathered."""
        if not self.waiting:
            self.waiting += [Pending(name, event, 1, Results([event], self._copy)) for name, event in self._gathered()]
        return bool(self.waiting)

    def _gathered(self) -> list[tuple[str, Event]]:
        calls = [(name, self.plan.steps[name].call.gathered) for name in self.plan.gatherers]
        return [(name, event) for name, call in calls if call is not None for event in call(self.event)]

    def begun(self) -> None:
        """Report to the observers that the event enters."""
        for observer in self.observers:
            observer.started(self.event)

    def ended(self, error: StepError | None = None) -> None:
        """Report to the observers that nothing of the event is left to run."""
        self.error = error
        for observer in self.observers:
            observer.finished(self.event, self.answers.all(), error)

    async def advance(self) -> StepRun | None:
        """Run the next step, or draw its next result; None if it had none."""
        if self.waiting[-1].chunks is not None:
            return await self._draw(self.waiting.pop())
        departure = self.depart()
        if departure.is_made:
            return departure.move
        return await self.carry_out(departure, departure.move.event, departure.move.listeners)

    async def carry_out(
        self, departure: PendingCall, event: Event, listeners: tuple[OnEnter, ...], before: float = 0.0
    ) -> StepRun:
        """Make a pending call and go on with its result; `before` are the seconds it has already taken.

        A `Halt` of a listener ends the call alone: it stays pending.
        """
        call = departure.step.call
        began = time.perf_counter() - before
        try:
            if call.shape is Shape.EVENT or call.shape is Shape.EVENTS:
                given: Any = event
            else:
                given = part(event.body, call.input_path) if call.input_path else event.body
            with CallObserver(listeners):
                if call.awaits:
                    result = await call.function(given)
                else:
                    result = call.function(given) if self.caller is None else self.caller(call.function, given)
        except own() as error:
            return self.failed(departure, error, time.perf_counter() - began)
        return await self.arrive(departure, result, time.perf_counter() - began)

    def depart(self) -> PendingCall:
        """Take the next call off the stack."""
        pending = self.waiting.pop()
        step, event = self.plan.steps[pending.step], pending.event
        visit = self.visits[step.name] = self.visits.get(step.name, 0) + 1
        move = StepRun(step.name, event, visit, event.body)
        skip = self._before(move)
        if step.limit is not None and visit > step.limit:
            refused = f"it ran {step.limit} times for this event, its limit on the cycle (max_iterations)"
            self.failed(PendingCall(step, move, True), LimitError(refused))
        elif skip is not None:
            self._done(step, move, self._go_on(step, event, skip.value, move))
        return PendingCall(step, move, skip is not None or move.error is not None)

    async def arrive(self, departure: PendingCall, result: Any, seconds: float) -> StepRun:
        """Go on with the result of a call."""
        step, move = departure.step, departure.move
        move.seconds = seconds
        try:
            if step.call.shape is Shape.FLAT or step.call.shape is Shape.EVENTS:
                fault = await self._begin_results(step, result, move)
            else:
                fault = self._apply(step, move.event, result, move)
        except own() as error:
            fault = _Fault(error, move.input)
        self._done(step, move, fault)
        return move

    async def _begin_results(self, step: PlanStep, result: Any, move: StepRun) -> _Fault | None:
        """Go on with the first of several results; the rest waits."""
        chunks = Results(result, self._copy, self.caller)
        self._begin_stream(step, move.event)
        began = time.perf_counter()
        try:
            chunk = await chunks.at(0)
        except StopAsyncIteration:
            move.dropped, move.reason = True, "it gave no result for this event"
        else:
            self.waiting.append(Pending(step.name, move.event, move.visit, chunks, 1))
            fault = self._go_on_chunk(step, move.event, chunk, move)
            if fault is not None:
                return fault
        if chunks.is_ready:
            move.output = list(result)  # one record per call, however many results go on
        else:
            move.seconds += time.perf_counter() - began
        return None

    def _begin_stream(self, step: PlanStep, event: Event) -> None:
        for name in self.plan.streams.get(step.name, ()):
            streamed = self.plan.steps[name].call.streamed
            assert streamed is not None
            streamed(event)

    def failed(self, departure: PendingCall, error: BaseException, seconds: float = 0.0) -> StepRun:
        """Go on with the exception that a call raised."""
        move = departure.move
        move.seconds = seconds
        self._done(departure.step, move, _Fault(error, move.input))
        return move

    def resume_after(self, step: str, event: Event, chunk: Any) -> None:
        """Instead of entering by the start, continue behind a step with an event that it released."""
        chunks: Iterable[Any] = [chunk]
        if isinstance(event.body, FailedResult):
            chunks, event = event.body, event.with_body(None)
        self.waiting = [Pending(step, event, 1, Results(chunks, self._copy))]

    def refuse(self, error: RowError) -> None:
        """Instead of entering by the start, go to the error handler of the start; else raise."""
        handler = self.plan.steps[self.plan.starts[0]].handler_of(error)
        if handler is None:
            self.waiting = []
            raise StepError(error.source, error.event, error)
        event = error.event.with_body(error.event.body)
        event.error, event.origin = error, error.source
        self.waiting = [Pending(handler, event)]

    def stand_before(self, step: str, body: Any) -> None:
        """Instead of entering by the start, begin at a step with a recorded body."""
        self.waiting = [Pending(step, self.event.with_body(body))]

    def replace_input(self, body: Any) -> None:
        """Give the next step another body; a step with results left is called again with it."""
        pending = self.waiting.pop()
        self.waiting.append(Pending(pending.step, pending.event.with_body(body)))

    async def settle(self) -> None:
        """Bring the next step to the top: pass on ready results, remove steps without further results."""
        while self.has_more() and (chunks := self.waiting[-1].chunks) is not None:
            if chunks.is_ready:
                await self.advance()
            elif await chunks.is_at_end(self.waiting[-1].index):
                self.waiting.pop()
            else:
                return

    def _apply(self, step: PlanStep, event: Event, result: Any, move: StepRun) -> _Fault | None:
        """Handle a result as the step's shape says."""
        call = step.call
        if call.shape is Shape.MAP:
            body = put(event.body, call.result_path, result) if call.result_path else result
            return self._go_on(step, event, body, move)
        if call.shape is Shape.FILTER and result:
            return self._go_on(step, event, event.body, move)
        if call.shape is Shape.FILTER or call.shape is Shape.HOLD:
            is_held = call.shape is Shape.HOLD
            move.dropped, move.reason = True, "the step holds it back" if is_held else FILTERED_OUT
            return None
        if call.shape is Shape.EVENT:
            raise_unless_event(result)
            event = result if result is not None else event
        return self._go_on(step, event, self._copied(event.body) if call.hands_over else event.body, move)

    async def _draw(self, pending: Pending) -> StepRun | None:
        """The next result of a step that makes several.

        If drawing it runs code of the step, it is a step run of its own, with the visit of the first call.
        """
        assert pending.chunks is not None
        step = self.plan.steps[pending.step]
        move = StepRun(step.name, pending.event, pending.visit, pending.event.body)
        began = time.perf_counter()
        try:
            chunk = await pending.chunks.at(pending.index)
            move.seconds = time.perf_counter() - began
            self.waiting.append(replace(pending, index=pending.index + 1))
            fault = self._go_on_chunk(step, pending.event, chunk, move)
        except StopAsyncIteration:
            return None
        except own() as error:
            fault = _Fault(error, move.input)
        if pending.chunks.is_ready and fault is None:
            return None
        self._done(step, move, fault)
        return move

    def _go_on_chunk(self, step: PlanStep, event: Event, chunk: Any, move: StepRun) -> _Fault | None:
        is_chunk = bool(self.plan.streams.get(step.name))
        if step.call.shape is Shape.EVENTS:
            raise_unless_event(chunk)
            changed = chunk if chunk is not None else event
            changed = Chunk.of(changed.with_body(changed.body)) if is_chunk else changed
            return self._go_on(step, changed, self._chunk(step, changed.body), move)
        path, chunk = step.call.result_path, self._chunk(step, chunk)
        event = Chunk.of(event.with_body(event.body)) if is_chunk else event
        return self._go_on(step, event, put(event.body, path, chunk) if path else chunk, move)

    def _chunk(self, step: PlanStep, chunk: Any) -> Any:
        """A copy of a chunk, which its step may keep and give again."""
        return chunk if step.call.results_are_new else self._copied(chunk)

    def _go_on(self, step: PlanStep, event: Event, body: Any, move: StepRun) -> _Fault | None:
        """Record the step's result as an answer, and pass it on along the chosen arrows.

        If the choice fails, the step's error handler gets the result.
        """
        bytes_before = self._bytes()
        if step.is_responder:
            self.answers.append(self._copied(body) if step.arrows else body)
        elif step.is_rescue:
            self.answers.late.append(body)
        try:
            chosen, reason = choose(step, self.plan, body)
        except ConditionError as failure:
            message = condition_failed(step.name, failure.arrow, self.plan.steps, body, failure.error)
            return _Fault(failure.error, body, message)
        except own() as error:
            return _Fault(error, body)
        move.output, move.reason = body, reason
        move.edges = tuple([arrow.target for arrow in chosen])
        move.dropped = bool(step.arrows) and not chosen
        if chosen:
            event = event.with_body(body)
            self._tell(step.name, move.edges, event)
            self._push(move.edges, event)
        elif self.plan.taps and not step.arrows:
            self._tell(step.name, ("",), event.with_body(body))
        move.copied = self._bytes() - bytes_before
        return None

    def _done(self, step: PlanStep, move: StepRun, fault: _Fault | None) -> None:
        """Notify the observers; an error goes to the step's handler, else the graph's, else it ends the event's run."""
        handler = None
        if fault is not None:
            move.error = fault.error
            handler = step.handler_of(fault.error)
        if fault is not None and handler is not None:
            event = move.event.with_body(fault.body)
            event.error, event.origin = fault.error, step.name
            move.edges, move.reason = (handler,), f"error: {type(fault.error).__name__}"
            self._push(move.edges, event)
        for observer in self.observers:
            observer.after(move)
        if fault is not None and handler is None:
            found = self.answers.all()
            event, answer = move.event.with_body(fault.body), found[0] if found else None
            raise StepError(step.name, event, fault.error, answer, fault.message) from fault.error

    def _bytes(self) -> int:
        """The bytes of arrays and frames copied for branches so far."""
        return self.plan.copier.bytes if self.plan.copier is not None else 0

    def _tell(self, source: str, targets: Sequence[str], event: Event) -> None:
        """Tell the taps of the edges that the event goes along."""
        for target in targets if self.plan.taps else ():
            tap = self.plan.taps.get((source, target))
            if tap is not None:
                tap(event.body, event)

    def _push(self, targets: Sequence[str], event: Event) -> None:
        """Each branch has an Event and a body of its own; the first target runs first, the last keeps the body."""
        self.waiting.append(Pending(targets[-1], event))
        for target in targets[-2::-1]:
            self.waiting.append(Pending(target, event.with_body(self._copied(event.body))))

    def _before(self, move: StepRun) -> Skip | None:
        found: Skip | None = None
        for observer in self.observers:
            found = observer.before(move) or found
        return found


def _shared(body: Any) -> Any:
    """The body itself: branches of a graph with `copy=False` share it."""
    return body
