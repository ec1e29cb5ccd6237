"""LoopBridge: runs work on nbgraph's own loop, where async steps run, for the loop that serves callers and queues."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from nbgraph.engine import loop
from nbgraph.streams.base import FullError, Message, Publishing, QueueSpec

T = TypeVar("T")
PATIENCE = 5.0  # seconds for which a queue may be full before a caller is told so


async def there(work: Coroutine[Any, Any, T]) -> T:
    """The result of work on nbgraph's loop, however busy that is.

    >>> async def where():
    ...     return asyncio.get_running_loop() is loop.own_loop()
    >>> asyncio.run(there(where()))
    True
    """
    if asyncio.get_running_loop() is loop.own_loop():
        return await work
    return await asyncio.wrap_future(loop.submit(work))


class LoopBridge:
    """What publishes, from any loop: a connection can't be used but on its own.

    >>> from nbgraph.streams.memory.broker import MemoryBroker
    >>> async def story(broker, queue):
    ...     await broker.declare(queue)
    ...     await there(LoopBridge(broker).publish(queue, Message("m1", b"")))
    ...     return await broker.backlog(queue)
    >>> asyncio.run(story(MemoryBroker(), QueueSpec("q")))
    1
    """

    def __init__(self, broker: Publishing) -> None:
        self._broker, self._home = broker, asyncio.get_running_loop()

    async def publish(self, queue: QueueSpec, message: Message) -> None:
        if asyncio.get_running_loop() is self._home:
            await self._broker.publish(queue, message)
        else:
            publishing = asyncio.run_coroutine_threadsafe(self._broker.publish(queue, message), self._home)
            await asyncio.wrap_future(publishing)


class HastyBridge:
    """A way to the queues for those who have a caller waiting: he hears soon that one is full.

    >>> from nbgraph.streams.memory.broker import MemoryBroker
    >>> async def story(broker, queue):
    ...     await broker.declare(queue)
    ...     for id in ("m1", "m2"):
    ...         await HastyBridge(broker, 0.01).publish(queue, Message(id, b""))
    >>> asyncio.run(story(MemoryBroker(), QueueSpec("q", max_size=1)))
    Traceback (most recent call last):
    nbgraph.streams.base.FullError: There is no room in "q", which is full; try again in a while.
    """

    def __init__(self, way: Publishing, patience: float = PATIENCE) -> None:
        self._way, self._patience = way, patience

    async def publish(self, queue: QueueSpec, message: Message) -> None:
        await in_room(queue.name, self._way.publish(queue, message), self._patience)


async def in_room(name: str, work: Coroutine[Any, Any, T], patience: float = PATIENCE) -> T:
    """What comes of work that waits while there is no room for what it keeps; a `FullError` where that is for long."""
    limit = asyncio.timeout(patience)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
        raise FullError(name) from None
