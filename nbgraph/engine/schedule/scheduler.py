"""A Conductor: many events on their way at once through steps that allow it, all else one by one and in order.

A step with `concurrency=n` is a stage: its calls run as tasks, at most n at a time, and as many events more stand ready
to follow them without delay. The generated code *parks* an event there instead of calling the step; when the call is
done, and with `ordered` those before it are too, the event is taken up again. Where somebody watches, and where events
go round in cycles, a walk does what the generated code does. Code outside of stages runs on one coroutine, so no other
step ever sees two events at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any

from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.interpret.pending import PendingCall
from nbgraph.engine.plan import Plan
from nbgraph.engine.schedule.concurrent_step import ConcurrentStep, InFlightCall
from nbgraph.engine.schedule.event_state import EventState
from nbgraph.engine.schedule.source_reader import END, NOT_YET, SourceReader
from nbgraph.errors import RowError, StepError, own
from nbgraph.event import Event

WAITING = 1000  # events that may wait for one before them, beside those in stages


class Scheduler:
    """See the module's docstring. It lives on a loop thread; `happened` is set when a call is done."""

    def __init__(self, plan: Plan, happened: asyncio.Event) -> None:
        self._plan = plan
        self._stages = {name: ConcurrentStep(step, happened.set) for name, step in plan.steps.items() if step.is_stage}
        self._happened = happened
        self._room = asyncio.Event()

    @property
    def is_ordered(self) -> bool:
        return all(stage.is_ordered for stage in self._stages.values())

    def has_room(self) -> bool:
        """Whether another event may enter: no stage is full."""
        return all(map(ConcurrentStep.has_room, self._stages.values()))

    async def begin(self, ticket: EventState) -> None:
        """Let an event enter and run to its stages; a row that can't become one goes the way of errors."""
        if isinstance(ticket.error, RowError):
            await self._refuse(ticket, ticket.error)
            return
        if ticket.walk is not None:
            await self._walk_on(ticket)
            return
        if self._plan.staged is not None and not self._plan.observers:
            await self._go(ticket, self._plan.staged, ticket.event.body, ticket.event)
            return
        ticket.walk = Interpreter(self._plan, ticket.event, self._plan.observers)
        ticket.walk.begun()
        await self._walk_on(ticket)

    async def _refuse(self, ticket: EventState, error: RowError) -> None:
        ticket.walk, ticket.error = Interpreter(self._plan, error.event, self._plan.observers, enters=False), None
        ticket.walk.begun()
        try:
            ticket.walk.refuse(error)
        except StepError as failed:
            await self._fail(ticket, failed)
        await self._walk_on(ticket)

    async def progress(self) -> None:
        """Wait until some call is done, or an item has come, then take up all that can go on."""
        await self._happened.wait()
        self._happened.clear()
        await asyncio.sleep(0)  # calls that were let begin do so first: the rest is done while they wait
        for stage in self._stages.values():
            while (flight := stage.landed()) is not None:
                await self._take_up(stage, flight)
        self._room.set()

    async def room(self) -> None:
        """Wait until somebody who conducts has made progress."""
        self._room.clear()
        await self._room.wait()

    def close(self) -> None:
        """Break off the calls that are under way."""
        for stage in self._stages.values():
            stage.close()

    async def _take_up(self, stage: ConcurrentStep, flight: InFlightCall) -> None:
        ticket = flight.ticket
        ticket.open -= 1
        if ticket.error is not None:  # another branch of it has failed: nothing more runs
            flight.forget()
            self._end(ticket)
        elif flight.departure is not None:
            await self._land(ticket, flight, flight.departure)
        else:
            await self._go(ticket, self._plan.takes[stage.step.name], flight.body, flight.event, flight.result)

    async def _land(self, ticket: EventState, flight: InFlightCall, departure: PendingCall) -> None:
        assert ticket.walk is not None
        try:
            try:
                result = flight.result()
            except own() as error:
                ticket.walk.failed(departure, error, flight.seconds)
            else:
                await ticket.walk.arrive(departure, result, flight.seconds)
        except StepError as error:
            await self._fail(ticket, error)
        await self._walk_on(ticket)

    async def _walk_on(self, ticket: EventState) -> None:
        """Move by move until all that is left is under way at stages."""
        walk, stops = ticket.walk, ticket.stops
        assert walk is not None
        try:
            while walk.waiting or (not ticket.open and (stops is None or stops.is_last) and walk.has_more()):
                if stops is not None and stops.has_parked():
                    continue
                stage = self._stages.get(walk.waiting[-1].step) if walk.waiting[-1].chunks is None else None
                if stage is None:
                    await walk.advance()
                    continue
                departure = walk.depart()
                if not departure.is_made:
                    event = departure.move.event
                    self._take_off(stage, InFlightCall(ticket, event.body, event, departure))
        except StepError as error:
            await self._fail(ticket, error)
        self._end(ticket)

    async def _go(self, ticket: EventState, function: Callable[..., Any], body: Any, event: Event, *more: Any) -> None:
        """Run generated code for the event until it is parked or done."""
        try:
            outcome = function(body, event, ticket, *more)
            if outcome is not None:
                await outcome
        except StepError as error:
            await self._fail(ticket, error)
        for step, body, event in ticket.parked:
            self._take_off(self._stages[step], InFlightCall(ticket, body, event))
        ticket.parked.clear()
        self._end(ticket)

    async def _fail(self, ticket: EventState, error: StepError) -> None:
        """Nothing more of the event runs."""
        ticket.parked.clear()
        if ticket.walk is not None:
            await ticket.walk.leave()
        for stage in self._stages.values():
            stage.cancel(ticket)
        ticket.error = self._plan.told(error, ticket if ticket.walk is None else ticket.walk.answers)

    def _end(self, ticket: EventState) -> None:
        """Tell that the event is done, when no call of it is under way."""
        if ticket.open:
            return
        if ticket.walk is not None:
            ticket.extend(ticket.walk.answers)
            ticket.late.extend(ticket.walk.answers.late)
        if ticket.walk is not None and ticket.stops is None:
            ticket.walk.ended(ticket.error if isinstance(ticket.error, StepError) else None)
        if ticket.done is not None:
            ticket.done(ticket)

    def _take_off(self, stage: ConcurrentStep, flight: InFlightCall) -> None:
        flight.ticket.open += 1
        stage.begin(flight)


