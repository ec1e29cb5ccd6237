"""Inspection: faults in what a graph's names refer to, found before anything is built or run."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from types import FunctionType
from typing import Any

from nbgraph import steps
from nbgraph.engine.compile.bind import is_expression, named, resolve, value_of
from nbgraph.engine.compile.condition import bound, names_predicate
from nbgraph.engine.compile.error_stream import target_of
from nbgraph.engine.compile.flatten import flatten, inner_graph
from nbgraph.engine.compile.full_event import check_takes_event
from nbgraph.engine.compile.handler_kind import makes_handlers, no_handler
from nbgraph.engine.compile.shared_options import divided_options
from nbgraph.engine.params import names_of
from nbgraph.errors import GraphError
from nbgraph.graph import topology
from nbgraph.graph.documents.argument import POSITIONAL, routes_of
from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.finding import Finding, meant
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import is_built_in
from nbgraph.graph.safety.code_arguments import check_arguments
from nbgraph.graph.safety.formula import SAFE_BUILTINS, steps_of
from nbgraph.graph.scope import Code, Scope
from nbgraph.graph.signature import INJECTED, misfit, signature_of
from nbgraph.graph.step import Step
from nbgraph.handler import Handler
from nbgraph.steps.routers.router import Router
from nbgraph.types import EdgeKind, Shape

_WRITTEN_OUT = (
    ast.Expression,
    ast.Constant,
    ast.Name,
    ast.Load,
    ast.Call,
    ast.keyword,
    ast.List,
    ast.Tuple,
    ast.Dict,
)


def findings(graph: Graph, around: Sequence[Graph] = (), *, tries: bool = True) -> list[Finding]:
    """The findings of the graph and its nested graphs; with `tries`, also by building steps without side effects.

    >>> graph = Graph("g")
    >>> _ = graph.to("(evnt + 1)", "more")
    >>> [finding.text for finding in findings(graph)]
    ['Step "more": "evnt" in `(evnt + 1)` is not defined here. Did you mean "event"?']
    """
    found = [each for step in graph.steps for each in _of_step(graph, step, around, tries)]
    for edge in graph.edges:
        if edge.when is not None:
            found += [Finding(text, edge.source, edge.target) for text in _of_condition(graph, edge)]
    found += [Finding(text) for text in _of_stream(graph)]
    found += [Finding(text, name) for name, text in _of_schedules(graph)]
    if graph.protocol is not None and graph.routes:
        text = f"A graph that speaks {graph.protocol} has that API's paths; take its own routes out, or the protocol."
        found.append(Finding(text, next(iter(graph.routes))))
    if tries and not around and not found:
        found += [Finding(text) for text in _of_whole(graph)]
    return found + list(_endless(graph))


def _of_schedules(graph: Graph) -> Iterator[tuple[str, str]]:
    """A schedule starts events of the whole graph, so it must be where all events enter."""
    scheduled = [step.name for step in graph.steps if is_built_in(step, ("Schedule",))]
    starts = topology.starts([step.name for step in graph.steps], graph.edges) if scheduled else []
    for name in scheduled:
        if any(edge.target == name for edge in graph.edges):
            yield name, f'Step "{name}" is a Schedule behind other steps; put it first, since events begin there.'
        elif starts := [
            step for step in topology.starts([step.name for step in graph.steps], graph.edges) if step not in scheduled
        ]:
            others = ", ".join(f'"{step}"' for step in starts)
            yield name, f'Step "{name}" is a Schedule, and events enter by {others} too; give each its own graph.'


def _of_whole(graph: Graph) -> list[str]:
    """Findings that need the flattened graph."""
    try:
        if any(inner_graph(graph, step) is not None for step in graph.steps):
            flatten(graph)
    except GraphError as error:
        return error.problems
    return []


def _of_step(graph: Graph, step: Step, around: Sequence[Graph], tries: bool) -> Iterator[Finding]:
    try:
        resolved = resolve(graph, step)
    except GraphError as error:
        yield from (Finding(problem, step.name) for problem in error.problems)
        return
    except Exception as error:
        text = f'Step "{step.name}": importing its handler failed: {type(error).__name__}: {error}'
        yield Finding(text, step.name)
        return
    if isinstance(resolved, Graph):
        if resolved.routes:
            text = f'Step "{step.name}" is a graph with routes; callers enter by those of the outermost graph alone.'
            yield Finding(text, step.name)
        if resolved is not graph and resolved not in around:
            for inner in findings(resolved, (*around, graph), tries=tries):
                yield Finding(f'In the graph "{step.name}": {inner.text}', step.name, is_fault=inner.is_fault)
        return
    if not step.arguments and _takes_body(resolved) and not is_expression(step.handler):
        return  # a function of the body, as most steps are: nothing more to check
    where = f'Step "{step.name}"'
    is_routed = graph.takes_requests
    texts = [
        *_of_names(step, graph.scope),
        *_of_handler(resolved, step, is_routed),
        *_of_routes(graph, step, around, tries),
    ]
    for text in texts:
        yield Finding(text if text.startswith('Step "') else f"{where} {text}", step.name)
    if tries and not texts:
        yield from (Finding(f"{where}: {text}", step.name) for text in _of_building(resolved, step, graph.scope))


# --- names ---


def _of_names(step: Step, scope: Scope) -> Iterator[str]:
    """Undefined names: in expressions as handlers, in arguments, in texts that become code."""
    where = f'Step "{step.name}"'
    if is_expression(step.handler):
        yield from (f"{where}: {fault}" for fault in unknown(str(step.handler), ["event"], scope))
    for name, value in step.arguments.items():
        for code in _codes(value):
            known = [*steps.catalogue().modules, "Code", "step", "Graph"]
            yield from (f'{where}, argument "{name}": {fault}' for fault in unknown(code.text, known, scope))


def unknown(text: str, known: Collection[str], scope: Scope) -> list[str]:
    """The names in an expression that are neither known nor bound by the expression itself."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError) as error:
        return [f"`{text}` is not an expression: {getattr(error, 'msg', error)}."]
    nodes = list(ast.walk(tree))
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    built_in = SAFE_BUILTINS if scope.is_document else vars(builtins)
    names = dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name))
    return [
        f'"{name}" in `{text}` is not defined here.{meant(name, [*known, *scope.namespace, *built_in])}'
        for name in names
        if name not in own
        and name not in known
        and name not in scope.namespace
        and name not in built_in
        and name not in steps.catalogue()
    ]


