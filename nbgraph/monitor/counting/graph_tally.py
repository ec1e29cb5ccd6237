"""GraphTally: what enters a graph and how its steps are called, from one beat of the clock to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nbgraph.engine.plan import Tap
from nbgraph.monitor.counting.graph_window import Buckets, GraphWindow, since
from nbgraph.monitor.counting.step_tally import StepTally

MOST_MISSED = 4  # beats; of a longer time in which nobody looked (a machine that slept) nothing is known


class GraphTally:
    """The events that enter, beside the calls that `steps` has counted; a beat is so many seconds.

    >>> tally = GraphTally(StepTally(), 1.0, 0.0)
    >>> tap = tally.entering(None)
    >>> tap({"x": 1}, None), list(tally.windows(0.9)), [window.events for window in tally.windows(2.1)]
    (None, [], [1, 0])
    """

    def __init__(self, steps: StepTally, beat: float, now: float) -> None:
        self._steps, self._beat = steps, beat
        self._start = now - now % beat
        self.entered = 0
        self._known: tuple[int, int, dict[str, Buckets]] = (0, 0, {})

    def entering(self, tap: Tap | None) -> Tap:
        """The tap of an edge by which events enter, which counts them, too."""
        if tap is None:
            return self._count

        def counted(body: Any, event: Any) -> None:
            self.entered += 1
            tap(body, event)

        return counted

    def windows(self, now: float, left_out: int = 0) -> Iterator[GraphWindow]:
        """The beats that are over; what has come since the last look counts in the first of them.

        `left_out` are the events, of all so far, that went by another plan and so were not counted here.
        """
        over = now - now % self._beat
        if over <= self._start:
            return
        missed = round((over - self._start) / self._beat)
        begin = self._start if missed <= MOST_MISSED else over - self._beat
        self._start = over
        yield self._first(begin, left_out)
        for number in range(1, round((over - begin) / self._beat)):
            yield GraphWindow(begin + number * self._beat, begin + (number + 1) * self._beat)

    def _first(self, start: float, left_out: int) -> GraphWindow:
        entered, errors, calls = self._known
        self._known = (self.entered + left_out, *self._steps.totals())
        fresh = since(self._known[2], calls)
        return GraphWindow(start, start + self._beat, self._known[0] - entered, self._known[1] - errors, fresh)

    def _count(self, body: Any, event: Any) -> None:
        self.entered += 1
