"""Executor: runs the synchronous steps of a served graph, as many at once as the function has threads for."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from asyncio import Future, events
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from nbgraph.engine.loop import Outcome, outcome_of, result_of
from nbgraph.errors import Halt
from nbgraph.serve.execution.inline_policy import InlinePolicy

T = TypeVar("T")


class DeadlineHalt(Halt):
    """Nobody waits any more for what has now got its turn."""


class Executor:
    """Turns, given in the order in which they were asked for, and the threads that calls run on.

    A turn lasts as long as an event's steps follow each other without waiting, so that what a worker has in hand is
    done one after the other as in the notebook, and the first one to come is the first one to be answered. Calls that
    have proved quick run right on the loop (see `InlinePolicy`). Turns may be asked for from any loop.

    >>> async def demo():
    ...     return await Executor().run(lambda: 6 * 7, InlinePolicy())
    >>> asyncio.run(demo())
    42
    """

    def __init__(self, threads: int = 1, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="nbgraph-lane")
        self._lock = threading.Lock()
        self._free = threads
        self._waiting: deque[Future[None]] = deque()

    @property
    def is_free(self) -> bool:
        """Whether a call may begin at once."""
        return self._free > 0

    async def run(self, call: Callable[[], T], pace: InlinePolicy, turn: ExecutorTurn | None = None) -> T:
        """The call's result, when its turn has come."""
        turn = turn or ExecutorTurn(self)
        await turn.take()
        try:
            return await self.call(call, pace, turn)
        finally:
            turn.give()

    async def call(self, call: Callable[[], T], pace: InlinePolicy, turn: ExecutorTurn) -> T:
        """The call's result; whoever calls has the turn, which lasts until the call ends, whatever becomes of him."""
        if pace.is_quick:
            return self.here(call, pace)
        context = contextvars.copy_context()  # the trace of the event, and whatever else belongs to it
        future = asyncio.get_running_loop().run_in_executor(self._threads, context.run, self._timed, call, pace)
        try:
            outcome = await asyncio.shield(future)
        except asyncio.CancelledError:
            turn.outlast(future)
            raise
        return result_of(outcome)  # type: ignore[no-any-return]

    def here(self, call: Callable[[], T], pace: InlinePolicy) -> T:
        """The loop is hidden meanwhile, so that a step which calls `asyncio.run` works here as on a thread."""
        loop = asyncio.get_running_loop()
        events._set_running_loop(None)
        began = self._clock()
        try:
            return call()
        finally:
            events._set_running_loop(loop)
            pace.was_here(self._clock() - began)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def enter(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            waiter: Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            with self._lock:
                is_still_waiting = waiter in self._waiting
                if is_still_waiting:
                    self._waiting.remove(waiter)
            if not is_still_waiting:  # the turn came in the same moment
                self.leave()
            raise

    def leave(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            waiter = self._waiting.popleft()
        try:
            waiter.get_loop().call_soon_threadsafe(_called, waiter)
        except RuntimeError:  # whoever waited is gone with its loop
            self.leave()

    def _timed(self, call: Callable[[], T], pace: InlinePolicy) -> Outcome:
        began = self._clock()
        outcome = outcome_of(call)
        pace.was_on_thread(self._clock() - began)
        return outcome


class ExecutorTurn:
    """One event's turns in a lane: taken before its first step, given up where it waits, taken again behind that.

    `is_late` is asked when the first turn has come: whether it is of no use by now. `passed` is called when the first
    turn is over, or not needed.
    """

    __slots__ = ("_is_held", "_lane", "_passed", "is_late")

    def __init__(
        self, lane: Executor, is_late: Callable[[], bool] | None = None, passed: Callable[[], object] | None = None
    ) -> None:
        self.is_late = is_late
        self._lane, self._passed = lane, passed
        self._is_held = False

    @property
    def is_held(self) -> bool:
        """Whether it has come and was not given up."""
        return self._is_held

    async def take(self) -> None:
        if self._is_held:
            return
        await self._lane.enter()
        self._is_held = True
        is_late, self.is_late = self.is_late, None
        if is_late is not None and is_late():
            self.give()
            raise DeadlineHalt

    def give(self) -> None:
        passed, self._passed = self._passed, None
        if self._is_held:
            self._is_held = False
            self._lane.leave()
        if passed is not None:
            passed()

    def outlast(self, call: Future[T]) -> None:
        """Whoever had the turn has gone, but what was begun in it still runs."""
        if self._is_held:
            self._is_held = False
            call.add_done_callback(self._ended)

    def _ended(self, call: Future[T]) -> None:
        self._lane.leave()
        if not call.cancelled():
            call.exception()  # nobody is there to be told


def _called(waiter: Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
