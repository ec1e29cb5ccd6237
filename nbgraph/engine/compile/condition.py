"""Conditions of edges, bound: the predicate of an arrow, the exceptions of an error handler."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any

from nbgraph.engine.compile.bind import UnboundError, is_self_contained, named, predicate_of
from nbgraph.errors import ANY, GraphError
from nbgraph.graph.edge import Edge
from nbgraph.graph.finding import meant
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import is_dotted
from nbgraph.graph.safety.admission import Admission
from nbgraph.graph.scope import Code
from nbgraph.introspection import shown


@dataclass(frozen=True, slots=True)
class Condition:
    """A bound condition; `text` is its source, `is_inline` whether that can be inlined into generated code."""

    text: str
    function: Callable[[Any], Any]
    is_inline: bool = False

    def __call__(self, body: Any) -> Any:
        return self.function(body)


@dataclass(frozen=True, slots=True)
class Caught:
    """The exceptions that an error handler takes."""

    types: tuple[type[BaseException], ...]

    def __call__(self, error: Any) -> bool:
        return isinstance(error, self.types)


def bound(edge: Edge, graph: Graph) -> Edge:
    """The edge with its condition bound in the graph's scope."""
    from dataclasses import replace

    if edge.when is None:
        return edge
    try:
        when = _caught(edge, graph) if edge.is_error else _test(edge, graph)
    except (GraphError, SyntaxError) as error:
        what = "arrow on error" if edge.is_error else "condition of"
        raise GraphError(f'The {what} "{edge.source}" -> "{edge.target}": {error}') from None
    return replace(edge, when=when)


def exceptions_of(edge: Edge) -> tuple[type[BaseException], ...]:
    """The exceptions that an error edge takes: all, unless it names some."""
    return edge.when.types if isinstance(edge.when, Caught) else ANY


def _test(edge: Edge, graph: Graph) -> Condition:
    when = edge.when
    assert when is not None
    if isinstance(when, str) and names_predicate(when, graph):
        when = f"{when.strip()}(event)"  # `if is_large`: a function object would always be true
    if isinstance(when, str):
        Admission(graph.scope).condition(when, f'The condition "{when}"')
    function = predicate_of(when, graph.scope)
    if iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__):
        raise GraphError(
            f"{getattr(function, '__name__', 'it')} is a coroutine function; a condition is evaluated while the graph "
            "decides, so it must be a plain function. Let an async step write what it finds into the body."
        )
    if isinstance(when, Code):
        return Condition(when.text, function)
    if not isinstance(when, str):
        return Condition(getattr(when, "__name__", repr(when)), function)
    sees_all = edge.target in graph and graph.spec(edge.target).options.input_path is None
    return Condition(when, function, sees_all and is_self_contained(when, graph.scope))


def names_predicate(text: str, graph: Graph) -> bool:
    """Whether a condition is just the name of a function in the notebook."""
    text = text.strip()
    if text == "event" or not is_dotted(text) or text.partition(".")[0] not in graph.scope.namespace:
        return False
    try:
        return callable(named(text, graph.scope))
    except GraphError:
        return False


def _exception(name: str, graph: Graph) -> Any:
    try:
        return named(name, graph.scope, exceptions=True)
    except UnboundError:
        known = [key for key, value in vars(builtins).items() if isinstance(value, type)]
        raise GraphError(
            f'"{name}" is no exception that is known here; expected a builtin such as ValueError, or a class of the '
            f"notebook.{meant(name, [*graph.scope.namespace, *known])}"
        ) from None


def _caught(edge: Edge, graph: Graph) -> Caught:
    """`"ValueError | KeyError"`: the exceptions of these names."""
    names = [name.strip() for name in str(edge.when).split("|")]
    types = tuple(_exception(name, graph) for name in names)
    for name, found in zip(names, types, strict=True):
        if not (isinstance(found, type) and issubclass(found, BaseException)):
            raise GraphError(f'"{name}" is not an exception but {shown(found)}; name exceptions, joined by "|".')
    return Caught(types)
