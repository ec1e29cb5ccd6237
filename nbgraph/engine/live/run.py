"""Run: a graph that stays up, on threads of nbgraph's own.

What lies before, between and behind the queues of the graph works side by side, each on a thread of its own. A queue
holds as many events as it says; when it is full, what fills it waits.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self
from weakref import WeakSet

from nbgraph.engine.live.pushed_event import PushedEvent, WorkItem
from nbgraph.engine.live.region_worker import RegionTurns, RegionWorker
from nbgraph.engine.live.regions import ENTRY
from nbgraph.engine.live.run_state import Flush, RunState
from nbgraph.engine.live.ticker import Ticker, schedules_of
from nbgraph.errors import NbgraphError
from nbgraph.event import entering

if TYPE_CHECKING:
    from nbgraph.graph.graph import Graph


_running: WeakSet[Run] = WeakSet()  # for whoever shows a graph: what is under way, and what could be held


def running(graph: Graph) -> list[Run]:
    """The long-lived runs of a graph that are not closed.

    >>> from nbgraph import Graph
    >>> graph = Graph("up")
    >>> _ = graph.to(str.upper)
    >>> with graph.start() as run:
    ...     running(graph) == [run]
    True
    >>> running(graph)
    []
    """
    return [run for run in list(_running) if run._graph is graph and not run._is_closed]


class Run:
    """Push events, get futures of their answers; pause, resume, flush; leaving the block drains.

    Left by an exception, Ctrl-C above all, it parking after what is in hand, and what waits is cancelled.

    >>> from nbgraph import Graph
    >>> graph = Graph("twice")
    >>> _ = graph.to(lambda body: body * 2)
    >>> with graph.start() as run:
    ...     future = run.push(21)
    >>> future.result()
    42
    """

    def __init__(self, graph: Graph) -> None:
        graph.plan()  # a graph that can't run says so here, not in the first future
        self._graph = graph
        self._state = RunState(graph)
        self._turns = RegionTurns()
        self._is_closed = False
        self._making = threading.Lock()
        self._workers: dict[str, RegionWorker] = {}
        self._need(ENTRY)
        self._tickers = [Ticker(schedule, self.push) for schedule in schedules_of(graph.plan()).values()]
        _running.add(self)

    def push(
        self, body: Any, key: Any = None, *, id: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Future[Any]:
        """Hand in one event; the future has its answer or its StepError. Waits while 1,000 events wait to enter.

        Parameters
        ----------
        body
            Body, or an Event.
        key
            Key: events of one key stay in order.
        id
            Id; None: a new one.
        headers
            Headers by name.
        """
        if self._is_closed:
            raise NbgraphError(f'The run of graph "{self._graph.name}" is closed; start another with graph.start().')
        event = entering(body, key=key, id=id, headers=headers)
        pushed = PushedEvent(event, Future(), self._state.ended)
        self._state.push(WorkItem(pushed, event))
        return pushed.future

    def answers(self, body: Any) -> NoReturn:
        """Not here: an event's future has one answer."""
        raise NbgraphError(
            f'A run of graph "{self._graph.name}" has one answer for each event, that of its future: '
            "run.push(body).result(). graph.answers(body) gives those of all ends."
        )

    def pause(self) -> None:
        """Let pushed events wait from the next one on; those that have entered go their way."""
        self._state.pause(is_paused=True)

    def resume(self) -> None:
        """Let the waiting events go on."""
        self._state.pause(is_paused=False)

    @property
    def is_paused(self) -> bool:
        return self._state.is_paused

    def hold(self, step: str) -> None:
        """Let events wait before one step, while the other steps go on; a queue before it fills up.

        >>> from nbgraph import Graph
        >>> graph = Graph("held")
        >>> _ = graph.to(str.strip).to(str.upper)
        >>> with graph.start() as run:
        ...     run.hold("upper")
        ...     future = run.push("a")
        ...     future.done()
        ...     run.release("upper")
        ...     future.result()
        False
        'A'

        Parameters
        ----------
        step
            Name of the step.
        """
        if step not in self._graph.plan().steps:
            raise NbgraphError(f'There is no step "{step}" to hold; steps: {", ".join(self._graph.plan().steps)}.')
        self._state.hold(step)

    def release(self, step: str) -> None:
        """Let the events that wait before a step that was held go on, in their order.

        Parameters
        ----------
        step
            Name of the step.
        """
        self._state.release(step)

    @property
    def held(self) -> list[str]:
        """The steps that are held."""
        return list(self._state.held)

    def waiting(self) -> dict[str, int]:
        """How many events wait: in each queue, and before each step that is held."""
        return self._state.waiting()

    def flush(self) -> list[Any]:
        """Wait for all that was pushed, and let steps give what they hold; the answers to that."""
        if self._is_closed:
            return []
        return self._flush()

    def close(self) -> None:
        """Drain and end; what steps hold flows on to the targets."""
        if self._is_closed:
            return
        self._end_ticking()
        self._is_closed = True
        self.resume()
        for step in self.held:
            self.release(step)
        try:
            self._flush()
        finally:
            self._state.close()
            for worker in list(self._workers.values()):
                worker.join()

    def stop(self) -> None:
        """End after what is in hand; what waits is cancelled, and steps keep what they hold."""
        if self._is_closed:
            return
        self._end_ticking()
        self._is_closed = True
        try:
            self._state.leave()
        finally:
            self._state.close()
        for worker in list(self._workers.values()):
            worker.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close() if kind is None else self.stop()

    def _end_ticking(self) -> None:
        for ticker in self._tickers:
            ticker.close()

    def _flush(self) -> list[Any]:
        if not self._state.drained():
            raise NbgraphError(
                f'The run of graph "{self._graph.name}" is paused with events waiting, or holds a step they wait for; '
                "resume() or release(step) first."
            )
        released: Future[list[Any]] = Future()
        self._state.put(ENTRY, Flush(released))  # on the thread that runs the events: no step sees two things at once
        return released.result()

    def _need(self, region: str) -> None:
        """The worker of a region, begun when something comes there first."""
        with self._making:
            if region not in self._workers:
                self._state.open(region)
                self._workers[region] = RegionWorker(self._state, region, self._turns, self._need)
