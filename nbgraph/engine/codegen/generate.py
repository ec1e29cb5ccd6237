"""The code of a plan as readable Python functions, synchronous or asynchronous.

Four forms share one emitter: a *line* returns its one answer (graphs whose events never split), a *tree* appends
to the answers it is given (any graph without a cycle), a *fused* loop takes all bodies of a stream and yields all
answers (graphs that need one function only), a *staged* tree parks events at concurrent steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbgraph.body import Copier
from nbgraph.engine.codegen.emitter import Emitter
from nbgraph.engine.codegen.layout import FunctionLayout
from nbgraph.engine.codegen.source import CodeForm
from nbgraph.engine.plan import Fused, Line, PlanStep, Taps
from nbgraph.types import Shape

LONGEST = 150  # functions that call each other; the interpreter's stack holds about 1000


@dataclass(frozen=True)
class Functions:
    """The generated functions and the text they were made from; None where the plan does not allow the form."""

    source: str = ""
    line: Line | None = None
    tree: Callable[..., Any] | None = None
    fused: Fused | None = None
    after: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    staged: Callable[..., Any] | None = None
    takes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


def generate(
    graph: str,
    steps: Mapping[str, PlanStep],
    starts: Sequence[str],
    *,
    is_line_wanted: bool,
    uses_events: bool,
    is_async: bool,
    copier: Copier | None,
    is_routed: bool = False,
    taps: Taps | None = None,
) -> Functions:
    """All forms that the plan allows; none for a plan with a cycle, which the interpreter runs."""
    if any(step.limit is not None or step.call.gathered is not None for step in steps.values()):
        return Functions()
    shape = FunctionLayout(steps, starts)
    if shape.longest > LONGEST:
        return Functions()
    taps = taps or {}
    tree = Emitter(graph, shape, CodeForm.TREE, uses_events, is_async, copier, is_routed=is_routed, taps=taps)
    tree_made, after = tree.made()
    line_made: Line | None = None
    fused: Fused | None = None
    source = tree.source
    takes_events = any(step.call.shape in (Shape.EVENT, Shape.EVENTS) for step in steps.values())
    is_line_wanted = is_line_wanted and not taps  # which are told of the event, too
    if not is_async and is_line_wanted and not takes_events and shape.is_line():
        line = Emitter(graph, shape, CodeForm.LINE, uses_events, is_async, copier)
        line_made, source = line.made()[0], line.source
    if not is_async and not taps and not uses_events and not shape.functions and not shape.has_late_answers():
        fused = Emitter(graph, shape, CodeForm.FUSED, uses_events, is_async, copier).made()[0]
    staged, takes = _staged(graph, steps, starts, uses_events, copier, taps, is_routed=is_routed)
    return Functions(source, line_made, tree_made, fused, after, staged, takes)


def _staged(
    graph: str,
    steps: Mapping[str, PlanStep],
    starts: Sequence[str],
    uses_events: bool,
    copier: Copier | None,
    taps: Taps,
    *,
    is_routed: bool,
) -> tuple[Callable[..., Any] | None, Mapping[str, Callable[..., Any]]]:
    """The tree that parks events at concurrent steps; it waits only for the async steps that are not concurrent."""
    stages = {name for name, step in steps.items() if step.is_stage}
    if not stages:
        return None, {}
    is_async = any(step.call.is_async for name, step in steps.items() if name not in stages)
    writer = Emitter(
        graph,
        FunctionLayout(steps, starts, stages),
        CodeForm.STAGED,
        uses_events,
        is_async,
        copier,
        is_routed=is_routed,
        taps=taps,
    )
    return writer.made()[0], writer.takes()
