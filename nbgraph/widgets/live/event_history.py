"""Event history: the last events that went through a monitored graph, step by step."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nbgraph.engine.interpret.observer import StepRun
from nbgraph.render.printable import printable
from nbgraph.widgets.values.preview import Shown

# How many are kept: events, steps of one; how many are sent: events of a list, of an arrow.
EVENTS, STOPS, LISTED, ON_A_LINE = 200, 200, 100, 10


@dataclass(slots=True)
class EventStop:
    """One step on an event's path."""

    step: str
    milliseconds: float
    error: str
    reason: str
    edges: tuple[str, ...]
    input: Shown | None
    output: Shown | None
    printed: str = ""


@dataclass(slots=True)
class EventRecord:
    """An event's path; `milliseconds` is None while it is under way."""

    id: str
    began: float
    milliseconds: float | None = None
    error: str = ""
    stops: deque[EventStop] = field(default_factory=lambda: deque(maxlen=STOPS))

    def row(self) -> dict[str, Any]:
        """Its line in the list."""
        return {
            "id": printable(self.id, 80),
            "steps": len(self.stops),
            "ms": self.milliseconds,
            "error": self.error,
            "handled": next((stop.error for stop in self.stops if stop.error), ""),
            "last": printable(self.stops[-1].step, 80) if self.stops else "",
        }


class EventHistory:
    """The last events of a graph, by id; the oldest are dropped first. Its caller holds the lock."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, EventRecord] = OrderedDict()

    def begin(self, id: str) -> None:
        self._kept[id] = EventRecord(id, time.monotonic())
        self._kept.move_to_end(id)
        if len(self._kept) > EVENTS:
            self._kept.popitem(last=False)

    def add_stop(self, move: StepRun, input: Shown | None, output: Shown | None, error: str, printed: str = "") -> None:
        event = self._kept.get(move.event.id)
        if event is not None:
            milliseconds = round(move.seconds * 1000, 3)
            event.stops.append(
                EventStop(move.step, milliseconds, error, move.reason, move.edges, input, output, printed)
            )

    def end(self, id: str, error: str) -> None:
        event = self._kept.get(id)
        if event is not None:
            event.milliseconds = round((time.monotonic() - event.began) * 1000, 3)
            event.error = error

    def find(self, text: str = "", *, only_failed: bool = False, slower: float = 0) -> list[dict[str, Any]]:
        """The last events whose id, step or error has the text; the newest first."""
        found: list[dict[str, Any]] = []
        for event in reversed(list(self._kept.values())):
            words = " ".join([event.id, event.error, *(stop.step for stop in event.stops)]).lower()
            has_failed = bool(event.error) or any(stop.error for stop in event.stops)
            if text.lower() in words and (has_failed or not only_failed) and (event.milliseconds or 0) >= slower:
                found.append({**event.row(), "failed": has_failed})
        return found[:LISTED]

    def path(self, id: str) -> list[dict[str, Any]]:
        """All stops of one event."""
        event = self._kept.get(id)
        return [
            {
                "step": printable(stop.step, 80), "ms": stop.milliseconds, "error": stop.error, "input": stop.input,
                "reason": printable(stop.reason, 200), "output": stop.output, "printed": stop.printed,
            }
            for stop in (event.stops if event else ())
        ]  # fmt: skip

    def on_line(self, is_line: Callable[[str, str], bool]) -> list[dict[str, Any]]:
        """The last events that took an arrow, found by the steps that it joins; and why they did."""
        found = [
            {"id": printable(event.id, 80), "reason": printable(stop.reason, 200), "output": stop.output}
            for event in self._kept.values()
            for stop in event.stops
            if any(is_line(stop.step, target) for target in stop.edges)
        ]
        return found[: -ON_A_LINE - 1 : -1]
