"""Pending: an item on the interpreter's stack; PendingCall: the call that it makes.

They are created for every call, so they are not frozen, which would double their cost; treat them as immutable.
"""

from __future__ import annotations

from dataclasses import dataclass

from nbgraph.engine.interpret.observer import StepRun
from nbgraph.engine.plan import PlanStep
from nbgraph.engine.results import Results
from nbgraph.event import Event


@dataclass(slots=True)
class Pending:
    """A step and its event; `chunks` and `index` if the step has begun to give several results."""

    step: str
    event: Event
    visit: int = 0
    chunks: Results | None = None
    index: int = 0


@dataclass(slots=True)
class PendingCall:
    """A call to be made: the step and its record; `is_made` if a pin replaced it, or it was refused."""

    step: PlanStep
    move: StepRun
    is_made: bool
