"""Watcher: what a long-lived run knows of whoever counts what goes along its edges."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from nbgraph.engine.plan import Plan
from nbgraph.event import Event

Deliver = Callable[[str, Event], Future[Any]]  # lets an event enter at a step


class Watcher(Protocol):
    """Watches one run."""

    def twin(self, plan: Plan) -> Plan:
        """The plan that is watched; the same one as long as the plan is."""

    def drawn(self, twin: Plan) -> Plan:
        """The plan that the next event runs by: the twin, or the one it was made of, where that event is left out."""

    def flush(self) -> None:
        """Count all that went along so far."""

    def close(self) -> None:
        """Nothing comes any more."""
