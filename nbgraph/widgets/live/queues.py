"""Queues and streams of long-lived runs: how many events wait where, what is held, how far a stream is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from nbgraph.engine.live.run import running
from nbgraph.errors import NbgraphError
from nbgraph.graph.graph import Graph


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The events that wait before a step; `most` is the size of a queue."""

    waiting: int = 0
    most: int | None = None
    is_held: bool = False

    @property
    def is_full(self) -> bool:
        return self.most is not None and self.waiting >= self.most

    @property
    def level(self) -> float:
        """How full it is, from 0 to 1."""
        return min(1.0, self.waiting / self.most) if self.most else 0.0

    def words(self) -> str:
        """The status as a note.

        >>> QueueStatus(3, 3).words(), QueueStatus(2, 10).words(), QueueStatus(1, is_held=True).words()
        ('full: 3 wait, senders are blocked', '2 of 10 wait', 'held: 1 waits')
        """
        verb = "waits" if self.waiting == 1 else "wait"
        if self.is_held:
            return f"held: {self.waiting} {verb}" if self.waiting else "held"
        if self.is_full:
            return f"full: {self.waiting} {verb}, senders are blocked"
        return f"{self.waiting} of {self.most} {verb}" if self.waiting and self.most else ""


def lines(graph: Graph) -> dict[str, QueueStatus]:
    """What waits before the steps of a graph, in all its runs together."""
    found: dict[str, QueueStatus] = {}
    for run in running(graph):
        held = run.held
        for step, count in run.waiting().items():
            so_far = found.get(step, QueueStatus())
            is_held = so_far.is_held or step in held
            found[step] = QueueStatus(so_far.waiting + count, _size(graph, step), is_held)
    return found


def hold(graph: Graph, step: str, *, is_held: bool) -> None:
    """Let events wait before a step in all runs of the graph, or go on; the other steps go on in any case."""
    runs = running(graph)
    if not runs:
        raise NbgraphError(f'Nothing runs in which "{step}" could be held; graph.start() makes a run that stays up.')
    for run in runs:
        (run.hold if is_held else run.release)(step)


def _size(graph: Graph, step: str) -> int | None:
    plan_step = graph.plan().steps.get(step)
    size = getattr(plan_step.call.target, "max_size", None) if plan_step is not None else None
    return size if isinstance(size, int) else None


class StreamProgress:
    """How many events are done since a stream began; `total` where its length is known.

    >>> progress = StreamProgress()
    >>> progress.begin(10)
    >>> progress.done()
    >>> progress.to_message()["done"], progress.to_message()["total"]
    (1, 10)
    """

    def __init__(self) -> None:
        self._total: int | None = None
        self._done = 0
        self._began = self._last = time.monotonic()
        self._is_stream = False

    def begin(self, total: int | None) -> None:
        self._total, self._done, self._is_stream = total, 0, True
        self._began = self._last = time.monotonic()

    def enter(self) -> None:
        """An event comes: behind the last one of a stream it is another run's."""
        if self._total is not None and self._done >= self._total:
            self._is_stream = False

    def done(self) -> None:
        self._done += 1
        self._last = time.monotonic()

    def to_message(self) -> dict[str, Any] | None:
        """The progress for a view; None as long as no stream was read."""
        if not self._is_stream:
            return None
        seconds = self._last - self._began
        return {"done": self._done, "total": self._total, "rate": round(self._done / max(seconds, 1e-6))}
