"""A Run: a graph that stays up, on a thread of nbgraph's own; the cell that started it is free."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from queue import Queue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nbgraph.engine.plan import Plan, entering
from nbgraph.engine.stream import stream
from nbgraph.errors import NbgraphError
from nbgraph.event import Event

if TYPE_CHECKING:
    from nbgraph.graph.graph import Graph

WAITING = 1000  # events that may wait before a push has to
_Item = tuple[Event, "Future[Any]"] | None


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
        self._items: Queue[_Item] = Queue(WAITING)
        self._may_go = threading.Event()
        self._may_go.set()
        self._is_closed = False
        graph.plan()  # a graph that can't run says so here, not in the first future
        self._thread = threading.Thread(target=self._serve, daemon=True, name=f"nbgraph-{graph.name}")
        self._thread.start()

    def push(self, body: Any, key: Any = None, *, headers: Mapping[str, str] | None = None) -> Future[Any]:
        """Hand in one event; the future has its answer or its StepError. Waits while `WAITING` events wait."""
        if self._is_closed:
            raise NbgraphError(f'The run of graph "{self._graph.name}" is closed; start another with graph.start().')
        future: Future[Any] = Future()
        self._items.put((entering(body, key=key, headers=headers), future))
        return future

    def pause(self) -> None:
        """Let pushed events wait from the next one on."""
        self._may_go.clear()

    def resume(self) -> None:
        self._may_go.set()

    @property
    def is_paused(self) -> bool:
        return not self._may_go.is_set()

    def flush(self) -> list[Any]:
        """Wait for all that was pushed, and let steps give what they hold; the answers to that."""
        self._items.join()
        return list(stream(self._plan(), ()))

    def close(self) -> None:
        """Drain and end; what steps hold flows on to the targets."""
        if self._is_closed:
            return
        self._is_closed = True
        self.resume()
        self.flush()
        self._items.put(None)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _plan(self) -> Plan:
        return self._graph.plan()

    def _serve(self) -> None:
        while (item := self._items.get()) is not None:
            event, future = item
            self._may_go.wait()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._plan().run(event))
                except BaseException as error:
                    future.set_exception(error)
            self._items.task_done()
        self._items.task_done()
