"""There: work for nbgraph's own loop, from the loop that serves HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from nbgraph.engine import loop

T = TypeVar("T")


async def there(work: Coroutine[Any, Any, T]) -> T:
    """The result of work on nbgraph's loop, however busy that is: a connection can't be used on any other loop.

    >>> async def where():
    ...     return asyncio.get_running_loop() is loop.own_loop()
    >>> asyncio.run(there(where()))
    True
    """
    return await asyncio.wrap_future(loop.submit(work))
