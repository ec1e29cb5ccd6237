"""Attempts: retries with growing pauses, and a time limit, around one handler."""

from __future__ import annotations

import asyncio
import functools
import random
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from nbgraph.graph.step import Step

FIRST_PAUSE = 0.1  # seconds before the first retry; doubled for each further one
LONGEST_PAUSE = 10.0

Function = Callable[[Any], Any]


def attempts(function: Function, step: Step, is_async: bool) -> tuple[Function, bool]:
    """The function with the step's retries and timeout; untouched where the step has neither."""
    options = step.options
    if options.timeout is not None:
        function = (_limited_async if is_async else _limited)(function, options.timeout)
    if options.retries:
        function = (_retried_async if is_async else _retried)(function, options.retries, options.retry_on)
    return function, is_async


def pause(attempt: int) -> float:
    """Seconds to wait before the given retry, counted from 0: doubled each time, with up to a half taken off at random.

    >>> 0.05 <= pause(0) <= 0.1 and pause(50) <= 10
    True
    """
    return min(FIRST_PAUSE * 2.0 ** min(attempt, 20), LONGEST_PAUSE) * random.uniform(0.5, 1)


def _retried(function: Function, retries: int, retry_on: tuple[type[BaseException], ...]) -> Function:
    @functools.wraps(function, updated=())
    def retry(body: Any) -> Any:
        for attempt in range(retries):
            try:
                return function(body)
            except retry_on:
                time.sleep(pause(attempt))
        return function(body)

    return retry


def _retried_async(function: Function, retries: int, retry_on: tuple[type[BaseException], ...]) -> Function:
    @functools.wraps(function, updated=())
    async def retry(body: Any) -> Any:
        for attempt in range(retries):
            try:
                return await function(body)
            except retry_on:
                await asyncio.sleep(pause(attempt))
        return await function(body)

    return retry


def _limited_async(function: Function, seconds: float) -> Function:
    @functools.wraps(function, updated=())
    async def limit(body: Any) -> Any:
        try:
            return await asyncio.wait_for(function(body), seconds)
        except TimeoutError:
            raise _late(seconds) from None

    return limit


def _limited(function: Function, seconds: float) -> Function:
    """A synchronous call can't be broken off, so it runs on a thread of its own that is left behind when late."""

    @functools.wraps(function, updated=())
    def limit(body: Any) -> Any:
        outcome: SimpleQueue[tuple[bool, Any]] = SimpleQueue()

        def work() -> None:
            try:
                outcome.put((True, function(body)))
            except BaseException as error:
                outcome.put((False, error))

        threading.Thread(target=work, daemon=True, name="nbgraph-timeout").start()
        return _value(outcome, seconds)

    return limit


def _value(outcome: SimpleQueue[tuple[bool, Any]], seconds: float) -> Any:
    from queue import Empty

    try:
        is_value, value = outcome.get(timeout=seconds)
    except Empty:
        raise _late(seconds) from None
    if is_value:
        return value
    raise value


def _late(seconds: float) -> TimeoutError:
    return TimeoutError(f"the handler took longer than its timeout of {seconds:g} s")
