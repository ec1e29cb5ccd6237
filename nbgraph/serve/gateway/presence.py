"""Presence: whether a caller is still there, for what works on his event: here, or in another function.

A worker whose step has been giving results for a moment asks the caller's gateway, and hears when he goes. It asks too
before it drops an event as late: clocks differ, and only the gateway knows whether its caller waits.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from nbgraph.engine import loop
from nbgraph.engine.compile.call import Call
from nbgraph.errors import Halt
from nbgraph.serve.queues.outcome import CREDIT, KIND, ROOT
from nbgraph.streams.base import Broker, Inbox
from nbgraph.streams.event_context import EventContext

ASK, HERE, GONE, UNKNOWN = "ask", "here", "gone", "unknown"  # kinds of messages between workers and gateways
FROM, LEFT = "From", "Left"
SOON = 0.2  # seconds of work after which a worker wants to hear when the caller goes
SILENCE = 1.0  # seconds after which a gateway that does not answer is not there


class CallerGone(Halt):
    """Nobody waits any more for what a step goes on to give."""


@dataclass(eq=False, slots=True)
class CallerPresence:
    """Whoever waits for an event; `is_gone` may be set from any thread."""

    is_gone: bool = False


current: ContextVar[CallerPresence | None] = ContextVar("caller", default=None)


class Presence:
    """A worker's side."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._inbox: Inbox | None = None
        self._opening = asyncio.Lock()
        self._hearing: asyncio.Task[None] | None = None
        self._callers: dict[str, set[CallerPresence]] = {}
        self._questions: dict[str, set[asyncio.Future[float]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def seconds_left(self, passage: EventContext) -> float:
        """For how long somebody waits for the event, by this clock; where that says not at all, he is asked for."""
        if passage.deadline is None:
            return math.inf
        left = passage.deadline - time.time()
        if left > 0 or passage.reply_to is None:
            return left
        told = await self._asked(passage.root, passage.reply_to)
        if told is None:  # the gateway is gone too; who comes back for what is kept finds it
            return math.inf if passage.is_kept else left
        return told

    @contextmanager
    def watched(self, passage: EventContext) -> Iterator[None]:
        """Steps that give results are stopped when the caller goes, unless what comes of it is kept for him."""
        if passage.reply_to is None or passage.is_kept:
            yield
            return
        caller, root = CallerPresence(), passage.root
        current.set(caller)
        self._callers.setdefault(root, set()).add(caller)
        asking = asyncio.get_running_loop().call_later(SOON, self._begin, root, passage.reply_to)
        try:
            yield
        finally:
            asking.cancel()
            _discard(self._callers, root, caller)

    async def close(self) -> None:
        for task in [*self._tasks, *([self._hearing] if self._hearing is not None else [])]:
            task.cancel()
        if self._inbox is not None:
            await self._inbox.close()

    def _begin(self, root: str, reply_to: str) -> None:
        task = loop.background(self._ask(root, reply_to))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _asked(self, root: str, reply_to: str) -> float | None:
        """The seconds that the gateway tells; None where it does not answer."""
        told: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._questions.setdefault(root, set()).add(told)
        try:
            async with asyncio.timeout(SILENCE):
                await self._ask(root, reply_to)
                return await told
        except TimeoutError:
            return None
        finally:
            _discard(self._questions, root, told)

    async def _ask(self, root: str, reply_to: str) -> None:
        async with self._opening:
            if self._inbox is None:
                self._inbox = await self._broker.inbox()
                self._hearing = loop.background(self._hear(self._inbox))
        with suppress(Exception):  # the broker is away: nobody hears of anything
            await self._broker.reply(reply_to, {KIND: ASK, ROOT: root, FROM: self._inbox.address}, b"")

    async def _hear(self, inbox: Inbox) -> None:
        async for headers, _ in inbox.replies():
            with suppress(KeyError, ValueError):  # it is nothing of ours
                self._heard(headers)

    def _heard(self, headers: Mapping[str, str]) -> None:
        root, left = headers[ROOT], float(headers[LEFT])
        for told in self._questions.get(root, ()):
            if not told.done():
                told.set_result(left)
        if headers[KIND] == GONE:
            for caller in self._callers.get(root, ()):
                caller.is_gone = True


def answer(root: str, kind: str, left: float) -> dict[str, str]:
    """What a gateway tells a worker who asked."""
    return {KIND: kind, ROOT: root, LEFT: repr(left), CREDIT: "0"}


def heeding(call: Call) -> Call:
    """A call that gives its results one by one as long as the caller is there."""
    function = _heeded_async(call.function) if call.draws_async else _heeded(call.function)
    return replace(call, function=function, anew=lambda clock: heeding(call.anew(clock)))


def _heeded(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def heeded(body: Any) -> Any:
        results = function(body)
        return _while_there(results) if isinstance(results, Generator) else results

    return heeded


def _while_there(results: Generator[Any, None, None]) -> Iterator[Any]:
    with closing(results):
        for result in results:
            yield result
            _stop_where_gone()


def _heeded_async(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def heeded(body: Any) -> AsyncIterator[Any]:
        results: AsyncGenerator[Any, None] = function(body)
        async with aclosing(results):
            async for result in results:
                yield result
                _stop_where_gone()

    return heeded


def _stop_where_gone() -> None:
    caller = current.get()
    if caller is not None and caller.is_gone:
        raise CallerGone


def _discard(kept: dict[str, set[Any]], root: str, item: Any) -> None:
    kept[root].discard(item)
    if not kept[root]:
        del kept[root]
