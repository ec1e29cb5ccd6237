"""A Stage: a step whose calls may be under way several at once; a Flight: one such call."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

from nbgraph.engine.interpret.pending import PendingCall
from nbgraph.engine.loop import on_pool
from nbgraph.engine.paths import part
from nbgraph.engine.plan import PlanStep
from nbgraph.engine.schedule.event_state import EventState
from nbgraph.errors import own
from nbgraph.event import Event
from nbgraph.handler import CallObserver, Entered
from nbgraph.types import Shape


class InFlightCall:
    """A call under way: whose, with what, and the task; `departure` where a walk has made it."""

    __slots__ = ("body", "context", "departure", "error", "event", "seconds", "task", "ticket")

    def __init__(self, ticket: EventState, body: Any, event: Event, departure: PendingCall | None = None) -> None:
        self.ticket, self.body, self.event, self.departure = ticket, body, event, departure
        self.context = contextvars.copy_context()  # whichever call's end lets it begin, it is made in the event's own
        self.seconds = 0.0
        self.error: BaseException | None = None  # what the step raised
        self.task: asyncio.Future[Any] | None = None  # None as long as it waits for its turn

    @property
    def has_landed(self) -> bool:
        return self.task is not None and self.task.done()

    def result(self) -> Any:
        """What the call came to, or raises what it raised."""
        if self.error is not None:
            raise self.error
        assert self.task is not None
        return self.task.result()

    def forget(self) -> None:
        """Nobody wants the result."""
        if self.task is not None and not self.task.cancelled():
            self.task.exception()


class ConcurrentStep:
    """The calls of one concurrent step."""

    def __init__(self, step: PlanStep, happened: Callable[[], None]) -> None:
        self.step = step
        self.limit = step.call.concurrency or 1
        self.is_ordered = step.call.options.ordered
        self.flights: deque[InFlightCall] = deque()
        self._queued: deque[InFlightCall] = deque()
        self._under_way = 0
        self._happened = happened

    def has_room(self) -> bool:
        """Whether another event may come: one may wait for each call under way, to follow it without delay."""
        return len(self.flights) < 2 * self.limit

    def begin(self, flight: InFlightCall) -> None:
        """Make the call, or let it wait for its turn."""
        self.flights.append(flight)
        if self._under_way < self.limit:
            self._start(flight)
        else:
            self._queued.append(flight)

    def landed(self) -> InFlightCall | None:
        """The next flight to take up: the first, when it is done; without order any that is."""
        if not self.flights:
            return None
        if self.is_ordered:
            return self.flights.popleft() if self.flights[0].has_landed else None
        for flight in self.flights:
            if flight.has_landed:
                self.flights.remove(flight)
                return flight
        return None

    def cancel(self, ticket: EventState) -> None:
        """Break off the calls of an event that has failed elsewhere."""
        for flight in self.flights:
            if flight.ticket is ticket:
                _break_off(flight)

    def close(self) -> None:
        """Break off all calls."""
        self._queued.clear()
        for flight in self.flights:
            _break_off(flight)
        if "_threads" in self.__dict__:
            self._threads.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        """The stage's own: a step that runs a graph with a stage must not wait for its own threads."""
        return ThreadPoolExecutor(self.limit, thread_name_prefix=f"nbgraph-{self.step.name}")

    def _start(self, flight: InFlightCall) -> None:
        self._under_way += 1
        flight.task = asyncio.get_running_loop().create_task(self._call(flight), context=flight.context)
        flight.task.add_done_callback(self._next)

    def _next(self, _: asyncio.Future[Any]) -> None:
        """A call is done: the next one begins at once, before anybody looks at what this one came to."""
        self._under_way -= 1
        while self._queued and self._under_way < self.limit:
            flight = self._queued.popleft()
            if flight.task is None:  # else it was broken off while it waited
                self._start(flight)
        self._happened()

    def _call(self, flight: InFlightCall) -> Coroutine[Any, Any, Any]:
        if flight.departure is None:
            return self._made(flight)
        return self._watched(flight, flight.departure.move.listeners)

    async def _watched(self, flight: InFlightCall, listeners: tuple[Entered, ...]) -> Any:
        began = time.perf_counter()
        try:
            with CallObserver(listeners):
                return await self._made(flight)
        finally:
            flight.seconds = time.perf_counter() - began

    async def _made(self, flight: InFlightCall) -> Any:
        """What it comes to; an error is kept beside, since a task that some exceptions leave is cancelled by them."""
        call = self.step.call
        try:
            if call.shape in (Shape.EVENT, Shape.EVENTS):
                flight.event.body = flight.body
                given: Any = flight.event
            else:
                given = part(flight.body, call.input_path) if call.input_path else flight.body
            if call.is_async:
                return await call.function(given)
            return await on_pool(self._threads, call.function, given)
        except own() as error:
            flight.error = error


def _break_off(flight: InFlightCall) -> None:
    if flight.task is None:
        flight.task = asyncio.get_running_loop().create_future()
    flight.task.cancel()
