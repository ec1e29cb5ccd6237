"""Scheduler: many events at once through the concurrent steps of a plan; all other steps see one event at a time.

The calls of a step with `concurrency=n` run as tasks, at most n at a time, and as many further events are ready to
follow them without delay. The generated code *parks* an event there instead of calling the step; when the call is
done, and with `ordered` those before it are too, the event goes on. With observers, and where events go round in
cycles, an interpreter does what the generated code does. Code outside of concurrent steps runs in one coroutine.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import Any, Protocol

from nbgraph.engine.event_run import EventRun
from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.interpret.pending import PendingCall
from nbgraph.engine.loop import on_pool
from nbgraph.engine.paths import part
from nbgraph.engine.plan import Answers, Plan, PlanStep
from nbgraph.engine.schedule.source_reader import END, NOT_YET, SourceReader
from nbgraph.errors import RowError, StepError, own
from nbgraph.event import Event
from nbgraph.handler import CallObserver, OnEnter
from nbgraph.streams.event_context import EventContext
from nbgraph.types import Shape

WAITING = 1000  # finished events that may wait for an earlier one


class Parking(Protocol):
    """Decides where the interpreter of an event stops because the event has to wait: in a queue, before a held step."""

    @property
    def is_last(self) -> bool:
        """Whether nothing of the event waits elsewhere."""

    def has_parked(self) -> bool:
        """Whether the next item has to wait."""


class StagedAnswers(Answers):
    """The answers of an event so far, and the concurrent steps that it has reached."""

    __slots__ = ("event", "parked")

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event
        self.parked: list[tuple[str, Any, Event]] = []

    def park(self, step: str, body: Any, event: Event | None) -> None:
        """Called by the generated code at a concurrent step."""
        self.parked.append((step, body, event if event is not None else self.event))


class ScheduledEvent(EventRun):
    """One event among others; its open parts are its calls in flight, and the code between them.

    `context` is how it sends to queues, where it runs in a part of a graph; `parking` is set where the event's begin
    and end are reported by a long-lived run.
    """

    __slots__ = ("answers", "context", "interpreter", "parking")

    def __init__(
        self,
        event: Event,
        on_end: Callable[[ScheduledEvent], None] | None = None,
        *,
        context: EventContext | None = None,
    ) -> None:
        super().__init__(event, on_end)
        self.answers = StagedAnswers(event)
        self.context = context
        self.interpreter: Interpreter | None = None
        self.parking: Parking | None = None

    def interpret(self, interpreter: Interpreter) -> None:
        """Run it step by step, not by generated code."""
        self.interpreter, interpreter.answers = interpreter, self.answers

    def end(self) -> None:
        if self.interpreter is not None and self.parking is None:
            self.interpreter.ended(self.error if isinstance(self.error, StepError) else None)
        super().end()


class InFlightCall:
    """A call in flight: its event, its argument and its task; `pending` if an interpreter has begun it."""

    __slots__ = ("body", "context", "error", "event", "pending", "run", "seconds", "task")

    def __init__(self, run: ScheduledEvent, body: Any, event: Event, pending: PendingCall | None = None) -> None:
        self.run, self.body, self.event, self.pending = run, body, event, pending
        self.context = contextvars.copy_context()  # always called in the context of its own event
        self.seconds = 0.0
        self.error: BaseException | None = None  # what the step raised
        self.task: asyncio.Future[Any] | None = None  # None while it waits for its turn

    @property
    def is_done(self) -> bool:
        return self.task is not None and self.task.done()

    def result(self) -> Any:
        """The result of the call; raises its error."""
        if self.error is not None:
            raise self.error
        assert self.task is not None
        return self.task.result()

    def forget(self) -> None:
        """Discard the result."""
        if self.task is not None and not self.task.cancelled():
            self.task.exception()


class ConcurrentStep:
    """The calls of one concurrent step."""

    def __init__(self, step: PlanStep, happened: Callable[[], None]) -> None:
        self.step = step
        self.limit = step.call.concurrency or 1
        self.is_ordered = step.call.options.ordered
        self.calls: deque[InFlightCall] = deque()
        self._queued: deque[InFlightCall] = deque()
        self._under_way = 0
        self._happened = happened

    def has_room(self) -> bool:
        """Whether another event may come: one may wait behind each running call, to follow it without delay."""
        return len(self.calls) < 2 * self.limit

    def begin(self, call: InFlightCall) -> None:
        """Make the call, or queue it."""
        self.calls.append(call)
        if self._under_way < self.limit:
            self._start(call)
        else:
            self._queued.append(call)

    def next_done(self) -> InFlightCall | None:
        """The next call to resume: the first one once it is done; without order any that is done."""
        if not self.calls:
            return None
        if self.is_ordered:
            return self.calls.popleft() if self.calls[0].is_done else None
        for call in self.calls:
            if call.is_done:
                self.calls.remove(call)
                return call
        return None

    def cancel(self, run: ScheduledEvent) -> None:
        """Cancel the calls of an event that has failed elsewhere."""
        for call in self.calls:
            if call.run is run:
                _break_off(call)

    def close(self) -> None:
        """Cancel all calls."""
        self._queued.clear()
        for call in self.calls:
            _break_off(call)
        if "_threads" in self.__dict__:
            self._threads.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        """Threads of the step's own, so that a nested graph with concurrent steps does not wait for them."""
        return ThreadPoolExecutor(self.limit, thread_name_prefix=f"nbgraph-{self.step.name}")

    def _start(self, call: InFlightCall) -> None:
        self._under_way += 1
        call.task = asyncio.get_running_loop().create_task(self._call(call), context=call.context)
        call.task.add_done_callback(self._next)

    def _next(self, _: asyncio.Future[Any]) -> None:
        """Start the next call as soon as one is done, before its result is handled."""
        self._under_way -= 1
        while self._queued and self._under_way < self.limit:
            call = self._queued.popleft()
            if call.task is None:  # else it was cancelled while it waited
                self._start(call)
        self._happened()

    def _call(self, call: InFlightCall) -> Coroutine[Any, Any, Any]:
        if call.pending is None:
            return self._made(call)
        return self._watched(call, call.pending.move.listeners)

    async def _watched(self, call: InFlightCall, listeners: tuple[OnEnter, ...]) -> Any:
        began = time.perf_counter()
        try:
            with CallObserver(listeners):
                return await self._made(call)
        finally:
            call.seconds = time.perf_counter() - began

    async def _made(self, call: InFlightCall) -> Any:
        """The call's result; errors are stored apart, since some exceptions would cancel their task."""
        handler = self.step.call
        try:
            if handler.shape in (Shape.EVENT, Shape.EVENTS):
                call.event.body = call.body
                given: Any = call.event
            else:
                given = part(call.body, handler.input_path) if handler.input_path else call.body
            if handler.is_async:
                return await handler.function(given)
            return await on_pool(self._threads, handler.function, given)
        except own() as error:
            call.error = error


