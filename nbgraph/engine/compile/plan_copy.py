"""Copies of a plan, with other calls for some of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nbgraph.engine.codegen.emitter import Emitter
from nbgraph.engine.codegen.generate import generate
from nbgraph.engine.codegen.layout import FunctionLayout
from nbgraph.engine.codegen.source import CodeForm
from nbgraph.engine.compile.call import Call
from nbgraph.engine.plan import Plan, PlanStep, Taps
from nbgraph.handler import Handler
from nbgraph.types import Clock


def with_calls(plan: Plan, calls: Mapping[str, Call]) -> Plan:
    """The plan with these calls in the place of its own, as a tree of functions.

    >>> from nbgraph import Event, Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(len)
    >>> loud = replace(graph.plan().steps["len"].call, function=lambda body: print(body) or len(body))
    >>> with_calls(graph.plan(), {"len": loud}).run(Event([7, 8]))
    [7, 8]
    2
    """
    return _made(
        plan, {name: replace(step, call=calls.get(name, step.call)) for name, step in plan.steps.items()}, plan.taps
    )


def with_taps(plan: Plan, taps: Taps) -> Plan:
    """The plan that tells of each body that goes along one of these edges.

    >>> from nbgraph import Event, Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(str.strip).to(len)
    >>> with_taps(graph.plan(), {("strip", "len"): lambda body, event: print(body)}).run(Event(" ab "))
    ab
    2
    """
    return _made(plan, plan.steps, taps)


def with_counts(plan: Plan, counts: dict[tuple[str, str], int]) -> Plan:
    """The plan whose loop over a stream adds up what goes along each edge; as it is where it has no such loop.

    >>> from nbgraph import Graph
    >>> from nbgraph.engine.schedule.stream import stream
    >>> graph, counts = Graph("g"), {}
    >>> _ = graph.to("Filter", "some", fn="event > 1").to(str)
    >>> list(stream(with_counts(graph.plan(), counts), [1, 2, 3])), counts
    (['2', '3'], {('some', 'str'): 2, ('str', ''): 2})
    """
    if plan.fused is None:
        return plan
    layout = FunctionLayout(plan.steps, plan.starts)
    emitter = Emitter(plan.name, layout, CodeForm.FUSED, False, False, plan.copier, counts=counts)
    return replace(plan, fused=emitter.made()[0])


def _made(plan: Plan, steps: Mapping[str, PlanStep], taps: Taps) -> Plan:
    made = generate(
        plan.name,
        steps,
        plan.starts,
        is_line_wanted=False,
        uses_events=plan.uses_events,
        is_async=plan.is_async,
        copier=plan.copier,
        is_routed=plan.routing is not None,
        taps=taps,
    )
    return replace(
        plan,
        steps=steps,
        source=made.source,
        line=None,
        tree=made.tree,
        fused=None,
        after=made.after,
        staged=made.staged,
        takes=made.takes,
        taps=taps,
    )


def copy_of(plan: Plan, clock: Clock) -> Plan:
    """The plan with a state of its own: stateful steps are built anew, all others are shared.

    >>> from nbgraph import Event, Graph
    >>> graph = Graph("g")
    >>> _ = graph.to("MapWithState", initial_state=0, fn="(state, state + 1)")
    >>> other = copy_of(graph.plan(), clock=lambda: 0.0)
    >>> graph.run("a"), graph.run("b"), other.run(Event("a"))
    (0, 1, 0)
    """
    calls = {name: step.call.anew(clock) for name, step in plan.steps.items() if step.call.remembers}
    for name, call in calls.items():
        if isinstance(call.target, Handler):
            call.target.beside(plan.steps[name].call.target)
    return with_calls(plan, calls)
