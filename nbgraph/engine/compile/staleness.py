"""Staleness: whether every name that a plan depends on still refers to the same object, in nanoseconds a name."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import Any

from nbgraph.engine.compile.bind import is_expression, names_in
from nbgraph.engine.compile.flatten import Flat
from nbgraph.graph.graph import Graph
from nbgraph.graph.scope import Code
from nbgraph.graph.step import Step

Watch = Callable[[], bool]


def watch(graph: Graph, flat: Flat) -> Watch | None:
    """The check whether the names of a graph and its nested graphs still refer to the same objects; None without names.

    It is generated code whose globals are the notebook's: the interpreter caches such look-ups, so checking a name
    costs no more than calling the function by its name.
    """
    watches: dict[int, tuple[dict[str, Any], set[str]]] = {}
    for owner in (graph, *flat.inner):
        namespace = owner.scope.namespace
        if isinstance(namespace, dict):
            watches.setdefault(id(namespace), (namespace, set()))[1].update(names_of_graph(owner))
    made = [_compare(namespace, sorted(names)) for namespace, names in watches.values()]
    made += [_unchanged(inner) for inner in flat.inner]
    compares = [compare for compare in made if compare is not None]
    if len(compares) <= 1:
        return compares[0] if compares else None
    return lambda: all(compare() for compare in compares)


def _unchanged(inner: Graph) -> Watch:
    """Whether a nested graph still has the same steps and arrows."""
    steps, edges = inner.steps, inner.edges
    return lambda: inner.steps == steps and inner.edges == edges


def _compare(namespace: dict[str, Any], names: Sequence[str]) -> Watch | None:
    usable = [name for name in names if name.isidentifier() and not keyword.iskeyword(name)]
    there = [name for name in usable if name in namespace]
    absent = [name for name in usable if name not in namespace]
    if not usable:
        return None
    given = [
        "_nbgraph=_nbgraph",
        "_nbgraph_error=NameError",
        *(f"_nbgraph_{number}=seen[{number}]" for number in range(len(there))),
    ]
    same = [f"{name} is _nbgraph_{number}" for number, name in enumerate(there)]
    same += [f"{name!r} not in _nbgraph" for name in absent]  # a built-in step, until the notebook defines the name
    made: dict[str, Any] = {"seen": [namespace[name] for name in there], "_nbgraph": namespace}
    lines = [f"def is_current({', '.join(given)}):", "    try:", f"        return {' and '.join(same)}"]
    lines += ["    except _nbgraph_error:", "        return False  # one was deleted"]
    exec("\n".join(lines), made)
    compare = made["is_current"]
    return FunctionType(compare.__code__, namespace, "is_current", compare.__defaults__)


def names_of_graph(graph: Graph) -> set[str]:
    """Names that steps, conditions, exceptions and the error stream refer to."""
    found = _first_names([graph.error_stream] if isinstance(graph.error_stream, str) else [])
    for step in graph.steps:
        found |= _names_in(step)
        if graph.scope.is_document and is_expression(step.handler):  # its names are looked up once, when it is bound
            found |= names_in(str(step.handler))
    for edge in graph.edges:
        found |= _names_of(edge.when)
        if graph.scope.is_document and isinstance(edge.when, str) and not edge.is_error:
            found |= names_in(edge.when)
        if edge.is_error and isinstance(edge.when, str):
            found |= _first_names(part.strip() for part in edge.when.split("|"))
    return found


def _names_in(step: Step) -> set[str]:
    """Names of the notebook that the step's handler and arguments refer to.

    Names inside an expression handler are left out: its function looks them up at every call.
    """
    found = _names_of(dict(step.arguments))
    if isinstance(step.handler, str) and not is_expression(step.handler):
        found |= _first_names([step.handler])
    return found


def _first_names(texts: Iterable[str]) -> set[str]:
    return {text.partition(".")[0] for text in texts}


def _names_of(value: Any) -> set[str]:
    if isinstance(value, Code):
        return names_in(value.text)
    if isinstance(value, Step):  # a router's route
        return _names_in(value)
    if isinstance(value, dict):
        return {name for item in value.values() for name in _names_of(item)}
    if isinstance(value, list | tuple):
        return {name for item in value for name in _names_of(item)}
    return set()
