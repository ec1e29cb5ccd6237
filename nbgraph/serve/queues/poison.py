"""PoisonGuard: messages delivered more than once are tried alone, so that none is blamed for another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nbgraph.streams.base import Broker, Delivery

T = TypeVar("T")
TOGETHER = 2  # deliveries in which a message may be worked on beside others
ALONE = 2  # times that it may end its worker while nothing else was worked on
KEPT_SECONDS = 3600.0
PATIENCE = 10.0  # seconds for which a suspect waits until the others are done


class PoisonGuard:
    """When a worker dies, all that it had in its hand comes again, and only one of these may have been the reason.

    >>> from nbgraph.streams.base import Message
    >>> from nbgraph.streams.memory.broker import MemoryBroker
    >>> class Again:
    ...     message, attempt = Message("m1", b""), 3
    >>> async def dies(): raise SystemExit
    >>> async def demo(broker, run):
    ...     with contextlib.suppress(SystemExit):
    ...         return await PoisonGuard(broker).tried(Again(), run)
    >>> async def lives(): return "done"
    >>> async def story(broker):
    ...     return [await demo(broker, run) for run in (lives, dies, dies, lives)]
    >>> asyncio.run(story(MemoryBroker()))
    ['done', None, None, None]
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._turn = asyncio.Lock()  # one suspect at a time
        self._running = 0  # messages beside which a suspect must not run
        self._is_quiet, self._is_over = asyncio.Event(), asyncio.Event()
        self._is_over.set()

    async def tried(self, delivery: Delivery, run: Callable[[], Awaitable[T]]) -> T | None:
        """What the run gives; None, without it, for a message that ended its worker each time that it was alone."""
        if delivery.attempt <= TOGETHER:
            return await self._beside_others(run)
        async with self._turn:
            self._is_over.clear()
            try:
                return await self._alone(f"tries.{delivery.message.id}", run)
            finally:
                self._is_over.set()

    async def _beside_others(self, run: Callable[[], Awaitable[T]]) -> T:
        while not self._is_over.is_set():
            await self._is_over.wait()
        self._running += 1
        try:
            return await run()
        finally:
            self._running -= 1
            if not self._running:
                self._is_quiet.set()

    async def _alone(self, name: str, run: Callable[[], Awaitable[T]]) -> T | None:
        """The try is noted before it is made: afterwards may be too late."""
        if self._running:
            self._is_quiet.clear()
            with contextlib.suppress(TimeoutError):  # one may wait for the room that only a later message makes
                await asyncio.wait_for(self._is_quiet.wait(), PATIENCE)
        state, _ = await self._broker.kept(name, seconds=KEPT_SECONDS)
        tries = int(state or 0)
        if tries >= ALONE:
            return None
        await self._broker.keep(name, str(tries + 1).encode(), seconds=KEPT_SECONDS)
        result = await run()
        with contextlib.suppress(Exception):  # it is done, whether the broker hears of it or not
            await self._broker.keep(name, b"0", seconds=KEPT_SECONDS)
        return result
