"""Timers: what steps hold back in the function that callers reach is released in time, and when the worker stops."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from nbgraph.engine.compile.call import Call
from nbgraph.engine.plan import Plan
from nbgraph.errors import StepError
from nbgraph.handler import Handler
from nbgraph.serve.execution.plan_runner import PlanRunner

log = logging.getLogger("nbgraph.serve")
TICK = 0.2  # seconds between looks at what is due


def has_timers(plan: Plan) -> bool:
    """Whether steps let something go although no event comes."""
    return any(step.call.due is not None for step in plan.steps.values())


async def let_go(track: PlanRunner, now: float | None, failed: Callable[[StepError], None]) -> None:
    """Let go what is due by now, or (None) all that is held; for each thing that fails, `failed` is told.

    >>> import asyncio
    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to("Batch", max_events=9).to(print)
    >>> _ = graph.run("a")
    >>> asyncio.run(let_go(PlanRunner(graph.plan()), None, print))
    ['a']
    """
    plan = track.plan
    for name in plan.holders if now is None else [name for name, step in plan.steps.items() if step.call.due]:
        for chunk in await track.look(partial(_held, plan.steps[name].call, now)):
            try:
                await track.resume(plan, name, chunk)
            except StepError as error:
                failed(error)
    if now is None:
        await track.look(partial(_end, plan))


def _end(plan: Plan) -> None:
    """Close what steps have open; one that can't does not keep the others from it."""
    for name, step in plan.steps.items():
        if isinstance(step.call.target, Handler):
            try:
                step.call.target.end()
            except Exception:
                log.exception('Step "%s" could not close what it has open', name)


def _held(call: Call, now: float | None) -> list[Any]:
    """What a step holds that is to go on."""
    if now is None:
        is_holding = isinstance(call.target, Handler) and call.target.holding()
        return list(call.release()) if is_holding and call.release is not None else []
    due = call.due() if call.due is not None else None
    return list(call.overdue()) if due is not None and due <= now and call.overdue is not None else []
