"""MLRun: a serving graph of MLRun 1.12, as `fn.spec.graph.to_yaml()` writes it, becomes a graph."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.admission import Admission
from nbgraph.graph.check import unknown_step
from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.literal import type_name
from nbgraph.graph.mlrun_classes import arguments_of, handler_of
from nbgraph.graph.scope import Scope
from nbgraph.graph.step import Step, step
from nbgraph.graph.yaml import read_yaml
from nbgraph.types import EdgeKind

# What their platform does by itself, or what only says how it is done there.
IGNORED = frozenset([
    "kind", "name", "comment", "shape", "model_endpoint_creation_strategy", "endpoint_type", "skip_context",
    "model_endpoints_routes_names", "track_models", "engine", "allow_cyclic", "final_step", "base_step", "resource",
])  # fmt: skip
GRAPH = frozenset(["steps", "on_error", "max_iterations"])
WIRES = frozenset(["after", "on_error", "cycle_from", "before", "responder"])
TASK = frozenset(["class_name", "class_args", "handler", "full_event", "function", "input_path", "result_path"])
QUEUE = frozenset(
    ["path", "shards", "retention_in_hours", "trigger_args", "options", "full_event", "group", "function"]
)
KINDS = {
    "task": TASK | {"max_iterations"},
    "error_step": TASK | {"max_iterations"},
    "router": TASK | {"routes", "max_iterations"},
    "queue": QUEUE | {"group", "kafka_brokers", "sharding_func", "max_iterations"},
}
METHODS = (None, "do", "do_event")  # what the engine calls by itself


def from_mlrun(spec: Mapping[str, Any] | str, scope: Scope) -> Graph:
    """The graph of an MLRun spec, a dict or YAML; the handlers it names are looked up in the namespace.

    >>> text = "steps: {a: {kind: task, handler: a}, b: {kind: task, handler: b, after: [a], responder: true}}"
    >>> graph = from_mlrun(text, Scope())
    >>> graph.edges[0].target, graph.responder
    ('b', 'b')
    """
    document = read_yaml(spec) if isinstance(spec, str) else spec
    name, fields = _graph_of(_mapping(document, "The spec"))
    reader = _Reader(Admission(scope))
    if "routes" in fields or fields.get("kind") == "router":
        router = reader.step(fields.get("name") or "router", {**fields, "kind": "router"}, "")
        return Graph.assemble(name, [router], [], scope=scope, responder=router.name)
    _known(fields, GRAPH, "")
    documents = _mapping(fields.get("steps") or {}, "steps")
    steps = [reader.step(key, _mapping(item, f"steps.{key}"), f"steps.{key}") for key, item in documents.items()]
    return Graph.assemble(
        name,
        steps,
        list(_edges(documents, fields.get("on_error"))),
        scope=scope,
        responder=_responder(documents),
        max_iterations=fields.get("max_iterations") or 100,
    )


def _graph_of(document: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """(name, graph) of a graph alone, of a function that has one, of what a deployed function gets."""
    name = document.get("function_name") or _mapping(document.get("metadata") or {}, "metadata").get("name")
    inner = document.get("graph") or _mapping(document.get("spec") or {}, "spec").get("graph")
    if document.get("error_stream"):
        raise GraphError(
            f"error_stream: found {document['error_stream']!r}, a stream of that platform; leave it out and set "
            'graph.error_stream = Queue("errors") instead.'
        )
    return str(name or "graph"), _mapping(inner, "graph") if inner is not None else document


class _Reader:
    """Reads the steps of one spec."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def step(self, name: str, fields: Mapping[str, Any], where: str) -> Step:
        kind = fields.get("kind") or "task"
        if kind not in KINDS:
            raise GraphError(
                f'{where}.kind: "{kind}" has no counterpart in nbgraph; expected one of {", ".join(KINDS)}. '
                "Several models in one step are a ModelRunner(routes={...})."
            )
        _known(fields, KINDS[kind] | WIRES, where)
        if kind == "queue":
            return self._queue(name, fields, where)
        handler, arguments = self._handler(fields, kind, where)
        if kind == "router":
            arguments["routes"] = self._routes(fields.get("routes") or {}, f"{where}.routes".lstrip("."))
        self._admission.arguments(handler, arguments, f"{where}.class_args")
        bound = self._admission.handler(handler, f"{where}.{'class_name' if fields.get('class_name') else 'handler'}")
        return _step(name, bound, arguments, fields, where)

    def _handler(self, fields: Mapping[str, Any], kind: str, where: str) -> tuple[str, dict[str, Any]]:
        class_name, handler = fields.get("class_name"), fields.get("handler")
        arguments = dict(_mapping(fields.get("class_args") or {}, f"{where}.class_args"))
        for field, value in (("class_name", class_name), ("handler", handler)):
            if value is not None and not isinstance(value, str):
                raise GraphError(f"{where}.{field}: found {type_name(value)}; expected a name.")
        if class_name is None and kind == "router":
            class_name = "*"
        if class_name is None:
            if not handler:
                raise GraphError(f"{where}: has neither a class_name nor a handler.")
            return handler, arguments
        if handler not in METHODS:
            raise GraphError(
                f'{where}.handler: the method "{handler}" of "{class_name}" is called; nbgraph calls do(body), '
                "do_event(event) or the object itself. Give the class one of these."
            )
        ours = handler_of(class_name, where)
        return ours, arguments_of(ours, arguments, where)

    def _routes(self, routes: Any, where: str) -> dict[str, Step]:
        items = _mapping(routes, where).items()
        return {key: self.step(key, _mapping(item, f"{where}.{key}"), f"{where}.{key}") for key, item in items}

    def _queue(self, name: str, fields: Mapping[str, Any], where: str) -> Step:
        """A queue; where its stream lies is the deployment's matter, so its path is left out; shards need a key."""
        options = {**_mapping(fields.get("options") or {}, f"{where}.options"), **fields}
        arguments: dict[str, Any] = {}
        if isinstance(options.get("sharding_func"), str):  # theirs spreads without a key, ours keeps the order of each
            arguments["key"] = options["sharding_func"]
            if (shards := options.get("shards") or 1) != 1:
                arguments["shards"] = shards
        return _step(name, "Queue", arguments, {}, where)


