"""There: work for nbgraph's own loop, where async steps run, from the loop that serves callers and queues."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from nbgraph.engine import loop
from nbgraph.streams.base import Message, Publishing, QueueSpec

T = TypeVar("T")


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


class Back:
    """What publishes, from any loop: a connection can't be used but on its own.

    >>> from nbgraph.streams.memory import MemoryBroker
    >>> async def story(broker, queue):
    ...     await broker.declare(queue)
    ...     await there(Back(broker).publish(queue, Message("m1", b"")))
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
