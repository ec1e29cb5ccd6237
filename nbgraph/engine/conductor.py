"""A Conductor: many events on their way at once through steps that allow it, all else one by one and in order.

A step with `concurrency=n` is a stage: its calls run as tasks, at most n at a time. The generated code *parks* an
event there instead of calling the step; when the call is done, and with `ordered` those before it are too, the event
is taken up again. Code outside of stages runs on one coroutine, so no other step ever sees two events at once.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nbgraph.engine.loop import on_pool, pool
from nbgraph.engine.paths import part
from nbgraph.engine.plan import Answers, Plan, PlanStep
from nbgraph.errors import StepError
from nbgraph.event import Event
from nbgraph.types import Shape


class Ticket(Answers):
    """One event on its way: its answers so far, where it is parked, how many of its calls are under way."""

    __slots__ = ("done", "error", "event", "open", "parked")

    def __init__(self, event: Event, done: Callable[[Ticket], None] | None = None) -> None:
        super().__init__()
        self.event, self.done = event, done
        self.parked: list[tuple[str, Any, Event]] = []
        self.open = 0
        self.error: StepError | None = None

    def park(self, step: str, body: Any, event: Event | None) -> None:
        """Called by the generated code where a stage begins."""
        self.parked.append((step, body, event if event is not None else self.event))


@dataclass(frozen=True, slots=True)
class Flight:
    """A call under way: whose, with what, and the task."""

    ticket: Ticket
    body: Any
    event: Event
    task: asyncio.Task[Any]


@dataclass(slots=True)
class Stage:
    """The calls of one concurrent step."""

    step: PlanStep
    limit: int
    is_ordered: bool
    flights: deque[Flight] = field(default_factory=deque)
    gate: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.gate = asyncio.Semaphore(self.limit)

    async def call(self, body: Any, event: Event) -> Any:
        call = self.step.call
        by_event = call.shape in (Shape.EVENT, Shape.EVENTS)
        if by_event:
            event.body = body
        async with self.gate:
            given = event if by_event else part(body, call.input_path) if call.input_path else body
            if call.is_async:
                result = call.function(given)
                return await result if inspect.isawaitable(result) else result
            return await on_pool(pool(self.limit), call.function, given)

    def landed(self) -> Flight | None:
        """The next flight to take up: the first, when it is done; without order any that is."""
        if not self.flights:
            return None
        if self.is_ordered:
            return self.flights.popleft() if self.flights[0].task.done() else None
        for flight in self.flights:
            if flight.task.done():
                self.flights.remove(flight)
                return flight
        return None


class Conductor:
    """See the module's docstring. It lives on the loop thread."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stages = {
            name: Stage(step, step.call.step.options.concurrency or 1, step.call.step.options.ordered)
            for name, step in plan.steps.items()
            if name in plan.takes
        }
        self._progress = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def is_ordered(self) -> bool:
        return all(stage.is_ordered for stage in self._stages.values())

    def has_room(self) -> bool:
        """Whether another event may enter: no stage has all the calls it may have."""
        return all(len(stage.flights) < stage.limit for stage in self._stages.values())

    async def begin(self, ticket: Ticket) -> None:
        """Let an event enter and run to its stages."""
        assert self._plan.staged is not None
        await self._go(ticket, self._plan.staged, ticket.event.body, ticket.event)

    async def progress(self) -> None:
        """Wait until some call is done, then take up all that can go on."""
        await self._progress.wait()
        self._progress.clear()
        await self._settle()
        self._room.set()

    async def room(self) -> None:
        """Wait until somebody who conducts has made progress."""
        self._room.clear()
        await self._room.wait()

    def cancel(self) -> None:
        """Break off the calls that are under way."""
        for stage in self._stages.values():
            for flight in stage.flights:
                flight.task.cancel()

    async def _settle(self) -> None:
        for name, stage in self._stages.items():
            while (flight := stage.landed()) is not None:
                flight.ticket.open -= 1
                await self._go(flight.ticket, self._plan.takes[name], flight.body, flight.event, flight.task.result)

    async def _go(self, ticket: Ticket, function: Callable[..., Any], body: Any, event: Event, *more: Any) -> None:
        """Run generated code for the event until it is parked or done."""
        try:
            outcome = function(body, event, ticket, *more)
            if inspect.iscoroutine(outcome):
                await outcome
        except StepError as error:
            ticket.error = self._plan.told(error, ticket)
            ticket.parked.clear()
        for step, parked, own in ticket.parked:
            self._take_off(ticket, self._stages[step], parked, own)
        ticket.parked.clear()
        if not ticket.open and ticket.done is not None:
            ticket.done(ticket)

    def _take_off(self, ticket: Ticket, stage: Stage, body: Any, event: Event) -> None:
        task = asyncio.get_running_loop().create_task(stage.call(body, event))
        task.add_done_callback(lambda _: self._progress.set())
        stage.flights.append(Flight(ticket, body, event, task))
        ticket.open += 1


async def conducted(plan: Plan, events: AsyncIterator[Event]) -> AsyncIterator[Ticket]:
    """The tickets of all events, done, in the order of the events; as they are done where a stage has no order."""
    conductor = Conductor(plan)
    waiting: deque[Ticket] = deque()
    try:
        async for event in events:
            while not conductor.has_room():
                await conductor.progress()
                for ticket in _done(waiting, conductor.is_ordered):
                    yield ticket
            waiting.append(Ticket(event))
            await conductor.begin(waiting[-1])
            for ticket in _done(waiting, conductor.is_ordered):
                yield ticket
        while waiting:
            if waiting[0].open:
                await conductor.progress()
            for ticket in _done(waiting, conductor.is_ordered):
                yield ticket
    finally:
        conductor.cancel()


def _done(waiting: deque[Ticket], is_ordered: bool) -> Iterator[Ticket]:
    if is_ordered:
        while waiting and not waiting[0].open:
            yield waiting.popleft()
        return
    for ticket in [ticket for ticket in waiting if not ticket.open]:
        waiting.remove(ticket)
        yield ticket