def _step(name: str, handler: Any, arguments: dict[str, Any], fields: Mapping[str, Any], where: str) -> Step:
    function = fields.get("function")
    options = {
        key: fields[key] for key in ("full_event", "input_path", "result_path", "max_iterations") if fields.get(key)
    }
    try:
        checked = step("x", "x", **options).options
    except GraphError as error:
        raise GraphError(f"{where}: {str(error).partition(' has ')[2]}") from None
    return Step(name, handler, MappingProxyType(arguments), None if function in ("*", "") else function, checked)


def _edges(steps: Mapping[str, Any], on_error: Any) -> Iterator[Edge]:
    """Their arrows stand at the step they lead to; `before` of an error handler is what it goes on with."""
    for name, fields in steps.items():
        back = _names(fields.get("cycle_from"), steps, f"steps.{name}.cycle_from")
        for source in _names(fields.get("after"), steps, f"steps.{name}.after"):
            yield Edge(source, name, kind=EdgeKind.CYCLE if source in back else EdgeKind.FLOW)
        for handler in _names(fields.get("on_error"), steps, f"steps.{name}.on_error"):
            yield Edge(name, handler, kind=EdgeKind.ERROR)
        for target in _names(fields.get("before"), steps, f"steps.{name}.before"):
            if name not in _names(steps[target].get("after"), steps, f"steps.{target}.after"):
                yield Edge(name, target)
    for handler in _names(on_error, steps, "on_error"):
        yield Edge(WHOLE_GRAPH, handler, kind=EdgeKind.ERROR)


def _names(given: Any, steps: Collection[str], where: str) -> list[str]:
    names = [given] if isinstance(given, str) else list(given or ())
    for name in names:
        if name not in steps:
            raise GraphError(f"{where}: {unknown_step(str(name), steps, f'found {name!r}')}")
    return names


def _responder(steps: Mapping[str, Any]) -> str | None:
    found = [name for name, fields in steps.items() if fields.get("responder")]
    if len(found) > 1:
        raise GraphError(f"steps: {' and '.join(found)} both respond; a graph has one responder.")
    return found[0] if found else None


def _known(fields: Mapping[str, Any], known: Collection[str], where: str) -> None:
    for name in fields:
        if name not in known and name not in IGNORED:
            path = f"{where}.{name}".lstrip(".")
            raise GraphError(f"{path}: unknown field; known fields: {', '.join(sorted(known))}.")


def _mapping(document: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise GraphError(f"{where}: found {type_name(document)}; expected a mapping.")
    return document
