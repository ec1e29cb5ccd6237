"""A Breakpoint: where a debugged run stops, and on what condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nbgraph.debug.snapshot import snapshot
from nbgraph.engine.interpret.observer import Observer, Skip, StepRun
from nbgraph.errors import GraphError
from nbgraph.handler import Left, Override


class On(StrEnum):
    """When a breakpoint looks: before the step runs, after it, or when it fails."""

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
    """Stops at a step; with a condition, where it holds; with `hits`, at every n-th time that it holds.

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
        """Whether to stop now; a condition that fails counts as not holding, as in any debugger's."""
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


# Pins: values that stand in for what steps would give.


class Pins(Observer):
    """Steps that give their pinned value instead of running."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def before(self, move: StepRun) -> Skip | None:
        if not self.values:
            return None
        if any(name.startswith(f"{move.step}/") for name in self.values):
            move.listen(lambda name, input: self._entered(f"{move.step}/{name}"))
        return Skip(snapshot(self.values[move.step])) if move.step in self.values else None

    def _entered(self, name: str) -> Left | Override:
        """A call that a step makes itself may be pinned too."""
        return Override(snapshot(self.values[name])) if name in self.values else _unheard


def _unheard(output: Any, error: BaseException | None) -> None:
    pass
