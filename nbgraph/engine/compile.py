"""Compile: a Graph becomes a Plan; names are bound, steps built, sync or async decided, functions generated."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

from nbgraph.engine.bind import is_expression, is_self_contained, predicate_of
from nbgraph.engine.call import Call, call_of
from nbgraph.engine.generate import generate
from nbgraph.engine.plan import Arrow, Plan, PlanStep
from nbgraph.errors import GraphError
from nbgraph.graph import check, topology
from nbgraph.graph.code import Code
from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step
from nbgraph.types import EdgeKind, Shape


def compile(graph: Graph, before: Plan | None = None) -> Plan:
    """The plan of a graph; steps that an earlier plan has built from the same things stay as they are.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper)
    >>> print(compile(graph).source)
    def shout(event, item=None):
        try:
            event = strip(event)
            event = upper(event)
            return event
        except Exception as error:
            raise failed(error, locals())
    """
    problems = check.problems(graph.steps, graph.edges)
    if not graph.steps:
        problems.append(f'Graph "{graph.name}" has no steps; add the first with graph.to(handler).')
    calls, faults = _calls(graph, before)
    if problems or faults:
        raise GraphError.of_problems(graph.name, [*problems, *faults])
    steps = _plan_steps(graph, calls)
    starts = tuple(topology.starts(steps, graph.edges))
    if not starts:
        raise GraphError(f'Graph "{graph.name}" has no step that events could enter by: every step follows another.')
    confirms = graph.responder is None and len(topology.ends(steps, graph.edges)) > 1
    uses_events = any(step.call.shape in (Shape.EVENT, Shape.EVENTS) or step.handler for step in steps.values())
    is_async = any(step.call.is_async for step in steps.values())
    functions = generate(graph.name, steps, starts, confirms=confirms, uses_events=uses_events, is_async=is_async)
    return Plan(
        name=graph.name, steps=steps, starts=starts, confirms=confirms, uses_events=uses_events, is_async=is_async,
        observers=graph.observers, watch=_watch(graph), source=functions.source, line=functions.line,
        tree=functions.tree, fused=functions.fused, after=functions.after,
    )  # fmt: skip


def _calls(graph: Graph, before: Plan | None) -> tuple[dict[str, Call], list[str]]:
    """Every step's call, and one sentence for each that can't be bound or built."""
    calls: dict[str, Call] = {}
    faults: list[str] = []
    for step in graph.steps:
        earlier = before.steps.get(step.name) if before else None
        try:
            calls[step.name] = call_of(graph, step, earlier.call if earlier else None)
        except GraphError as error:
            faults += error.problems
        except Exception as error:
            fault = GraphError(f'Step "{step.name}" can\'t be built: {type(error).__name__}: {error}')
            raise fault from error  # the user's own constructor failed: its traceback is worth more than a list
    return calls, faults


def _plan_steps(graph: Graph, calls: Mapping[str, Call]) -> dict[str, PlanStep]:
    names = [step.name for step in graph.steps]
    edges = graph.edges
    looping = _on_cycles(names, edges)
    handlers = {edge.source: edge.target for edge in reversed(edges) if edge.is_error}
    leaving: dict[str, list[Edge]] = {name: [] for name in names}
    for edge in edges:
        if edge.carries_events:
            leaving[edge.source].append(edge)
    following = topology.successors(names, edges, kinds=[EdgeKind.FLOW, EdgeKind.CYCLE])
    main = topology.reachable(following, topology.starts(names, edges))
    graph_handler = handlers.get(WHOLE_GRAPH)
    return {
        step.name: PlanStep(
            name=step.name,
            call=calls[step.name],
            arrows=tuple(_arrow(edge, graph) for edge in leaving[step.name]),
            handler=handlers.get(step.name) or (graph_handler if step.name != graph_handler else None),
            limit=(step.options.max_iterations or graph.max_iterations) if step.name in looping else None,
            answers=_answers(graph, step, main, leaving),
            rescues=step.name not in main and not leaving[step.name],
        )
        for step in graph.steps
    }


def _answers(graph: Graph, step: Step, main: set[str], leaving: Mapping[str, list[Edge]]) -> bool:
    """The responder's result answers; without a responder, the ends' do."""
    if graph.responder is not None:
        return step.name == graph.responder
    return step.name in main and not leaving[step.name]


def _on_cycles(names: Iterable[str], edges: Sequence[Edge]) -> set[str]:
    """Steps that may run again for the same event; also over an error handler that goes back."""
    kinds = [EdgeKind.FLOW, EdgeKind.CYCLE, EdgeKind.ERROR]
    groups = topology.cycles(topology.successors(names, edges, kinds=kinds))
    return {name for group in groups for name in group}


def _arrow(edge: Edge, graph: Graph) -> Arrow:
    if edge.when is None:
        return Arrow(edge.target, otherwise=edge.otherwise)
    try:
        test = predicate_of(edge.when, graph.scope)
    except GraphError as error:
        raise GraphError(f'The condition of "{edge.source}" -> "{edge.target}": {error}') from None
    if isinstance(edge.when, Code):
        return Arrow(edge.target, test, edge.when.text)
    if not isinstance(edge.when, str):
        return Arrow(edge.target, test, getattr(edge.when, "__name__", repr(edge.when)))
    sees_all = graph.spec(edge.target).options.input_path is None
    return Arrow(edge.target, test, edge.when, sees_all and is_self_contained(edge.when, graph.scope))


def _watch(graph: Graph) -> Callable[[], bool] | None:
    """Tells, in nanoseconds a name, whether every name that the plan depends on still means the same object.

    It is generated so that its globals are the notebook's own: the interpreter caches such look-ups, and a graph of
    names costs no more than calling the functions by their names does.
    """
    namespace = graph.scope.namespace
    names = sorted({name for step in graph.steps for name in _names_in(step)} & set(namespace))
    if not names or not isinstance(namespace, dict):
        return None
    seen = ", ".join(f"seen_{number}=seen[{number}]" for number in range(len(names)))
    same = " and ".join(f"{name} is seen_{number}" for number, name in enumerate(names))
    made: dict[str, Any] = {"seen": [namespace[name] for name in names]}
    exec(f"def is_current({seen}):\n    return {same}", made)
    watch = made["is_current"]
    return FunctionType(watch.__code__, namespace, "is_current", watch.__defaults__)


def _names_in(step: Step) -> set[str]:
    """Names of the notebook that the step's handler and arguments are made from.

    Names inside an expression handler are left out: its function looks them up itself, at every call.
    """
    found: set[str] = set()
    if isinstance(step.handler, str) and not is_expression(step.handler):
        found.add(step.handler.partition(".")[0])
    for value in step.arguments.values():
        found |= _names_of(value)
    return found


def _names_of(value: Any) -> set[str]:
    if isinstance(value, Code):
        try:
            tree = ast.parse(value.text.strip(), mode="eval")
        except SyntaxError:
            return set()
        return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if isinstance(value, dict):
        return {name for item in value.values() for name in _names_of(item)}
    if isinstance(value, list | tuple):
        return {name for item in value for name in _names_of(item)}
    return set()