def _break_off(call: InFlightCall) -> None:
    if call.task is None:
        call.task = asyncio.get_running_loop().create_future()
    call.task.cancel()


class Scheduler:
    """See the module's docstring. It lives on a loop thread; `happened` is set when a call is done.

    Where `turn` is given, an event goes on behind a concurrent step only within `turn(run)`.
    """

    def __init__(
        self,
        plan: Plan,
        happened: asyncio.Event,
        turn: Callable[[ScheduledEvent], AbstractAsyncContextManager[None]] | None = None,
    ) -> None:
        self._plan = plan
        self._steps = {name: ConcurrentStep(step, happened.set) for name, step in plan.steps.items() if step.is_stage}
        self._happened = happened
        self._turn = turn
        self._room = asyncio.Event()

    @property
    def is_ordered(self) -> bool:
        return all(step.is_ordered for step in self._steps.values())

    def has_room(self) -> bool:
        """Whether another event may enter: no concurrent step is full."""
        return all(map(ConcurrentStep.has_room, self._steps.values()))

    async def begin(self, run: ScheduledEvent) -> None:
        """Let an event enter and run to its concurrent steps; a bad row goes to the error handlers."""
        run.fork()
        if isinstance(run.error, RowError):
            await self._refuse(run, run.error)
        elif run.interpreter is not None:
            await self._interpret(run, run.interpreter)
        elif self._plan.staged is not None and not self._plan.observers:
            await self._run_code(run, self._plan.staged, run.event.body, run.event)
        else:
            interpreter = Interpreter(self._plan, run.event, self._plan.observers)
            run.interpret(interpreter)
            interpreter.begun()
            await self._interpret(run, interpreter)

    async def progress(self) -> None:
        """Wait until a call is done or an item has come, then continue all events that can go on."""
        await self._happened.wait()
        self._happened.clear()
        await asyncio.sleep(0)  # let calls start first: the rest is done while they wait
        for step in self._steps.values():
            while (call := step.next_done()) is not None:
                if self._turn is None:
                    await self._go_on(step, call)
                    continue
                async with self._turn(call.run):
                    await self._go_on(step, call)
        self._room.set()

    async def room(self) -> None:
        """Wait for the next progress."""
        self._room.clear()
        await self._room.wait()

    def close(self) -> None:
        """Cancel the calls in flight."""
        for step in self._steps.values():
            step.close()

    async def _refuse(self, run: ScheduledEvent, error: RowError) -> None:
        interpreter, run.error = Interpreter(self._plan, error.event, self._plan.observers, enters=False), None
        run.interpret(interpreter)
        interpreter.begun()
        try:
            interpreter.refuse(error)
        except StepError as failed:
            await self._fail(run, failed)
        await self._interpret(run, interpreter)

    async def _go_on(self, step: ConcurrentStep, call: InFlightCall) -> None:
        """Continue behind a call that is done."""
        run = call.run
        if run.error is not None:  # another branch of it has failed: nothing more runs
            call.forget()
            run.land()
        elif call.pending is not None:
            await self._complete(call, call.pending)
        else:
            await self._run_code(run, self._plan.takes[step.step.name], call.body, call.event, call.result)

    async def _complete(self, call: InFlightCall, pending: PendingCall) -> None:
        run, interpreter = call.run, call.run.interpreter
        assert interpreter is not None
        try:
            try:
                result = call.result()
            except own() as error:
                interpreter.failed(pending, error, call.seconds)
            else:
                await interpreter.arrive(pending, result, call.seconds)
        except StepError as error:
            await self._fail(run, error)
        await self._interpret(run, interpreter)

    async def _interpret(self, run: ScheduledEvent, interpreter: Interpreter) -> None:
        """Run step by step until only calls of concurrent steps are left."""
        parking = run.parking
        try:
            while interpreter.waiting or (self._is_last(run) and interpreter.has_more()):
                if parking is not None and parking.has_parked():
                    continue
                top = interpreter.waiting[-1]
                step = self._steps.get(top.step) if top.chunks is None else None
                if step is None:
                    await interpreter.advance()
                    continue
                pending = interpreter.depart()
                if not pending.is_made:
                    event = pending.move.event
                    run.fork()
                    step.begin(InFlightCall(run, event.body, event, pending))
        except StepError as error:
            await self._fail(run, error)
        run.land()

    def _is_last(self, run: ScheduledEvent) -> bool:
        """Whether no other part of the event is open, so that gathered parts may be released."""
        return run.is_undivided and (run.parking is None or run.parking.is_last)

    async def _run_code(
        self, run: ScheduledEvent, function: Callable[..., Any], body: Any, event: Event, *more: Any
    ) -> None:
        """Run generated code for the event, until it is parked or done."""
        answers = run.answers
        try:
            outcome = function(body, event, answers, *more)
            if outcome is not None:
                await outcome
        except StepError as error:
            await self._fail(run, error)
        run.open += len(answers.parked)
        for step, body, event in answers.parked:
            self._steps[step].begin(InFlightCall(run, body, event))
        answers.parked.clear()
        run.land()

    async def _fail(self, run: ScheduledEvent, error: StepError) -> None:
        """Stop the event: nothing more of it runs."""
        run.answers.parked.clear()
        if run.interpreter is not None:
            await run.interpreter.leave()
        for step in self._steps.values():
            step.cancel(run)
        run.error = self._plan.reported(error, run.answers)


