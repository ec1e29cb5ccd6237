"""Breakpoints: where a debugged run stops, and on what condition; pins, which replace results of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from nbgraph.debug.copies import snapshot
from nbgraph.debug.frame import Frame
from nbgraph.engine.interpret.observer import Observer, Skip, StepRun
from nbgraph.errors import GraphError
from nbgraph.handler import OnExit, Override


class On(StrEnum):
    """When a breakpoint stops: before the step runs, after it, or when it fails."""

    BEFORE = "before"
    AFTER = "after"
    ERROR = "error"

    @classmethod
    def of(cls, word: str) -> On:
        try:
            return cls(word)
        except ValueError:
            raise GraphError(f'A breakpoint has on={word!r}; expected "before", "after" or "error".') from None


@dataclass(slots=True)
class Breakpoint:
    """Stops at a step; with a condition, only if it holds; with `hits`, at every n-th hit.

    >>> breakpoint = Breakpoint("score", condition=lambda body: body > 1, hits=2)
    >>> [breakpoint.stops(body) for body in (1, 2, 3, 4, 5)]
    [False, False, True, False, True]
    """

    step: str
    condition: Callable[[Any], Any] | None = None
    hits: int = 1
    on: On = On.BEFORE
    text: str = ""
    is_muted: bool = False
    seen: int = field(default=0)

    def stops(self, body: Any) -> bool:
        """Whether to stop now; a condition that raises counts as false."""
        if self.is_muted or not self._holds(body):
            return False
        self.seen += 1
        return self.seen % self.hits == 0

    def _holds(self, body: Any) -> bool:
        if self.condition is None:
            return True
        try:
            return bool(self.condition(body))
        except Exception:
            return False


class BreakpointMarks(msgspec.Struct, frozen=True, gc=False):
    """The hit counts of breakpoints, and whether that of the next step has been evaluated."""

    seen: tuple[tuple[Breakpoint, int], ...]
    is_evaluated: bool


NOT_EVALUATED, EVALUATED = BreakpointMarks((), False), BreakpointMarks((), True)


class Breakpoints(dict[str, Breakpoint]):
    """The breakpoints of a run by step name.

    `is_evaluated`: the breakpoint of the next step has counted this visit already.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_evaluated = False

    def marks(self) -> BreakpointMarks:
        """The current counts, for `restore`."""
        if not self:
            return EVALUATED if self.is_evaluated else NOT_EVALUATED
        return BreakpointMarks(tuple([(one, one.seen) for one in self.values()]), self.is_evaluated)

    def restore(self, marks: BreakpointMarks) -> None:
        for breakpoint, count in marks.seen:
            breakpoint.seen = count
        self.is_evaluated = marks.is_evaluated

    def stops_before(self, step: str, body: Any) -> bool:
        """Whether to stop before this step."""
        found = self.get(step)
        return found is not None and found.on is On.BEFORE and found.stops(body)

    def stopping(self, frames: Iterable[Frame]) -> Frame | None:
        """The first of these frames that an `after` or `error` breakpoint stops at."""
        for frame in frames:
            found = self.get(frame.step)
            if found is None or found.on is On.BEFORE:
                continue
            has_failed = frame.error is not None
            if (found.on is On.ERROR) == has_failed and found.stops(frame.input if has_failed else frame.output):
                return frame
        return None


class Pins(Observer):
    """Steps whose result is a pinned value, without running."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def before(self, move: StepRun) -> Skip | None:
        if not self.values:
            return None
        if any(name.startswith(f"{move.step}/") for name in self.values):
            move.listen(lambda name, input: self._on_enter(f"{move.step}/{name}"))
        return Skip(snapshot(self.values[move.step])) if move.step in self.values else None

    def _on_enter(self, name: str) -> OnExit | Override:
        """A nested call may be pinned too."""
        return Override(snapshot(self.values[name])) if name in self.values else _ignore_result


def _ignore_result(output: Any, error: BaseException | None) -> None:
    pass
