"""LoopThread: an event loop on a thread of its own, for clients of asyncio inside of steps that are synchronous.

Beside it: what belongs to one event loop, how long to wait before a retry, and coroutines that never wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
LONGEST_PAUSE = 120.0  # seconds


@cache
def portal_loop() -> asyncio.AbstractEventLoop:
    """The one loop, started on first use; a daemon, so that it ends with the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="nbgraph-portal").start()
    return loop


def call(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, waited for on this thread while it runs on the loop's.

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
    """As `call`; without waiting on the loop's own thread, on which the garbage collector may call it."""
    try:
        is_portal = asyncio.get_running_loop() is portal_loop()
    except RuntimeError:
        is_portal = False
    if is_portal:
        send_off(coroutine, portal_loop())
    else:
        call(coroutine)


def send_off(coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> None:
    """Run it without waiting, as a finalizer may on any thread."""
    if loop.is_running():
        asyncio.run_coroutine_threadsafe(coroutine, loop)
    else:
        coroutine.close()


class PerLoop(Generic[T]):
    """An object for each event loop, made at first use: semaphores and connections belong to one loop.

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


def run_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine in which nothing waits; so synchronous and async steps share one text.

    >>> async def double(body):
    ...     return body * 2
    >>> run_now(double(21))
    42
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("a synchronous step waited; one of its parts is async without saying so")
