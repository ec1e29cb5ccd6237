"""Pending: what an interpreter has still to do; PendingCall: the call that it makes.

They are made for every move, so they are not frozen, which would double their cost; nobody changes one.
"""

from __future__ import annotations

from dataclasses import dataclass

from nbgraph.engine.interpret.observer import StepRun
from nbgraph.engine.plan import PlanStep
from nbgraph.engine.results import Results
from nbgraph.event import Event


@dataclass(slots=True)
class Pending:
    """What waits: a step and its event; `chunks` and `index` where the step has begun to give several results."""

    step: str
    event: Event
    visit: int = 0
    chunks: Results | None = None
    index: int = 0


@dataclass(slots=True)
class PendingCall:
    """A call that is due: the step, the record of it; `is_made` where a pin stood in for it, or it was refused."""

    step: PlanStep
    move: StepRun
    is_made: bool
