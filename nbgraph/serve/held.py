"""Held: what steps hold back in the function that callers reach; it goes on in time, and when the worker stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nbgraph.engine.plan import Plan
from nbgraph.errors import StepError
from nbgraph.handler import Handler

TICK = 0.2  # seconds between looks at what is due


def has_timers(plan: Plan) -> bool:
    """Whether steps let something go although no event comes."""
    return any(step.call.due is not None for step in plan.steps.values())


async def let_go(plan: Plan, now: float | None, failed: Callable[[StepError], None]) -> None:
    """Let go what is due by now, or (None) all that is held; for each thing that fails, `failed` is told.

    >>> import asyncio
    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to("Batch", max_events=9).to(print)
    >>> _ = graph.run("a")
    >>> asyncio.run(let_go(graph.plan(), None, print))
    ['a']
    """
    for step, chunk in _held(plan, now):
        try:
            await plan.aresume(step, chunk)
        except StepError as error:
            failed(error)


def _held(plan: Plan, now: float | None) -> Iterator[tuple[str, Any]]:
    for name in plan.holders if now is None else plan.steps:
        call = plan.steps[name].call
        due = call.due() if call.due is not None and now is not None else None
        if now is None and isinstance(call.target, Handler) and call.target.holding():
            yield from ((name, chunk) for chunk in call.target.release())
        elif now is not None and due is not None and due <= now and call.overdue is not None:
            yield from ((name, chunk) for chunk in call.overdue())
