"""Pins: values that stand in for what steps would give."""

from __future__ import annotations

from typing import Any

from nbgraph.debug.preview import snapshot
from nbgraph.engine.observer import Move, Observer, Skip
from nbgraph.inside import Instead, Left


class Pins(Observer):
    """Steps that give their pinned value instead of running."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def before(self, move: Move) -> Skip | None:
        if not self.values:
            return None
        if any(name.startswith(f"{move.step}/") for name in self.values):
            move.listen(lambda name, input: self._entered(f"{move.step}/{name}"))
        return Skip(snapshot(self.values[move.step])) if move.step in self.values else None

    def _entered(self, name: str) -> Left | Instead:
        """A call that a step makes itself may be pinned too."""
        return Instead(snapshot(self.values[name])) if name in self.values else _unheard


def _unheard(output: Any, error: BaseException | None) -> None:
    pass
