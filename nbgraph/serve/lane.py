"""Lane: where the synchronous steps of a served graph run, one event at a time as in the notebook."""

from __future__ import annotations

import asyncio
import contextvars
import time
from asyncio import Future, events
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
QUICK = 0.001  # seconds: on the loop, a call that takes less holds it up no longer than the hop to a thread costs it
SLOW = 0.02  # seconds: a call that takes more belongs on the thread, wherever it was made
PROBATION, LONGEST = 50, 10_000  # calls on the thread before the loop is tried; doubled each time it did not go well
DOUBT, PATIENCE = 25, 100  # what a call that was not quick costs, and how much of that is borne


class Lane:
    """Runs calls in their order: on a thread of its own, or right on the loop once they have proved quick.

    A hop to a thread and back costs more than many a graph, while a slow call on the loop would keep health checks
    waiting. So each call is timed. Calls begin on the thread, where the time says little (it has the interpreter's lock
    to wait for), so anything short of slow lets the lane try the loop; there a call has to be quick.

    >>> async def demo():
    ...     return await Lane().run(lambda: 6 * 7)
    >>> asyncio.run(demo())
    42
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nbgraph-lane")
        self._queued = 0
        self._emptied = asyncio.Event()
        self._trust, self._needed, self._doubt = 0, PROBATION, 0

    @property
    def is_on_loop(self) -> bool:
        """Whether the next call may run right here: those of late were quick, and none still runs on the thread."""
        return self._trust >= self._needed and not self._queued

    async def run(self, call: Callable[[], T]) -> T:
        """The call's result, from wherever its turn comes."""
        while (
            self._trust >= PROBATION and self._queued
        ):  # let the thread run empty, or a busy lane would never leave it
            await self._emptied.wait()
        if self.is_on_loop:
            return self.here(call)
        self._queued += 1
        self._emptied.clear()
        context = contextvars.copy_context()  # the trace of the event, and whatever else belongs to it
        future = asyncio.get_running_loop().run_in_executor(self._thread, context.run, self._on_thread, call)
        future.add_done_callback(self._left)
        return await future

    def here(self, call: Callable[[], T]) -> T:
        """The loop is hidden meanwhile, so that a step which calls `asyncio.run` works here as on a thread."""
        loop = asyncio.get_running_loop()
        events._set_running_loop(None)
        began = self._clock()
        try:
            return call()
        finally:
            events._set_running_loop(loop)
            self._judge(self._clock() - began)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _on_thread(self, call: Callable[[], T]) -> T:
        began = self._clock()
        try:
            return call()
        finally:
            self._trust = self._trust + 1 if self._clock() - began < SLOW else 0

    def _judge(self, seconds: float) -> None:
        """Stay on the loop, or go back to the thread for longer than the last time."""
        if seconds < QUICK:
            self._doubt = max(self._doubt - 1, 0)
            return
        self._doubt += DOUBT if seconds < SLOW else PATIENCE
        if self._doubt >= PATIENCE:
            self._trust, self._needed, self._doubt = 0, min(self._needed * 2, LONGEST), 0

    def _left(self, _: Future[T]) -> None:
        self._queued -= 1
        if not self._queued:
            self._emptied.set()
