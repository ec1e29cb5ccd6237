"""Passage: what is kept of one event that went through a watched graph; and the last of them, to look through."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nbgraph.engine.interpret.observer import StepRun
from nbgraph.render.printable import printable
from nbgraph.widgets.values.preview import Shown

EVENTS, MOVES, LISTED, ON_A_LINE = 200, 200, 100, 10


@dataclass(slots=True)
class EventStop:
    """One step of an event's way."""

    step: str
    milliseconds: float
    error: str
    reason: str
    edges: tuple[str, ...]
    input: Shown | None
    output: Shown | None


@dataclass(slots=True)
class EventRecord:
    """An event's way; `milliseconds` is None while it is under way."""

    id: str
    begun: float
    milliseconds: float | None = None
    error: str = ""
    stops: deque[EventStop] = field(default_factory=lambda: deque(maxlen=MOVES))

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
    """The last events of a graph, by id; the oldest go first. Its caller holds the lock."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, EventRecord] = OrderedDict()

    def began(self, id: str) -> None:
        self._kept[id] = EventRecord(id, time.monotonic())
        self._kept.move_to_end(id)
        if len(self._kept) > EVENTS:
            self._kept.popitem(last=False)

    def stopped(self, move: StepRun, input: Shown | None, output: Shown | None, error: str) -> None:
        passage = self._kept.get(move.event.id)
        if passage is not None:
            milliseconds = round(move.seconds * 1000, 3)
            passage.stops.append(EventStop(move.step, milliseconds, error, move.reason, move.edges, input, output))

    def ended(self, id: str, error: str) -> None:
        passage = self._kept.get(id)
        if passage is not None:
            passage.milliseconds = round((time.monotonic() - passage.begun) * 1000, 3)
            passage.error = error

    def find(self, text: str = "", *, only_failed: bool = False, slower: float = 0) -> list[dict[str, Any]]:
        """The last events whose id, step or error has the text; the newest first."""
        found: list[dict[str, Any]] = []
        for passage in reversed(list(self._kept.values())):
            words = " ".join([passage.id, passage.error, *(stop.step for stop in passage.stops)]).lower()
            has_failed = bool(passage.error) or any(stop.error for stop in passage.stops)
            if text.lower() in words and (has_failed or not only_failed) and (passage.milliseconds or 0) >= slower:
                found.append({**passage.row(), "failed": has_failed})
        return found[:LISTED]

    def way(self, id: str) -> list[dict[str, Any]]:
        """All stops of one event."""
        passage = self._kept.get(id)
        return [
            {
                "step": printable(stop.step, 80), "ms": stop.milliseconds, "error": stop.error, "input": stop.input,
                "reason": printable(stop.reason, 200), "output": stop.output,
            }
            for stop in (passage.stops if passage else ())
        ]  # fmt: skip

    def along(self, is_meant: Callable[[str, str], bool]) -> list[dict[str, Any]]:
        """The last events that went along an arrow, told by the steps it joins; and why they did."""
        found = [
            {"id": printable(passage.id, 80), "reason": printable(stop.reason, 200), "output": stop.output}
            for passage in self._kept.values()
            for stop in passage.stops
            if any(is_meant(stop.step, target) for target in stop.edges)
        ]
        return found[: -ON_A_LINE - 1 : -1]
