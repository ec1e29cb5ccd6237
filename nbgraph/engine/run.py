"""A Run: a graph that stays up, on a thread of nbgraph's own; the cell that started it is free."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from queue import Empty, Queue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nbgraph.engine import loop
from nbgraph.engine.conductor import Conductor, Ticket
from nbgraph.engine.overdue import next_due, release_overdue
from nbgraph.engine.plan import Plan, entering
from nbgraph.engine.stream import stream
from nbgraph.errors import NbgraphError
from nbgraph.event import Event

if TYPE_CHECKING:
    from nbgraph.graph.graph import Graph

WAITING = 1000  # events that may wait before a push has to
_Item = tuple[Event, "Future[Any]"]


class Run:
    """Push events, get futures of their answers; pause, resume, flush; leaving the block drains.

    >>> from nbgraph import Graph
    >>> graph = Graph("twice")
    >>> _ = graph.to(lambda body: body * 2)
    >>> with graph.start() as run:
    ...     future = run.push(21)
    >>> future.result()
    42
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._items: Queue[_Item | None] = Queue(WAITING)
        self._may_go = threading.Event()
        self._may_go.set()
        self._is_closed = False
        self._conductor: tuple[Plan, Conductor] | None = None
        self._conducting: asyncio.Task[Any] | None = None
        graph.plan()  # a graph that can't run says so here, not in the first future
        self._thread = threading.Thread(target=self._serve, daemon=True, name=f"nbgraph-{graph.name}")
        self._thread.start()

    def push(
        self, body: Any, key: Any = None, *, id: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Future[Any]:
        """Hand in one event; the future has its answer or its StepError. Waits while `WAITING` events wait."""
        if self._is_closed:
            raise NbgraphError(f'The run of graph "{self._graph.name}" is closed; start another with graph.start().')
        future: Future[Any] = Future()
        event = entering(body, key=key, id=id, headers=headers)
        if key is not None:
            event.key = key
        self._items.put((event, future))
        return future

    def pause(self) -> None:
        """Let pushed events wait from the next one on."""
        self._may_go.clear()

    def resume(self) -> None:
        """Let the waiting events go on."""
        self._may_go.set()

    @property
    def is_paused(self) -> bool:
        return not self._may_go.is_set()

    def flush(self) -> list[Any]:
        """Wait for all that was pushed, and let steps give what they hold; the answers to that."""
        if self.is_paused and not self._items.empty():
            raise NbgraphError(f'The run of graph "{self._graph.name}" is paused with events waiting; resume() first.')
        self._items.join()
        return list(stream(self._graph.plan(), ()))

    def close(self) -> None:
        """Drain and end; what steps hold flows on to the targets."""
        if self._is_closed:
            return
        self._is_closed = True
        self.resume()
        self.flush()
        self._items.put(None)
        self._thread.join()
        if self._conducting is not None:
            loop.own_loop().call_soon_threadsafe(self._conducting.cancel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self) -> None:
        while (item := self._next_item()) is not None:
            self._may_go.wait()
            if item[1].set_running_or_notify_cancel():
                self._take(*item)
            else:
                self._items.task_done()
        self._items.task_done()

    def _next_item(self) -> _Item | None:
        """The next event; while none comes, what steps hold back is released when its time has come."""
        while True:
            plan = self._graph.plan()
            due = next_due(plan)
            try:
                return self._items.get(timeout=None if due is None else max(0.0, due - time.monotonic()))
            except Empty:
                release_overdue(plan, time.monotonic())

    def _take(self, event: Event, future: Future[Any]) -> None:
        plan = self._graph.plan()
        if plan.staged is not None and not plan.observers:
            loop.complete(self._admit(plan, Ticket(event, lambda ticket: self._settled(plan, ticket, future))))
            return
        try:
            future.set_result(plan.run(event))
        except BaseException as error:
            future.set_exception(error)
        self._items.task_done()

    async def _admit(self, plan: Plan, ticket: Ticket) -> None:
        """Let the event enter beside those under way, as soon as there is room."""
        if self._conductor is None or self._conductor[0] is not plan:
            self._conductor = (plan, Conductor(plan))
            self._conducting = loop.background(self._conduct(self._conductor[1]))
        conductor = self._conductor[1]
        while not conductor.has_room():
            await conductor.room()
        await conductor.begin(ticket)

    async def _conduct(self, conductor: Conductor) -> None:
        while True:
            await conductor.progress()

    def _settled(self, plan: Plan, ticket: Ticket, future: Future[Any]) -> None:
        if ticket.error is not None:
            future.set_exception(ticket.error)
        else:
            future.set_result(plan.answer_of(ticket.event, ticket))
        self._items.task_done()
