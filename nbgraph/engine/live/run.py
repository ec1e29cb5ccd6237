"""Run: a graph that stays up, on threads of nbgraph's own.

The parts of the graph before, between and behind its queues run in parallel, each on a thread of its own. A queue
is bounded; when it is full, its producers wait.
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
from nbgraph.event import Event, entering

if TYPE_CHECKING:
    from nbgraph.graph.graph import Graph
    from nbgraph.monitor.watch import Watch


_running: WeakSet[Run] = WeakSet()  # for views of a graph: its runs, whose steps may be held


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

    If the block is left by an exception, such as Ctrl-C, events in hand are finished and waiting ones are cancelled.

    >>> from nbgraph import Graph
    >>> graph = Graph("twice")
    >>> _ = graph.to(lambda body: body * 2)
    >>> with graph.start() as run:
    ...     future = run.push(21)
    >>> future.result()
    42
    """

    def __init__(self, graph: Graph) -> None:
        graph.plan()  # raise the faults of the graph here, not in the first future
        self._graph = graph
        self._state = RunState(graph)
        self._watch = None if graph.watched is None else graph.watched.begin(graph, self._enter_at, self.waiting)
        self._state.watcher = self._watch
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
        """Push one event; the future gets its answer or its StepError. Blocks while 1,000 events wait to enter.

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
        """Refused: an event's future has one answer."""
        raise NbgraphError(
            f'A run of graph "{self._graph.name}" has one answer for each event, that of its future: '
            "run.push(body).result(). graph.answers(body) gives those of all ends."
        )

    @property
    def monitor(self) -> Watch:
        """What is watched of this run, where `graph.monitor(...)` says so."""
        if self._watch is None:
            raise NbgraphError(
                f'Nothing of graph "{self._graph.name}" is watched: graph.monitor(baseline), then graph.start() again.'
            )
        return self._watch

    def _enter_at(self, step: str, event: Event) -> Future[Any]:
        """Let an event enter at a step: an alert, at the one that handles it."""
        future: Future[Any] = Future()
        with self._state.changed:
            self._state.under_way += 1
        pushed = PushedEvent(event, future, self._state.ended)
        self._state.put(ENTRY, WorkItem(pushed, event, step=step))
        return future

    def pause(self) -> None:
        """Make pushed events wait from the next one on; those that have entered run on."""
        self._state.pause(is_paused=True)

    def resume(self) -> None:
        """Let the waiting events go on."""
        self._state.pause(is_paused=False)

    @property
    def is_paused(self) -> bool:
        return self._state.is_paused

    def hold(self, step: str) -> None:
        """Make events wait before one step while other steps run on; a queue before it fills up.

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
        """Let the events that wait before a held step go on, in order.

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
        """Wait for all pushed events, and let steps release what they hold; return the answers to that."""
        if self._is_closed:
            return []
        found = self._flush()
        if self._watch is not None:
            self._watch.flush()
        return found

    def close(self) -> None:
        """Drain and end; held events are released and reach the targets."""
        if self._is_closed:
            return
        self._end_ticking()
        self._is_closed = True
        self.resume()
        for step in self.held:
            self.release(step)
        try:
            self._flush()
            if self._watch is not None:
                self._watch.close()
                self._flush()
        finally:
            self._state.close()
            for worker in list(self._workers.values()):
                worker.join()

    def stop(self) -> None:
        """End after the events in hand; waiting events are cancelled, and steps keep what they hold."""
        if self._is_closed:
            return
        self._end_ticking()
        self._is_closed = True
        try:
            self._state.leave()
        finally:
            self._state.close()
            if self._watch is not None:
                self._watch.close()
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
        self._state.put(ENTRY, Flush(released))  # on the thread of the events: no step handles two calls at once
        return released.result()

    def _need(self, region: str) -> None:
        """The worker of a region, started lazily."""
        with self._making:
            if region not in self._workers:
                self._state.open(region)
                self._workers[region] = RegionWorker(self._state, region, self._turns, self._need)
