"""Retries with exponential backoff, and a timeout, around one handler."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from queue import Empty, SimpleQueue
from typing import Any

from nbgraph.errors import ANY, Kinds, own
from nbgraph.graph.step import StepOptions

FIRST_PAUSE = 0.1  # seconds before the first retry; doubled for each further one
LONGEST_PAUSE = 10.0
_END: Any = object()

Function = Callable[[Any], Any]


def with_retries(function: Function, options: StepOptions, *, is_async: bool, is_generator: bool) -> Function:
    """The function with the step's retries and timeout; unchanged if the step has neither.

    The timeout of a generator applies to each of its results; it is retried only before its first result.
    """
    if options.timeout is not None:
        function = _LIMITED[is_async, is_generator](function, options.timeout)
    if options.retries:
        kinds = ANY if options.retry_on == (Exception,) else options.retry_on  # by default: on any exception
        function = _RETRIED[is_async, is_generator](function, options.retries, kinds)
    return function


def pause(attempt: int) -> float:
    """Seconds to wait before the given retry, counted from 0: doubled each time, minus a random part of up to a half.

    >>> 0.05 <= pause(0) <= 0.1 and pause(50) <= 10
    True
    """
    return min(FIRST_PAUSE * 2.0 ** min(attempt, 20), LONGEST_PAUSE) * random.uniform(0.5, 1)


def _retried(function: Function, retries: int, retry_on: Kinds) -> Function:
    @functools.wraps(function, updated=())
    def retry(body: Any) -> Any:
        for attempt in range(retries):
            try:
                return function(body)
            except own(retry_on):
                time.sleep(pause(attempt))
        return function(body)

    return retry


def _retried_async(function: Function, retries: int, retry_on: Kinds) -> Function:
    @functools.wraps(function, updated=())
    async def retry(body: Any) -> Any:
        for attempt in range(retries):
            try:
                return await function(body)
            except own(retry_on):
                await asyncio.sleep(pause(attempt))
        return await function(body)

    return retry


def _retried_chunks(function: Function, retries: int, retry_on: Kinds) -> Function:
    @functools.wraps(function, updated=())
    def retry(body: Any) -> Iterator[Any]:
        for attempt in range(retries):
            with closing(function(body)) as chunks:
                try:
                    first = next(chunks, _END)
                except own(retry_on):
                    time.sleep(pause(attempt))
                    continue
                if first is not _END:
                    yield first
                    yield from chunks
                return
        yield from function(body)

    return retry


def _retried_async_chunks(function: Function, retries: int, retry_on: Kinds) -> Function:
    @functools.wraps(function, updated=())
    async def retry(body: Any) -> AsyncIterator[Any]:
        for attempt in range(retries):
            async with aclosing(function(body)) as chunks:
                try:
                    first = await anext(chunks, _END)
                except own(retry_on):
                    await asyncio.sleep(pause(attempt))
                    continue
                if first is not _END:
                    yield first
                    async for chunk in chunks:
                        yield chunk
                return
        async with aclosing(function(body)) as chunks:
            async for chunk in chunks:
                yield chunk

    return retry


def _limited(function: Function, seconds: float) -> Function:
    """A synchronous call can't be cancelled, so it runs on a thread of its own that is abandoned on timeout."""

    @functools.wraps(function, updated=())
    def limit(body: Any) -> Any:
        outcome: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                outcome.put((True, context.run(function, body)))
            except BaseException as error:
                outcome.put((False, error))

        threading.Thread(target=work, daemon=True, name="nbgraph-timeout").start()
        return _value(outcome, seconds)

    return limit


def _limited_async(function: Function, seconds: float) -> Function:
    @functools.wraps(function, updated=())
    async def limit(body: Any) -> Any:
        return await _in_time(function(body), seconds)

    return limit


def _limited_chunks(function: Function, seconds: float) -> Function:
    draw = _limited(lambda chunks: next(chunks, _END), seconds)

    @functools.wraps(function, updated=())
    def limit(body: Any) -> Iterator[Any]:
        chunks = function(body)
        while (chunk := draw(chunks)) is not _END:
            yield chunk

    return limit


def _limited_async_chunks(function: Function, seconds: float) -> Function:
    @functools.wraps(function, updated=())
    async def limit(body: Any) -> AsyncIterator[Any]:
        async with aclosing(function(body)) as chunks:
            while (chunk := await _in_time(anext(chunks, _END), seconds)) is not _END:
                yield chunk

    return limit


# by (is_async, is_generator)
_RETRIED = {
    (False, False): _retried,
    (True, False): _retried_async,
    (False, True): _retried_chunks,
    (True, True): _retried_async_chunks,
}
_LIMITED = {
    (False, False): _limited,
    (True, False): _limited_async,
    (False, True): _limited_chunks,
    (True, True): _limited_async_chunks,
}


async def _in_time(awaitable: Any, seconds: float) -> Any:
    """The result of the awaitable; a TimeoutError of the handler itself is not mistaken for the timeout."""
    try:
        async with asyncio.timeout(seconds) as limit:
            return await awaitable
    except TimeoutError:
        if limit.expired():
            raise _late(seconds) from None
        raise


def _value(outcome: SimpleQueue[tuple[bool, Any]], seconds: float) -> Any:
    try:
        is_value, value = outcome.get(timeout=seconds)
    except Empty:
        raise _late(seconds) from None
    if is_value:
        return value
    raise value


def _late(seconds: float) -> TimeoutError:
    return TimeoutError(f"the handler took longer than its timeout of {seconds:g} s")
