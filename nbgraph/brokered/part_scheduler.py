"""PartScheduler: events go through one part of a graph one at a time, through its concurrent steps several at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from nbgraph.engine.plan import Answers, Plan
from nbgraph.engine.schedule.scheduler import ScheduledEvent, Scheduler
from nbgraph.event import Event
from nbgraph.streams.event_context import EventContext, current


class PartScheduler:
    """Outside of concurrent steps no step of the part ever sees two events at once."""

    def __init__(self, plan: Plan, reads: tuple[str, ...]) -> None:
        self._turn = asyncio.Lock()
        self._entry = asyncio.Lock()
        self._scheduler: Scheduler | None = None
        if plan.is_staged and len(reads) <= 1:  # with several ways in, an event would begin at all of them
            self._scheduler = Scheduler(plan, asyncio.Event(), self._turn_of)

    @property
    def is_concurrent(self) -> bool:
        return self._scheduler is not None

    async def progress(self) -> None:
        """Let events go on behind concurrent steps, until this is cancelled."""
        assert self._scheduler is not None
        try:
            while True:
                await self._scheduler.progress()
        finally:
            self._scheduler.close()

    async def room(self) -> None:
        """Returns when another event may enter."""
        while self._scheduler is not None and not self._scheduler.has_room():
            await self._scheduler.room()

    async def alone(self, context: EventContext, run: Callable[[], Awaitable[Answers]]) -> Answers:
        """The answers of an event that has the part for itself."""
        async with self._turn:
            current.set(context)
            return await run()

    async def among(self, context: EventContext, event: Event) -> Answers:
        """The answers of an event that runs beside others."""
        assert self._scheduler is not None
        ended = asyncio.Event()
        run = ScheduledEvent(event, lambda _: ended.set(), context=context)
        async with self._entry:  # in the order in which they come
            await self.room()
            async with self._turn_of(run):
                await self._scheduler.begin(run)
        await ended.wait()
        if run.error is not None:
            raise run.error
        return run.answers

    @asynccontextmanager
    async def _turn_of(self, run: ScheduledEvent) -> AsyncIterator[None]:
        """One event at a time; what it sends meanwhile goes by its own context."""
        async with self._turn:
            current.set(run.context)
            yield
