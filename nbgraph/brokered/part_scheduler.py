"""A Lane: how events go through one part: one at a time; through concurrent steps, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nbgraph.engine.plan import Answers, Plan
from nbgraph.engine.schedule.concurrent_step import ConcurrentStep, InFlightCall
from nbgraph.engine.schedule.event_state import EventState
from nbgraph.engine.schedule.scheduler import Scheduler
from nbgraph.event import Event
from nbgraph.streams.event_context import EventContext, current


class PartScheduler:
    """The turn of each event in a part; outside of concurrent steps no step ever sees two events at once."""

    def __init__(self, plan: Plan, reads: tuple[str, ...]) -> None:
        self._turn = asyncio.Lock()
        self._entry = asyncio.Lock()
        self._conductor: _PartConcurrency | None = None
        if plan.is_staged and len(reads) <= 1:  # with several ways in, an event would begin at all of them
            self._conductor = _PartConcurrency(plan, asyncio.Event(), self._turn)

    @property
    def is_concurrent(self) -> bool:
        return self._conductor is not None

    async def conduct(self) -> None:
        """Let events go on behind concurrent steps, as long as this runs."""
        assert self._conductor is not None
        try:
            while True:
                await self._conductor.progress()
        finally:
            self._conductor.close()

    async def room(self) -> None:
        """Returns when another event may enter."""
        while self._conductor is not None and not self._conductor.has_room():
            await self._conductor.room()

    async def alone(self, passage: EventContext, run: Callable[[], Awaitable[Answers]]) -> Answers:
        """The answers of an event that has the part for itself."""
        async with self._turn:
            current.set(passage)
            return await run()

    async def among(self, passage: EventContext, event: Event) -> Answers:
        """The answers of an event that goes beside others."""
        assert self._conductor is not None
        done = asyncio.Event()
        ticket = _PartEventState(event, passage, done)
        async with self._entry:  # in the order of their coming
            await self.room()
            async with self._turn:
                current.set(passage)
                await self._conductor.begin(ticket)
        await done.wait()
        if ticket.error is not None:
            raise ticket.error
        return ticket


class _PartEventState(EventState):
    """A ticket with the passage that its event travels by."""

    __slots__ = ("passage",)

    def __init__(self, event: Event, passage: EventContext, done: asyncio.Event) -> None:
        super().__init__(event, lambda _: done.set())
        self.passage = passage


class _PartConcurrency(Scheduler):
    """One that hands each event on by its own passage, since what follows a concurrent call runs in one coroutine."""

    def __init__(self, plan: Plan, happened: asyncio.Event, turn: asyncio.Lock) -> None:
        super().__init__(plan, happened)
        self._turn = turn

    async def _take_up(self, stage: ConcurrentStep, flight: InFlightCall) -> None:
        assert isinstance(flight.ticket, _PartEventState)
        async with self._turn:
            current.set(flight.ticket.passage)
            await super()._take_up(stage, flight)
