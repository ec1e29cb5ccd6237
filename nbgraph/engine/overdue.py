"""What steps hold back and want to release although no event comes: batches that are full of time, emit policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nbgraph.engine.plan import Answers, Plan


def next_due(plan: Plan) -> float | None:
    """The earliest time, on the clock of the steps, at which one of them wants to release something."""
    times = [step.call.due() for step in plan.steps.values() if step.call.due is not None]
    return min((time for time in times if time is not None), default=None)


def release_overdue(plan: Plan, now: float) -> list[Answers]:
    """Let everything that is due by now go on from its step; the answers it came to.

    >>> from nbgraph import Graph
    >>> graph = Graph("quiet")
    >>> _ = graph.to(len)
    >>> release_overdue(graph.plan(), 0.0)
    []
    """
    return [plan.resume(name, chunk) for name, chunk in overdue(plan, now)]


def overdue(plan: Plan, now: float) -> Iterator[tuple[str, Any]]:
    """What is due by now, with the step that lets it go."""
    for name, step in plan.steps.items():
        due = step.call.due() if step.call.due is not None else None
        if due is not None and due <= now and step.call.overdue is not None:
            for chunk in step.call.overdue():
                yield name, chunk
