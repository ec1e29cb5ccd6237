"""Flight: what is under way at once on an event loop, and how long to wait before the next attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
LONGEST_PAUSE = 120.0  # seconds


class PerLoop(Generic[T]):
    """A thing made anew for every event loop that asks for it: semaphores and connections belong to one.

    >>> slots = PerLoop(lambda: asyncio.Semaphore(8))
    >>> async def is_kept():
    ...     return slots.here() is slots.here()
    >>> asyncio.run(is_kept())
    True
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()

    def here(self) -> T:
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            self._made[loop] = self._make()
        return self._made[loop]


def pause(attempt: int, backoff_factor: float) -> float:
    """Seconds before the given retry, counted from 0: the factor, doubled each time, two minutes at most.

    >>> pause(0, 1), pause(3, 0.5), pause(30, 1)
    (1.0, 4.0, 120.0)
    """
    return min(backoff_factor * 2.0 ** min(attempt, 30), LONGEST_PAUSE)
