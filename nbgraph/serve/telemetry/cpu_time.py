"""CpuTime: the processor time of one awaited call, without that of what the loop does while it waits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Generator
from typing import Any


class CpuTime:
    """An awaitable around another; `seconds` is what it took of this thread once it is done.

    >>> import asyncio
    >>> timed = CpuTime(asyncio.sleep(0.01, "slept"))
    >>> async def story():
    ...     return await timed
    >>> asyncio.run(story()), 0 < timed.seconds < 0.01
    ('slept', True)
    """

    __slots__ = ("_work", "seconds")

    def __init__(self, work: Awaitable[Any]) -> None:
        self._work = work
        self.seconds = 0.0

    def __await__(self) -> Generator[Any, Any, Any]:
        steps, clock = self._work.__await__(), time.thread_time
        told: Any = None
        failure: BaseException | None = None
        while True:
            began = clock()
            try:
                waits_for = steps.send(told) if failure is None else steps.throw(failure)
            except StopIteration as end:
                return end.value
            finally:
                self.seconds += clock() - began
            told, failure = None, None
            try:
                told = yield waits_for
            except BaseException as error:  # a cancellation, as a rule: the call itself decides what it means
                failure = error
