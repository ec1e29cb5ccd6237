"""Pins: values that stand in for what steps would give."""

from __future__ import annotations

from typing import Any

from nbgraph.debug.preview import snapshot
from nbgraph.engine.observer import Move, Observer, Skip


class Pins(Observer):
    """Steps that give their pinned value instead of running."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def before(self, move: Move) -> Skip | None:
        return Skip(snapshot(self.values[move.step])) if move.step in self.values else None