async def scheduled(
    plan: Plan, reader: SourceReader, enter: Callable[[Any], ScheduledEvent]
) -> AsyncGenerator[list[ScheduledEvent], None]:
    """The finished events of all items, in their order; in the order of finishing if a step is unordered.

    They come in lists, since many calls end at once, and each hand-over costs more than running an event.
    """
    scheduler = Scheduler(plan, reader.happened)
    waiting: deque[ScheduledEvent] = deque()
    is_open, fault = True, None
    try:
        while is_open or waiting:
            while is_open and len(waiting) < WAITING and scheduler.has_room():
                try:
                    item = reader.take()
                except Exception as error:  # the source failed: events before it are still finished
                    item, fault = END, error
                if item is NOT_YET:
                    break
                is_open = item is not END
                if is_open:
                    waiting.append(enter(item))
                    if waiting[-1].error is None or isinstance(waiting[-1].error, RowError):
                        await scheduler.begin(waiting[-1])
                if is_open and not waiting[-1].open and (done := _done(waiting, scheduler.is_ordered)):
                    yield done
            if is_open or waiting:
                await scheduler.progress()
                if done := _done(waiting, scheduler.is_ordered):
                    yield done
        if fault is not None:
            raise fault
    finally:
        scheduler.close()


def _done(waiting: deque[ScheduledEvent], is_ordered: bool) -> list[ScheduledEvent]:
    """Take finished events: from the front if ordered."""
    done: list[ScheduledEvent] = []
    if is_ordered:
        while waiting and not waiting[0].open:
            done.append(waiting.popleft())
        return done
    done += [run for run in waiting if not run.open]
    for run in done:
        waiting.remove(run)
    return done
