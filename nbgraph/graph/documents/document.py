"""A graph as plain data that JSON and YAML can hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph import topology
from nbgraph.graph.documents import argument
from nbgraph.graph.documents.decode import VERSION, read_graph
from nbgraph.graph.documents.literal import NotLiteralError
from nbgraph.graph.documents.yaml import read_yaml, write_yaml
from nbgraph.graph.edge import Condition, Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import handler_text, name_of
from nbgraph.graph.scope import Code, Scope
from nbgraph.graph.step import Step
from nbgraph.types import EdgeKind

Write = Callable[[Any, str], Any]  # (value, where it stands) -> plain data


def to_dict(graph: Graph) -> dict[str, Any]:
    """The graph as plain data, in the order it was built; what is as usual is left out.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper).respond()
    >>> to_dict(graph)["steps"]
    {'strip': {'handler': 'str.strip'}, 'upper': {'handler': 'str.upper'}}
    """
    return _graph(graph, argument.exact)


def outline(graph: Graph) -> dict[str, Any]:
    """As `to_dict`, for who only looks at it: a value that has no text form is told as such.

    >>> graph = Graph("positive")
    >>> _ = graph.to("Filter", "filter", fn=lambda event: event > 0)
    >>> outline(graph)["steps"]["filter"]["arguments"]
    {'fn': '<function, which has no text form>'}
    """
    document = _graph(graph, _or_told)
    document.pop("monitor", None)  # its baseline would be most of the text
    return document


def _or_told(value: Any, where: str) -> Any:
    try:
        return argument.plain(value)
    except NotLiteralError as error:
        return f"<{error}, which has no text form>"


def spec_document(graph: Graph) -> dict[str, Any]:
    """What two equal graphs have in common: order counts only where it means something. Never raises."""
    document = _graph(graph, lambda value, where: argument.comparable(value))
    following: dict[str, list[Any]] = {}
    for edge in document.pop("edges", ()):
        following.setdefault(edge["source"], []).append(edge)
    starts = topology.starts(map(_name, graph.steps), graph.edges)
    if graph.routes:
        starts = sorted(starts)  # of which the request chooses one
    if graph.responders:
        document["responder"] = sorted(graph.responders)
    return {**document, "following": following, "starts": starts}


def to_yaml(graph: Graph) -> str:
    """The graph as YAML.

    >>> graph = Graph("shout")
    >>> _ = graph.to("upper")
    >>> print(to_yaml(graph))
    version: 1
    name: shout
    steps:
      upper: {}
    """
    return write_yaml(to_dict(graph))


def save(graph: Graph, path: Path) -> Path:
    """Write the graph to a file; the ending chooses the form."""
    text = to_yaml(graph) if _is_yaml(path) else json.dumps(to_dict(graph), indent=2, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8")
    return path


def from_dict(document: Mapping[str, Any], scope: Scope) -> Graph:
    """The graph of a document.

    >>> from_dict({"version": 1, "name": "g", "steps": {"a": {"retrys": 3}}}, Scope(is_document=True))
    Traceback (most recent call last):
    nbgraph.errors.GraphError: steps.a.retrys: unknown field; did you mean "retries"? Known fields: ...
    """
    return read_graph(document, scope)


def from_yaml(text: str, scope: Scope) -> Graph:
    """The graph of a YAML text."""
    return read_graph(read_yaml(text), scope)


def load(path: Path, scope: Scope) -> Graph:
    """The graph of a file that `save` wrote."""
    is_yaml = _is_yaml(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise GraphError(f"{path} can't be read: {error}") from error
    if is_yaml:
        return from_yaml(text, scope)
    try:
        return read_graph(json.loads(text, object_pairs_hook=_unique), scope)
    except (json.JSONDecodeError, RecursionError) as error:
        raise GraphError(f"{path} is not JSON: {error}") from error


def _is_yaml(path: Path) -> bool:
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise GraphError(f'"{path}" ends in "{path.suffix}"; a graph is kept as .yaml, .yml or .json.')
    return path.suffix.lower() != ".json"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise GraphError(f'"{key}" stands twice in one mapping of the document; one of the two would be lost.')
        found[key] = value
    return found


def _graph(graph: Graph, write: Write) -> dict[str, Any]:
    document: dict[str, Any] = {"version": VERSION, "name": graph.name}
    if graph.max_iterations != 100:
        document["max_iterations"] = graph.max_iterations
    if graph.error_stream is not None:
        document["error_stream"] = write(
            argument.stream(graph.error_stream), f'The error_stream of graph "{graph.name}"'
        )
    if not graph.copy:
        document["copy"] = False
    if graph.protocol is not None:
        document["protocol"] = graph.protocol
    document["steps"] = {step.name: _step(step, write, f'Step "{step.name}"') for step in graph.steps}
    if graph.edges:
        document["edges"] = [_edge(edge, write) for edge in graph.edges]
    if graph.watched is not None:
        document["monitor"] = write(graph.watched.to_plain(), f'The monitor of graph "{graph.name}"')
    if graph.responders:
        document["responder"] = graph.responders[0] if len(graph.responders) == 1 else list(graph.responders)
    return document


def _step(step: Step, write: Write, where: str) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if isinstance(step.handler, Graph):
        document["graph"] = _graph(step.handler, write)
    elif (text := handler_text(step)) != step.name:
        document["handler"] = text
    if arguments := argument.given(step):
        document["arguments"] = {name: _argument(name, value, write, where) for name, value in arguments.items()}
    if step.function is not None:
        document["function"] = step.function
    document |= argument.options_of(step.options)
    return document


def _argument(name: str, value: Any, write: Write, where: str) -> Any:
    if name == "routes" and type(value) is dict:
        routes = argument.routes_of(value)
        return {key: _step(route, write, f'{where}, route "{key}"') for key, route in routes.items()}
    if name == argument.POSITIONAL and type(value) is list:
        return [write(item, f"{where}: argument {place}") for place, item in enumerate(value, 1)]
    return write(value, f'{where}: argument "{name}"')


def _edge(edge: Edge, write: Write) -> dict[str, Any]:
    document: dict[str, Any] = {"source": edge.source, "target": edge.target}
    if edge.when is not None:
        document["when"] = condition_text(edge.when) or write(
            edge.when, f'The condition "{edge.source}" -> "{edge.target}"'
        )
    if edge.otherwise:
        document["otherwise"] = True
    if edge.kind is not EdgeKind.FLOW:
        document["kind"] = edge.kind.value
    return document


def condition_text(when: Condition) -> str | None:
    """A condition as an expression; a predicate is a call of it. None for one without a name.

    >>> condition_text(bool), condition_text("event > 3"), condition_text(lambda event: event > 3)
    ('bool(event)', 'event > 3', None)
    """
    if isinstance(when, str):
        return when
    name = when.text if isinstance(when, Code) else name_of(when)
    return name and f"{name}(event)"


def _name(step: Step) -> str:
    return step.name
