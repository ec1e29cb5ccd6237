"""A Run: a graph that stays up, on a thread of nbgraph's own; the cell that started it is free."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from queue import Empty, Queue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nbgraph.engine import loop
from nbgraph.engine.conductor import Conductor
from nbgraph.engine.overdue import next_due, release_overdue
from nbgraph.engine.plan import Plan, entering
from nbgraph.engine.stream import stream
from nbgraph.engine.ticket import Ticket
from nbgraph.errors import NbgraphError, StepError
from nbgraph.event import Event

if TYPE_CHECKING:
    from nbgraph.graph.graph import Graph

_logger = logging.getLogger("nbgraph.run")
WAITING = 1000  # events that may wait before a push has to
_Item = tuple[Event | None, "Future[Any]"]  # no event: let go what steps hold


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
        self._loop: loop.LoopThread | None = None  # where events are conducted, once one is
        self._conducting: list[asyncio.Task[Any]] = []
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
        self._items.put((entering(body, key=key, id=id, headers=headers), future))
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
        if self._is_closed:
            return []
        if self.is_paused and self._items.unfinished_tasks:
            raise NbgraphError(f'The run of graph "{self._graph.name}" is paused with events waiting; resume() first.')
        return self._flush()

    def close(self) -> None:
        """Drain and end; what steps hold flows on to the targets."""
        if self._is_closed:
            return
        self._is_closed = True
        self.resume()
        try:
            self._flush()
        finally:
            self._items.put(None)
            self._thread.join()
            for task in self._conducting:
                task.get_loop().call_soon_threadsafe(task.cancel)
            if self._loop is not None:
                loop.release(self._loop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _flush(self) -> list[Any]:
        self._items.join()
        released: Future[list[Any]] = Future()
        self._items.put((None, released))  # on the thread that runs the events, as no step sees two things at once
        return released.result()

    def _serve(self) -> None:
        while (item := self._next_item()) is not None:
            event, future = item
            if event is not None:
                self._may_go.wait()
            if event is None:
                self._settle(future, lambda: list(stream(self._graph.plan(), ())))
            elif future.set_running_or_notify_cancel():
                self._take(event, future)
            else:
                self._items.task_done()
        self._items.task_done()

    def _next_item(self) -> _Item | None:
        """The next event; while none comes, what steps hold back is released when its time has come."""
        while True:
            try:
                plan = self._graph.plan()
                due = next_due(plan)
            except Exception:  # the graph was changed to one that can't run: the next event's future says so
                return self._items.get()
            try:
                return self._items.get(timeout=None if due is None else max(0.0, due - time.monotonic()))
            except Empty:
                self._release(plan)

    def _release(self, plan: Plan) -> None:
        try:
            release_overdue(plan, time.monotonic())
        except StepError:  # nobody waits for it: the error stream and the log know
            _logger.exception('What a step of graph "%s" let go came to an error', self._graph.name)

    def _take(self, event: Event, future: Future[Any]) -> None:
        try:
            plan = self._graph.plan()
        except Exception as error:  # the graph was changed to something that can't run
            future.set_exception(error)
            self._items.task_done()
            return
        if not plan.is_staged:
            self._settle(future, lambda: plan.run(event))
            return
        if self._loop is None:
            self._loop = loop.responsive()
        self._loop.submit(self._admit(plan, Ticket(event, lambda ticket: self._landed(plan, ticket, future)))).result()

    def _settle(self, future: Future[Any], work: Any) -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)
        self._items.task_done()

    async def _admit(self, plan: Plan, ticket: Ticket) -> None:
        """Let the event enter beside those under way, as soon as there is room."""
        if self._conductor is None or self._conductor[0] is not plan:
            self._conductor = (plan, Conductor(plan, asyncio.Event()))
            self._conducting.append(loop.background(self._conduct(self._conductor[1])))
        conductor = self._conductor[1]
        while not conductor.has_room():
            await conductor.room()
        await conductor.begin(ticket)

    async def _conduct(self, conductor: Conductor) -> None:
        try:
            while True:
                await conductor.progress()
        finally:
            conductor.close()

    def _landed(self, plan: Plan, ticket: Ticket, future: Future[Any]) -> None:
        if ticket.error is not None:
            future.set_exception(ticket.error)
        else:
            future.set_result(plan.answer_of(ticket.event, ticket))
        self._items.task_done()
