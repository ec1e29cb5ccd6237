"""Concurrent: a handler that works on several events at once, on the event loop, on threads or in processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from inspect import iscoroutinefunction
from typing import Any

from nbgraph.errors import GraphError, own
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.runtime.loop_thread import PerLoop, pause
from nbgraph.steps.runtime.processes import Processes

__all__ = ["Concurrent"]

# Storey's older names mean the same.
MECHANISMS = {
    "asyncio": "asyncio",
    "thread": "thread",
    "threading": "thread",
    "thread_pool": "thread",
    "process": "process",
    "multiprocessing": "process",
    "process_pool": "process",
}


class Concurrent(Handler):
    """Run the handler on up to `max_in_flight` events at once; answers keep the order of the input.

    >>> import time
    >>> from nbgraph import Graph
    >>> def fetch(number):
    ...     time.sleep(0.01)
    ...     return number * 2
    >>> graph = Graph("g")
    >>> _ = graph.to(Concurrent(fetch, "thread", max_in_flight=4))
    >>> list(graph.stream([1, 2, 3]))
    [2, 4, 6]

    `concurrency_mechanism` is "asyncio" for a coroutine function, "thread" for calls that wait, "process" for calls
    that compute (the function and its results travel to the processes by cloudpickle). A call that fails is made up to
    `retries` more times, after `backoff_factor` seconds, then twice as many each time.

    Parameters
    ----------
    event_processor
        Function of the body; a coroutine function for `"asyncio"`.
    concurrency_mechanism
        `"asyncio"`, `"thread"` or `"process"`.
    max_in_flight
        Calls that are under way at once.
    retries
        Further tries of a call that failed.
    backoff_factor
        Seconds before the second try; they double with each further one.
    """

    counterpart = Counterpart("ConcurrentExecution")

    do: Callable[[Any], Awaitable[Any]]

    def __init__(
        self,
        event_processor: Callable[[Any], Any],
        concurrency_mechanism: str = "asyncio",
        max_in_flight: int = 8,
        retries: int = 0,
        backoff_factor: float = 1,
    ) -> None:
        if concurrency_mechanism not in MECHANISMS:
            known = ", ".join(MECHANISMS)
            raise GraphError(f"Concurrent got the mechanism {concurrency_mechanism!r}; expected one of {known}.")
        if not callable(event_processor):
            raise GraphError(f"Concurrent got {event_processor!r}; expected a function of the body.")
        self._processor = event_processor
        self._mechanism = MECHANISMS[concurrency_mechanism]
        is_coroutine = iscoroutinefunction(self._processor) or iscoroutinefunction(type(self._processor).__call__)
        if is_coroutine != (self._mechanism == "asyncio"):
            kind = "a coroutine function" if is_coroutine else "a plain function"
            expected = '"asyncio"' if is_coroutine else '"thread" or "process"'
            raise GraphError(
                f"Concurrent got {kind} with the mechanism {concurrency_mechanism!r}; expected {expected}, or "
                f"{'a plain function' if is_coroutine else 'an async def'}."
            )
        self.concurrency = max_in_flight
        self._retries, self._backoff = retries, backoff_factor
        self._slots = PerLoop(lambda: asyncio.Semaphore(max_in_flight))
        self.do = self._do

    async def _do(self, body: Any) -> Any:
        async with self._slots.here():
            for attempt in range(self._retries):
                try:
                    return await self._once(body)
                except own():
                    await asyncio.sleep(pause(attempt, self._backoff))
            return await self._once(body)

    async def _once(self, body: Any) -> Any:
        if self._mechanism == "asyncio":
            return await self._processor(body)
        if self._mechanism == "thread":
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._processor, body)
        return Processes.value(await asyncio.wrap_future(self._processes.submit(body)))

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        """Started when the first event comes."""
        return ThreadPoolExecutor(self.concurrency, "nbgraph-concurrent")

    @cached_property
    def _processes(self) -> Processes:
        return Processes(self._processor, self.concurrency or 1)