async def conducted(
    plan: Plan, inlet: SourceReader, enter: Callable[[Any], EventState]
) -> AsyncGenerator[list[EventState], None]:
    """The tickets of all items, done, in the order of the items; as they are done where a stage has no order.

    They come as lists, since many calls end at once, and handing on costs more than it does to take an event up.
    """
    conductor = Scheduler(plan, inlet.happened)
    waiting: deque[EventState] = deque()
    is_open, fault = True, None
    try:
        while is_open or waiting:
            while is_open and len(waiting) < WAITING and conductor.has_room():
                try:
                    item = inlet.take()
                except Exception as error:  # the source failed: what came before it still goes its way
                    item, fault = END, error
                if item is NOT_YET:
                    break
                is_open = item is not END
                if is_open:
                    waiting.append(enter(item))
                    if waiting[-1].error is None or isinstance(waiting[-1].error, RowError):
                        await conductor.begin(waiting[-1])
                if is_open and not waiting[-1].open and (done := _done(waiting, conductor.is_ordered)):
                    yield done
            if is_open or waiting:
                await conductor.progress()
                if done := _done(waiting, conductor.is_ordered):
                    yield done
        if fault is not None:
            raise fault
    finally:
        conductor.close()


def _done(waiting: deque[EventState], is_ordered: bool) -> list[EventState]:
    """Take off what is done: from the front where there is an order."""
    done: list[EventState] = []
    if is_ordered:
        while waiting and not waiting[0].open:
            done.append(waiting.popleft())
        return done
    done += [ticket for ticket in waiting if not ticket.open]
    for ticket in done:
        waiting.remove(ticket)
    return done
