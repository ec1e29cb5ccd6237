"""Portal: an event loop on a thread of its own, for clients that speak asyncio inside steps that do not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

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
