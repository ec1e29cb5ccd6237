"""Portal: an event loop on a thread of its own, for clients that speak asyncio inside steps that do not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


@cache
def portal_loop() -> asyncio.AbstractEventLoop:
    """The one loop, started on first use; a daemon, so that it ends with the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="nbgraph-portal").start()
    return loop


def call(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, waited for on this thread while it runs on the portal's.

    >>> call(asyncio.sleep(0, "slept"))
    'slept'
    """
    future = asyncio.run_coroutine_threadsafe(coroutine, portal_loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def finish(coroutine: Coroutine[Any, Any, Any]) -> None:
    """As `call`; where this is the portal's own thread, which the garbage collector may choose, without waiting."""
    try:
        is_portal = asyncio.get_running_loop() is portal_loop()
    except RuntimeError:
        is_portal = False
    if is_portal:
        send_off(coroutine, portal_loop())
    else:
        call(coroutine)


def send_off(coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> None:
    """Let it run without waiting: what a finalizer may do, whatever thread it is called on."""
    if loop.is_running():
        asyncio.run_coroutine_threadsafe(coroutine, loop)
    else:
        coroutine.close()


# Flight: what is under way at once on an event loop, and how long to wait before the next attempt.


T_flight = TypeVar("T_flight")
LONGEST_PAUSE = 120.0  # seconds


class PerLoop(Generic[T_flight]):
    """A thing made anew for every event loop that asks for it: semaphores and connections belong to one.

    >>> slots = PerLoop(lambda: asyncio.Semaphore(8))
    >>> async def is_kept():
    ...     return slots.here() is slots.here()
    >>> asyncio.run(is_kept())
    True
    """

    def __init__(self, make: Callable[[], T_flight]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, T_flight] = WeakKeyDictionary()

    def here(self) -> T_flight:
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
