"""Record: what a watch knows of one step: its state, counts, times, and the last event it saw."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nbgraph.engine.interpret.observer import StepRun
from nbgraph.render.printable import printable
from nbgraph.widgets.live.queues import QueueStatus
from nbgraph.widgets.values.preview import Shown

KEPT = 256  # times of a step that the percentiles look at
NOBODY = QueueStatus()  # waits before a step
LATELY = 5.0  # seconds that the rate looks at


class Figures(NamedTuple):
    """One step's line of a status; on the wire an array, since a thousand of them may go 25 times a second.

    `middle` and `slow` are p50 and p95 in milliseconds, `rate` events a second, `level` how full a queue is.
    """

    state: str = "idle"
    events: int = 0
    errors: int = 0
    middle: float = 0
    slow: float = 0
    rate: float = 0
    note: str = ""
    level: float = 0


@dataclass(slots=True)
class InnerCall:
    """A call that a step made itself: of a router one of its routes."""

    name: str
    input: Any
    output: Any = None
    error: BaseException | None = None
    milliseconds: float = 0.0


@dataclass(slots=True)
class StepRecord:
    """One step's account. `state` is that of the last event; `active` counts the calls that have not returned."""

    state: str = "idle"
    note: str = ""
    count: int = 0
    errors: int = 0
    active: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    ends: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))  # when the last calls returned
    line: QueueStatus = NOBODY
    last: StepRun | None = None
    inside: list[InnerCall] = field(default_factory=list)
    input: Shown | None = None
    output: Shown | None = None
    printed: str = ""  # by the last call that returned

    def begin(self, move: StepRun, input: Shown | None) -> None:
        last, call = self.last, (move.event.id, move.visit)
        is_again = last is not None and (last.event.id, last.visit) == call and last.seconds == 0.0 and self.active > 0
        self.active += not is_again  # a debugger that went into the step came back and begins it once more
        self.last, self.input, self.output, self.inside, self.printed = move, input, None, [], ""

    def end(self, move: StepRun, output: Shown | None, note: str = "", printed: str = "") -> None:
        self.active = max(0, self.active - 1)
        self.count += 1
        self.seconds.append(move.seconds)
        self.ends.append(time.monotonic())
        self.state, self.note = "done", ""
        if self.last is not move:  # events overlap: this one began before the one that is shown
            self.last, self.input = move, None
        if move.error is not None:
            self.errors += 1
            self.state, self.note = "failed", note
        self.output, self.printed = output, printed

    def now(self) -> Figures:
        """Its line of a message."""
        state = "running" if self.active else self.state
        if self.line.waiting or self.line.is_held:
            state = "paused" if self.line.is_held else "waiting"
        note = self.line.words() or self.note
        return Figures(state, self.count, self.errors, *self.percentiles(), self.rate(), note, self.line.level)

    def rate(self) -> float:
        """Events a second, of the last seconds in which there were any.

        >>> StepRecord(ends=deque([1.0, 60.0, 60.1, 60.2])).rate()
        10.0
        """
        ends = list(self.ends)
        first = bisect_left(ends, ends[-1] - LATELY) if ends else 0
        lately = ends[first:]
        if len(lately) < 2 or lately[-1] == lately[0]:
            return 0.0
        return round((len(lately) - 1) / (lately[-1] - lately[0]), 2)

    def slowest(self) -> float:
        """The longest of the last times, in milliseconds."""
        return round(max(self.seconds, default=0.0) * 1000, 3)

    def percentiles(self) -> tuple[float, float]:
        """The middle and the slow end of the last times, in milliseconds.

        >>> StepRecord(seconds=deque([0.001, 0.002, 0.009])).percentiles()
        (2.0, 9.0)
        """
        times = sorted(self.seconds.copy())
        if not times:
            return 0.0, 0.0
        return round(times[len(times) // 2] * 1000, 3), round(
            times[min(len(times) - 1, len(times) * 95 // 100)] * 1000, 3
        )


def first_line(error: BaseException) -> str:
    """The exception in one short line.

    >>> first_line(ValueError("wrong\\nand more"))
    'ValueError: wrong'
    """
    text = str(error).strip().partition("\n")[0]
    return printable(f"{type(error).__name__}: {text}" if text else type(error).__name__, 160)