def _codes(value: Any) -> Iterator[Code]:
    if isinstance(value, Code):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _codes(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _codes(item)


# --- handlers and their arguments ---


def _of_handler(resolved: Any, step: Step, is_routed: bool) -> Iterator[str]:
    if isinstance(resolved, Step):  # a declaration in the notebook
        merged = {**resolved.arguments, **step.arguments}
        yield from _of_handler(
            resolved.handler, Step(step.name, resolved.handler, merged, None, step.options), is_routed
        )
        return
    if (fault := no_handler(resolved)) is not None:
        yield fault
        return
    try:
        _, arguments = divided_options(resolved, step, dict(step.arguments))
    except GraphError as error:
        yield str(error)
        return
    positional = arguments.get(POSITIONAL, ())
    named = [name for name in arguments if name != POSITIONAL]
    if makes_handlers(resolved):
        injected = [name for name in INJECTED if name in _parameters(resolved) and name not in named]
        if fault := misfit(resolved, positional, [*named, *injected], body=False):
            yield f"can't be built: {fault}"
        yield from _of_method(resolved, is_routed)
    elif isinstance(resolved, type):
        return  # `int`: a function of the body, implemented in C: its signature is not inspected
    elif fault := _of_function(resolved, positional, named, is_routed):
        yield f"can't be called: {fault}"


def _of_function(function: Any, positional: Sequence[Any], named: Sequence[str], is_routed: bool = False) -> str | None:
    if not callable(function):  # an object with `do` or `do_event`
        method = getattr(function, "do_event", None) or getattr(function, "do", None)
        return misfit(method, (), _given(method, (), is_routed), body=True) if callable(method) else None
    if isinstance(function, Handler) or (not positional and not named and _takes_body(function)):
        return None
    is_object = not inspect.isroutine(function) and callable(getattr(type(function), "do", None))
    if is_object:
        return None
    given = _given(function, named, is_routed, len(positional))
    return misfit(function, positional, [*named, *given], body=True)


def _takes_body(function: Any) -> bool:
    """Whether it is a plain function of one argument, judged quickly, without its signature."""
    if type(function) is not FunctionType or hasattr(function, "__signature__"):
        return False
    code, defaults = function.__code__, function.__defaults__ or ()
    return code.co_argcount >= 1 >= code.co_argcount - len(defaults) and not code.co_kwonlyargcount


def _injected(function: Any, named: Sequence[str] = ()) -> list[str]:
    return [name for name in INJECTED if name in _parameters(function)[1:] and name not in named]


def _given(function: Any, named: Sequence[str], is_routed: bool, skip: int = 0) -> list[str]:
    """The injected arguments of a function: the context, and in a graph with routes request parameters."""
    asked = names_of(function, named)[skip:] if is_routed else []
    return list(dict.fromkeys([*_injected(function, named), *asked]))


def _of_method(kind: type, is_routed: bool) -> Iterator[str]:
    """The method that takes events, if it is a plain function of the class."""
    if issubclass(kind, Handler):
        return
    for name in ("do_event", "do", "__call__"):
        method = inspect.getattr_static(kind, name, None)
        if inspect.isfunction(method):
            injected = [one for one in INJECTED if one in _parameters(method)[2:]]
            asked = names_of(method, injected)[1:] if is_routed else []  # behind the object itself and the body
            injected += [one for one in asked if one not in injected]
            if fault := misfit(method, (None,), injected, body=True):
                yield f"can't be called: {kind.__name__}.{fault}"
        if method is not None:
            return


def _parameters(function: Any) -> list[str]:
    signature = signature_of(function)
    return list(signature.parameters) if signature is not None else []


def _of_routes(graph: Graph, step: Step, around: Sequence[Graph], tries: bool) -> Iterator[str]:
    routes = step.arguments.get("routes")
    if not isinstance(routes, Mapping):
        return
    try:
        declared = routes_of(routes)
    except GraphError as error:
        yield str(error)
        return
    for name, route in declared.items():
        for finding in _of_step(graph, route, around, tries):
            inner = finding.text.removeprefix(f'Step "{name}"').lstrip(": ")
            yield f'Step "{step.name}", route "{name}": {inner}'


def _of_building(resolved: Any, step: Step, scope: Scope) -> list[str]:
    """The error of building a built-in step whose constructor has no side effects."""
    if not isinstance(resolved, type) or not issubclass(resolved, Handler) or not _is_built_in(resolved):
        return []
    try:
        _look_at_expressions(resolved, step.arguments, scope)
        codes = [code for value in step.arguments.values() for code in _codes(value)]
        if all(_is_written_out(code, scope) for code in codes) and not (resolved.io or "routes" in step.arguments):
            _, given = divided_options(resolved, step, dict(step.arguments))
            arguments = {name: value_of(value, scope, f'argument "{name}"') for name, value in given.items()}
            named = {name: value for name, value in arguments.items() if name != POSITIONAL}
            if "name" in _parameters(resolved):
                named.setdefault("name", step.name)
            with steps_of(is_document=scope.is_document):
                made = resolved(*arguments.get(POSITIONAL, ()), **named)
            if step.options.full_event:
                check_takes_event(made)
            if isinstance(made, Router):
                made.check()
    except GraphError as error:
        return error.problems
    except Exception:
        return []  # its error is raised when it is built, with its traceback
    return []


def _is_written_out(code: Code, scope: Scope) -> bool:
    """Whether an argument's code only builds plain data objects of the library: `FixedWindows(["1h"])`."""
    nodes = list(ast.walk(ast.parse(code.text.strip(), mode="eval")))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return (
        all(isinstance(node, _WRITTEN_OUT) for node in nodes)
        and all(name in steps.catalogue().modules for name in names)
        and all(is_dataclass(kind := steps.catalogue()[name]) and named(name, scope) is kind for name in names)
    )


def _is_built_in(kind: type) -> bool:
    return kind.__module__.startswith("nbgraph.steps.") and kind.__name__ in steps.catalogue().modules


def _look_at_expressions(kind: type, arguments: Mapping[str, Any], scope: Scope) -> None:
    faults: list[str] = []

    def look(text: str, names: Sequence[str], where: str) -> None:
        faults.extend(unknown(text, names, Scope(is_document=scope.is_document)))

    try:
        check_arguments(kind, arguments, "", look)
    except GraphError:
        return  # a computed text
    if faults:
        raise GraphError(faults[0], faults)


# --- arrows ---


def _of_condition(graph: Graph, edge: Edge) -> list[str]:
    try:
        bound(edge, graph)
    except GraphError as error:
        return [str(error)]
    except Exception as error:
        return [f'The condition of "{edge.source}" -> "{edge.target}": {type(error).__name__}: {error}']
    when = edge.when
    where = f'The condition of "{edge.source}" -> "{edge.target}"'
    if (predicate := _predicate(when, graph)) is not None and not edge.is_error:
        fault = None if isinstance(predicate, type) else _of_function(predicate, (), ())
        return [f"{where}: {fault}"] if fault else []
    if edge.is_error or not isinstance(when, str | Code):
        return []
    text, known = (when.text, list(steps.catalogue().modules)) if isinstance(when, Code) else (when, ["event"])
    return [f"{where}: {one}" for one in unknown(text, known, graph.scope)]


def _predicate(when: Any, graph: Graph) -> Any:
    """The function that a condition is or names."""
    if isinstance(when, str):
        return named(when.strip(), graph.scope) if names_predicate(when, graph) else None
    return when if callable(when) else None


def _of_stream(graph: Graph) -> list[str]:
    if isinstance(graph.error_stream, Code):
        faults = unknown(graph.error_stream.text, [], graph.scope)
        return [f'The error_stream of graph "{graph.name}": {fault}' for fault in faults]
    try:
        target_of(graph)
    except GraphError as error:
        return [str(error)]
    return []


def _endless(graph: Graph) -> Iterator[Finding]:
    """Cycles that no event can leave: no arrow has a condition, no step can drop an event or fail."""
    edges = [edge for edge in graph.edges if edge.target in graph and edge.source in graph]
    if all(edge.kind is not EdgeKind.CYCLE for edge in edges):
        return
    names = [step.name for step in graph.steps]
    following = topology.successors(names, edges, kinds=[EdgeKind.FLOW, EdgeKind.CYCLE])
    for group in topology.cycles(following):
        inside = [edge for edge in graph.edges if edge.source in group and edge.carries_events]
        has_way_out = any(edge.when is not None or edge.otherwise for edge in inside)
        is_handled = any(edge.is_error and edge.source in (*group, WHOLE_GRAPH) for edge in graph.edges)
        if not has_way_out and not is_handled and all(_passes_on(graph, name) for name in group):
            way = " -> ".join(f'"{name}"' for name in [*reversed(group), group[-1]])
            text = f"Nothing leaves the cycle {way}: give one of its arrows a condition, so that an event can go on."
            yield Finding(text, group[0], group[-1], is_fault=False)


def _passes_on(graph: Graph, name: str) -> bool:
    """Whether a step always gives one result for each event, and its arrows decide the next step."""
    step = graph.spec(name)
    try:
        resolved = resolve(graph, step)
    except Exception:
        return False
    kind = resolved if isinstance(resolved, type) else type(resolved)
    if step.options.full_event or isinstance(resolved, Graph | Step) or hasattr(kind, "select_outlets"):
        return False
    if issubclass(kind, Handler):
        return kind.shape in (Shape.MAP, Shape.EACH)
    function = (
        resolved if inspect.isroutine(resolved) else getattr(kind, "do", inspect.getattr_static(kind, "__call__", None))
    )
    return not (inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function))
