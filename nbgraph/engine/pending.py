"""Pending: what a walk has still to do; Departure: what it is doing.

They are made for every move, so they are not frozen, which would double their cost; nobody changes one.
"""

from __future__ import annotations

from dataclasses import dataclass

from nbgraph.engine.chunks import Chunks
from nbgraph.engine.observer import Move
from nbgraph.engine.plan import PlanStep
from nbgraph.event import Event


@dataclass(slots=True)
class Pending:
    """What waits: a step and its event; `chunks` and `index` where the step has begun to give several results."""

    step: str
    event: Event
    visit: int = 0
    chunks: Chunks | None = None
    index: int = 0


@dataclass(slots=True)
class Departure:
    """A call that is due: the step, the record of it; `is_made` where a pin stood in for it, or it was refused."""

    step: PlanStep
    move: Move
    is_made: bool
