"""Lane: where the synchronous steps of a served graph run, one event at a time as in the notebook."""

from __future__ import annotations

import asyncio
import time
from asyncio import Future, events
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
QUICK = 0.001  # seconds: a call that takes less holds the loop up no longer than the hop to a thread would cost it
SLOW = 0.02  # seconds: a call that takes more sends the lane back to its thread at once
PROBATION, TRUST, DOUBT = 50, 100, 25  # quick calls needed; counted at most; what one that was not quick takes away


class Lane:
    """Runs calls in their order: on a thread of its own, or right on the loop once they have proved quick.

    A hop to a thread and back costs more than many a graph, while a slow call on the loop would keep health checks
    waiting. So each call is timed: quick ones earn trust, others lose it, and with enough of it the lane moves onto
    the loop.

    >>> async def demo():
    ...     return await Lane().on_thread(lambda: 6 * 7)
    >>> asyncio.run(demo())
    42
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nbgraph-lane")
        self._queued = 0
        self._trust = 0

    @property
    def is_on_loop(self) -> bool:
        """Whether the next call may run right here: those of late were quick, and none still runs on the thread."""
        return self._trust >= PROBATION and not self._queued

    def on_thread(self, call: Callable[[], T]) -> Future[T]:
        self._queued += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._timed, call)
        future.add_done_callback(self._left)
        return future

    def here(self, call: Callable[[], T]) -> T:
        """The loop is hidden meanwhile, so that a step which calls `asyncio.run` works here as on a thread."""
        loop = asyncio.get_running_loop()
        events._set_running_loop(None)
        try:
            return self._timed(call)
        finally:
            events._set_running_loop(loop)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _timed(self, call: Callable[[], T]) -> T:
        began = self._clock()
        try:
            return call()
        finally:
            self._judge(self._clock() - began)

    def _judge(self, seconds: float) -> None:
        if seconds < QUICK:
            self._trust = min(self._trust + 1, TRUST)
        else:
            self._trust = max(self._trust - DOUBT, 0) if seconds < SLOW else 0

    def _left(self, _: Future[T]) -> None:
        self._queued -= 1
