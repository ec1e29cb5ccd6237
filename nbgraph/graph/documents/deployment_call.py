"""DeploymentCall: which deployments the steps of a graph call, read from the spec without building any step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbgraph.errors import NbgraphError
from nbgraph.graph.documents.catalogue import GraphCatalogue
from nbgraph.graph.documents.yaml import read_yaml
from nbgraph.graph.facade import built_in_steps
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import is_dotted, slug
from nbgraph.graph.scope import Code
from nbgraph.graph.step import Step
from nbgraph.handler import Handler

POSITIONAL = "*"  # the argument that holds what a cell wrote without names


@dataclass(frozen=True, slots=True)
class DeploymentCall:
    """The step, by its path in the graph, and what it calls; `version` is None where any will do."""

    step: str
    name: str
    version: str | None = None


def call_of(step: Step, graph: Graph) -> DeploymentCall | None:
    """The call that a step makes; None for any other step.

    >>> graph = Graph("shop")
    >>> _ = graph.to("Deployed", "scoring", version="1.2")
    >>> call_of(graph.steps[0], graph)
    DeploymentCall(step='scoring', name='scoring', version='1.2')
    """
    handler, arguments = _declared(step, graph)
    kind = handler if isinstance(handler, type) else type(handler)
    if not (issubclass(kind, Handler) and kind.calls_deployment):
        return None
    given = [*arguments.get(POSITIONAL, ()), *[None] * 2]
    name = _text(arguments.get("name", given[0]), graph) or step.name
    return DeploymentCall(step.name, name, _text(arguments.get("version", given[1]), graph))


def calls_of(graph: Graph, around: Sequence[Graph] = ()) -> Iterator[DeploymentCall]:
    """The calls of all its steps, those of inner graphs and of routes with them."""
    for step in _with_routes(graph):
        call = call_of(step, graph)
        handler, _ = _declared(step, graph)
        if call is not None:
            yield call
        elif isinstance(handler, Graph) and handler not in (*around, graph):
            for inner in calls_of(handler, (*around, graph)):
                yield DeploymentCall(f"{step.name}/{inner.step}", inner.name, inner.version)


def called_by(graph: Graph) -> tuple[str, ...]:
    """The names of the deployments that it calls."""
    return tuple(dict.fromkeys(call.name for call in calls_of(graph)))


def graph_called(call: DeploymentCall) -> Graph | None:
    """The graph that it calls, where the catalogue has it, to be looked at: its names have nothing behind them."""
    catalogue = GraphCatalogue.here()
    try:
        running = catalogue.find(call.name)
        name = slug(running.graph if running is not None else call.name)
        version = call.version or (running.version if running is not None else None)
        place = catalogue.document(name, version) or catalogue.document(name)
        return Graph.from_dict(_bare(read_yaml(place.read_text(encoding="utf-8"))), namespace={}) if place else None
    except (NbgraphError, OSError, UnicodeDecodeError):  # a picture is no reason to fail
        return None


def _bare(document: Any) -> Any:
    """The document with names in the place of whatever would have to be imported."""
    if not isinstance(document, dict):
        return document
    bare = {word: value for word, value in document.items() if word not in ("retry_on", "error_stream")}
    if isinstance(handler := bare.get("handler"), str) and is_dotted(handler):
        bare["handler"] = handler.rpartition(".")[2]
    for word in ("steps", "routes"):
        if isinstance(bare.get(word), dict):
            bare[word] = {name: _bare(step) for name, step in bare[word].items()}
    for word in ("graph", "arguments"):
        if word in bare:
            bare[word] = _bare(bare[word])
    return bare


def _with_routes(graph: Graph) -> Iterator[Step]:
    for step in graph.steps:
        yield step
        routes: Any = step.arguments.get("routes")
        for name, route in routes.items() if isinstance(routes, Mapping) else ():
            declared = route if isinstance(route, Step) else Step("", route)
            yield declared.named(f"{step.name}/{name}")


def _declared(step: Step, graph: Graph) -> tuple[Any, Mapping[str, Any]]:
    """The handler and what it is built with, where the notebook or the library knows its name."""
    handler: Any = step.handler
    arguments = dict(step.arguments)
    while isinstance(handler, str | Step):
        if isinstance(handler, Step):
            handler, arguments = handler.handler, {**handler.arguments, **arguments}
        elif handler in graph.scope.namespace:
            handler = graph.scope.namespace[handler]
            if isinstance(handler, str):
                break
        else:
            return built_in_steps().get(handler), arguments
    return (handler, {**handler.arguments, **arguments}) if isinstance(handler, Handler) else (handler, arguments)


def _text(value: Any, graph: Graph) -> str | None:
    found = graph.scope.namespace.get(value.text) if isinstance(value, Code) else value
    return found if isinstance(found, str) else None
