"""Compile: a Graph becomes a Plan; names are bound, steps built, sync or async decided, functions generated."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

from nbgraph.engine.bind import binding_problems, is_expression
from nbgraph.engine.call import Call, call_of
from nbgraph.engine.condition import Test, exceptions_of
from nbgraph.engine.flatten import Flat, flatten
from nbgraph.engine.generate import generate
from nbgraph.engine.plan import Arrow, Handling, Plan, PlanStep
from nbgraph.engine.report import reporter
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
    flat = _sound(graph)
    calls = _calls(graph.name, flat, before)
    steps = _plan_steps(flat, calls)
    starts = tuple(topology.starts(steps, flat.edges))
    if not starts:
        raise GraphError(f'Graph "{graph.name}" has no step that events could enter by: every step follows another.')
    confirms = flat.responder is None and len(topology.ends(steps, flat.edges)) > 1
    uses_events = any(step.call.shape in (Shape.EVENT, Shape.EVENTS) or step.handlers for step in steps.values())
    is_async = any(step.call.is_async for step in steps.values())
    report = reporter(graph)
    nests = any(step.call.nests for step in steps.values())
    functions = generate(
        graph.name, steps, starts, is_line_wanted=not (confirms or report or nests), uses_events=uses_events,
        is_async=is_async,
    )  # fmt: skip
    return Plan(
        name=graph.name, steps=steps, starts=starts, confirms=confirms, uses_events=uses_events, is_async=is_async,
        observers=graph.observers, report=report, watch=_watch(flat), source=functions.source, line=functions.line,
        tree=functions.tree, fused=functions.fused, after=functions.after, staged=functions.staged,
        takes=functions.takes, nests=nests,
    )  # fmt: skip


def _sound(graph: Graph) -> Flat:
    """The graph without inner graphs, once its form has no fault; all faults are told at once."""
    problems = check.problems(graph.steps, graph.edges)
    if not graph.steps:
        problems.append(f'Graph "{graph.name}" has no steps; add the first with graph.to(handler).')
    if problems:
        raise GraphError.of_problems(graph.name, [*problems, *binding_problems(graph)])
    return flatten(graph)


def _calls(graph: str, flat: Flat, before: Plan | None) -> dict[str, Call]:
    """Every step's call; one error tells of all that can't be bound or built."""
    calls: dict[str, Call] = {}
    faults: list[str] = []
    for name, owned in flat.steps.items():
        earlier = before.steps.get(name) if before else None
        try:
            calls[name] = call_of(owned.graph, owned.step, earlier.call if earlier else None)
        except GraphError as error:
            faults += error.problems
        except Exception as error:
            fault = GraphError(f'Step "{name}" can\'t be built: {type(error).__name__}: {error}')
            raise fault from error  # the user's own constructor failed: its traceback is worth more than a list
    if faults:
        raise GraphError.of_problems(graph, faults)
    return calls


def _plan_steps(flat: Flat, calls: Mapping[str, Call]) -> dict[str, PlanStep]:
    names, edges = list(flat.steps), flat.edges
    looping = _on_cycles(names, edges)
    handlers: dict[str, list[Handling]] = {}
    leaving: dict[str, list[Edge]] = {name: [] for name in names}
    for edge in edges:
        if edge.carries_events:
            leaving[edge.source].append(edge)
        else:
            handlers.setdefault(edge.source, []).append(Handling(edge.target, exceptions_of(edge)))
    following = topology.successors(names, edges, kinds=[EdgeKind.FLOW, EdgeKind.CYCLE])
    main = topology.reachable(following, topology.starts(names, edges))
    of_graph = handlers.get(WHOLE_GRAPH, [])
    return {
        name: PlanStep(
            name=name,
            call=calls[name],
            arrows=tuple(_arrow(edge) for edge in leaving[name]),
            handlers=tuple(handlers.get(name, [])) + tuple(one for one in of_graph if one.target != name),
            limit=flat.steps[name].limit if name in looping else None,
            answers=_answers(flat, name, main, leaving),
            rescues=name not in main and not leaving[name],
        )
        for name in names
    }


def _answers(flat: Flat, name: str, main: set[str], leaving: Mapping[str, list[Edge]]) -> bool:
    """The responder's result answers; without a responder, the ends' do."""
    if flat.responder is not None:
        return name == flat.responder
    return name in main and not leaving[name]


def _on_cycles(names: Iterable[str], edges: Sequence[Edge]) -> set[str]:
    """Steps that may run again for the same event; also over an error handler that goes back."""
    kinds = [EdgeKind.FLOW, EdgeKind.CYCLE, EdgeKind.ERROR]
    groups = topology.cycles(topology.successors(names, edges, kinds=kinds))
    return {name for group in groups for name in group}


def _arrow(edge: Edge) -> Arrow:
    if not isinstance(edge.when, Test):
        return Arrow(edge.target, otherwise=edge.otherwise)
    return Arrow(edge.target, edge.when.function, edge.when.text, edge.when.is_inline, edge.otherwise)


def _watch(flat: Flat) -> Callable[[], bool] | None:
    """Tells, in nanoseconds a name, whether every name that the plan depends on still means the same object.

    It is generated so that its globals are the notebook's own: the interpreter caches such look-ups, and a graph of
    names costs no more than calling the functions by their names does.
    """
    watches: dict[int, tuple[dict[str, Any], set[str]]] = {}
    for owned in flat.steps.values():
        namespace = owned.graph.scope.namespace
        if isinstance(namespace, dict):
            watches.setdefault(id(namespace), (namespace, set()))[1].update(_names_in(owned.step))
    made = [_compare(namespace, sorted(names & set(namespace))) for namespace, names in watches.values()]
    compares = [compare for compare in made if compare is not None]
    if len(compares) <= 1:
        return compares[0] if compares else None
    return lambda: all(compare() for compare in compares)


def _compare(namespace: dict[str, Any], names: Sequence[str]) -> Callable[[], bool] | None:
    if not names:
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
