"""BrokeredRun: a graph that stays up over a broker's queues."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from nbgraph.brokered.brokered_event import BrokeredEvent
from nbgraph.brokered.session import BrokeredSession
from nbgraph.engine import loop
from nbgraph.engine.plan import Plan
from nbgraph.errors import NbgraphError
from nbgraph.event import Event, entering

if TYPE_CHECKING:
    from nbgraph.brokered.graph import BrokeredGraph

_logger = logging.getLogger("nbgraph.run")
WAITING = 1000  # events that may wait before a push has to
OFTEN = 0.05  # seconds between two looks at what steps want to release although no event comes
T = TypeVar("T")
_Item = tuple[Event, "Future[Any]"]


class BrokeredRun:
    """Push events, get futures of their answers; pause, resume, flush; leaving the block drains.

    As a run without `streams`, but that no single step can be held. Left by an exception, what waits is cancelled.
    """

    def __init__(self, graph: BrokeredGraph) -> None:
        self._graph = graph
        self._name = graph.name
        self._is_closed = self._is_paused = False
        self._room = threading.Semaphore(WAITING)
        self._thread = loop.responsive()
        self._state = self._call(_BrokeredState.begin(graph, self._room))

    def push(
        self, body: Any, key: Any = None, *, id: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Future[Any]:
        """Hand in one event; the future has its answer or its StepError. Waits while `WAITING` events wait to enter."""
        if self._is_closed:
            raise NbgraphError(f'The run of graph "{self._name}" is closed; start another with graph.start().')
        future: Future[Any] = Future()
        self._room.acquire()
        self._thread.loop.call_soon_threadsafe(
            self._state.push, entering(body, key=key, id=id, headers=headers), future
        )
        return future

    def pause(self) -> None:
        """Let pushed events wait from the next one on; those that have entered go their way."""
        self._pause(is_paused=True)

    def resume(self) -> None:
        """Let the waiting events go on."""
        self._pause(is_paused=False)

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    def flush(self) -> list[Any]:
        """Wait for all that was pushed, and let steps give what they hold; the answers to that."""
        if self._is_closed:
            return []
        answers = self._call(self._state.flush())
        if answers is None:
            raise NbgraphError(f'The run of graph "{self._name}" is paused with events waiting; resume() first.')
        return answers

    def close(self) -> None:
        """Drain and end; what steps hold flows on to the targets, and the queues are gone."""
        if self._is_closed:
            return
        self._is_closed = True
        self.resume()
        try:
            self._call(self._state.flush())
        finally:
            self._call(self._state.end())
            loop.release(self._thread)

    def stop(self) -> None:
        """End after what is in hand; what waits is cancelled, and the queues are gone."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._call(self._state.leave())
        finally:
            self._call(self._state.end())
            loop.release(self._thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close() if kind is None else self.stop()

    def _pause(self, *, is_paused: bool) -> None:
        self._is_paused = is_paused
        self._call(self._state.pause(is_paused=is_paused))

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.submit(coroutine).result()


class _BrokeredState:
    """The side of a run that lives on the event loop."""

    def __init__(self, graph: BrokeredGraph, room: threading.Semaphore) -> None:
        self._graph, self._room = graph, room
        self._items: asyncio.Queue[_Item] = asyncio.Queue()
        self._outside = 0  # events that were pushed and have not entered
        self._under_way: set[BrokeredEvent] = set()
        self._happened = asyncio.Condition()
        self._may_go = asyncio.Event()
        self._may_go.set()
        self._stack = AsyncExitStack()
        self._plan: Plan | None = None
        self._is_left = False
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def begin(cls, graph: BrokeredGraph, room: threading.Semaphore) -> Self:
        state = cls(graph, room)
        await state._open()
        state._tasks = [loop.background(state._feed()), loop.background(state._watch_the_clock())]
        return state

    def push(self, event: Event, future: Future[Any]) -> None:
        self._outside += 1
        self._items.put_nowait((event, future))

    async def pause(self, *, is_paused: bool) -> None:
        self._may_go.clear() if is_paused else self._may_go.set()

    async def flush(self) -> list[Any] | None:
        """None where a paused run has events waiting."""
        if self._outside and not self._may_go.is_set():
            return None
        await self._items.join()
        await self._quiet()
        assert self._plan is not None
        return [answer async for event_run in self._session.release(self._plan) for answer in event_run.answers().all()]

    async def leave(self) -> None:
        """What waits is cancelled; returns when what is in hand has come to its end."""
        self._is_left = True
        self._may_go.set()
        self._session.leave()
        await self._items.join()
        await self._quiet()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _open(self) -> None:
        """A session of the graph as it is now, in the place of the one before."""
        plan, stack = self._graph.plan(), AsyncExitStack()
        session: BrokeredSession = await stack.enter_async_context(self._graph.open())
        await self._stack.aclose()
        self._plan, self._stack, self._session = plan, stack, session

    async def _feed(self) -> None:
        while True:
            event, future = await self._items.get()
            await self._may_go.wait()
            self._room.release()
            if self._is_left:
                future.cancel()
            if future.set_running_or_notify_cancel():
                try:
                    await self._enter(event, future)
                except Exception as error:  # the graph was changed to one that can't run
                    future.set_exception(error)
            self._outside -= 1
            self._items.task_done()

    async def _enter(self, event: Event, future: Future[Any]) -> None:
        if self._graph.plan() is not self._plan:
            await self._quiet()
            await self._open()
        async with self._happened:
            await self._happened.wait_for(lambda: len(self._under_way) < self._session.window)
        if self._is_left:
            raise CancelledError
        self._under_way.add(self._session.enter(event, lambda event_run: self._landed(event_run, future)))

    async def _quiet(self) -> None:
        async with self._happened:
            await self._happened.wait_for(lambda: not self._under_way)

    def _landed(self, event_run: BrokeredEvent, future: Future[Any]) -> None:
        assert self._plan is not None
        try:
            future.set_result(self._plan.answer_of(event_run.event, event_run.answers()))
        except Exception as error:
            future.set_exception(error)
        self._under_way.discard(event_run)
        loop.background(self._tell())

    async def _tell(self) -> None:
        async with self._happened:
            self._happened.notify_all()

    async def _watch_the_clock(self) -> None:
        """Let steps release what is due although no event comes; nobody waits for that but the targets and the log."""
        while True:
            await asyncio.sleep(OFTEN)
            for event_run in await self._session.release_overdue(time.monotonic()):
                if event_run.error is not None:
                    message = 'What a step of graph "%s" released failed'
                    _logger.error(message, self._graph.name, exc_info=event_run.error)
