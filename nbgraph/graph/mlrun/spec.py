"""A serving graph of MLRun 1.12, as `fn.spec.graph.to_yaml()` writes it, becomes a graph."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.check import unknown_step
from nbgraph.graph.documents.literal import type_name
from nbgraph.graph.documents.yaml import read_yaml
from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.mlrun.arguments import OPTIONS, Arguments, options_among
from nbgraph.graph.mlrun.classes import counterpart_of, home_of, is_mlrun_class, refuse_mlrun_base, translation_of
from nbgraph.graph.mlrun.report import Report, Translated
from nbgraph.graph.safety.admission import Admission
from nbgraph.graph.scope import Scope
from nbgraph.graph.step import Handled, Step, step
from nbgraph.types import EdgeKind

# What only MLRun's platform needs.
IGNORED = frozenset([
    "kind", "name", "comment", "shape", "model_endpoint_creation_strategy", "endpoint_type", "skip_context",
    "model_endpoints_routes_names", "track_models", "engine", "allow_cyclic", "final_step", "base_step", "resource",
])  # fmt: skip  # a set that reads better in rows
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
METHODS = (None, "do", "do_event")  # what nbgraph calls without being told
QUEUE_NOTE = "where its stream lies is said when the graph is deployed: deploy(streams=...)"


def from_mlrun(spec: Mapping[str, Any] | str, scope: Scope, tables: Mapping[str, Any]) -> tuple[Graph | None, Report]:
    """The graph of an MLRun spec, a dict or YAML, and a report; no graph if a step has no counterpart.

    >>> text = "steps: {a: {kind: task, handler: a}, b: {kind: task, handler: b, after: [a], responder: true}}"
    >>> graph, report = from_mlrun(text, Scope(), {})
    >>> graph.edges[0].target, graph.responder
    ('b', 'b')
    """
    document = read_yaml(spec) if isinstance(spec, str) else spec
    reader = _SpecReader(Admission(scope), tables)
    name, fields = _graph_of(_mapping(document, "The spec"), reader)
    documents: Mapping[str, Any]
    if is_router := "routes" in fields or fields.get("kind") == "router":
        documents = {fields.get("name") or "router": {**fields, "kind": "router", "responder": True}}
        fields = {}
    else:
        reader.known(fields, GRAPH, "")
        documents = _mapping(fields.get("steps") or {}, "steps")
    read = (reader.step(key, item, "" if is_router else f"steps.{key}") for key, item in documents.items())
    steps = [step for step in read if step is not None]
    edges = list(_edges(documents, fields.get("on_error"), reader.faults))
    responders = _responders(documents, reader.faults)
    report = Report(tuple(reader.translated), tuple(reader.faults))
    if reader.faults:
        return None, report
    limit = fields.get("max_iterations") or 100
    return Graph.assemble(name, steps, edges, scope=scope, responders=responders, max_iterations=limit), report


def _graph_of(document: Mapping[str, Any], reader: _SpecReader) -> tuple[str, Mapping[str, Any]]:
    """(name, graph) of a graph's spec, of a function's spec, or of a deployed function's environment."""
    name = document.get("function_name") or _mapping(document.get("metadata") or {}, "metadata").get("name")
    function = _mapping(document.get("spec") or document, "spec")
    inner = function.get("graph")
    if stream := function.get("error_stream") or document.get("error_stream"):
        reader.faults.append(
            f"error_stream: found {stream!r}, a stream of that platform; leave it out and set "
            'graph.error_stream = Queue("errors") instead.'
        )
    if inner is not None and (parameters := function.get("parameters")):
        reader.faults.append(
            f"parameters: found {parameters!r}, which context.get_param gives there; leave them out, and give "
            "them to the steps that read them, as arguments."
        )
    return str(name or "graph"), _mapping(inner, "graph") if inner is not None else document


class _SpecReader:
    """Reads the steps of one spec; collects what it can't read, and goes on."""

    def __init__(self, admission: Admission, tables: Mapping[str, Any]) -> None:
        self._admission = admission
        self._arguments = Arguments(admission, tables)
        self.faults: list[str] = []
        self.translated: list[Translated] = []

    def step(self, name: str, fields: Any, where: str) -> Step | None:
        found = len(self.faults)
        try:
            step = self._step(name, _mapping(fields, where), where)
        except GraphError as error:
            self.faults.append(str(error).removeprefix("."))
            return None
        return step if len(self.faults) == found else None

    def known(self, fields: Mapping[str, Any], known: Collection[str], where: str) -> None:
        for name in fields:
            if name not in known and name not in IGNORED:
                path = f"{where}.{name}".lstrip(".")
                self.faults.append(f"{path}: unknown field; known fields: {', '.join(sorted(known))}.")

    def _step(self, name: str, fields: Mapping[str, Any], where: str) -> Step:
        kind = fields.get("kind") or "task"
        if kind not in KINDS:
            instead = ". Several models in one step are a ModelRunner(routes={...})" if kind == "model_runner" else ""
            raise GraphError(
                f'{where}.kind: "{kind}" has no counterpart in nbgraph; expected one of {", ".join(KINDS)}{instead}.'
            )
        self.known(fields, KINDS[kind] | WIRES, where)
        if kind == "queue":
            self._note(where, "queue", "Queue", QUEUE_NOTE if fields.get("path") else "")
            return self._queue(name, fields, where)
        handler, arguments, options = self._handler(fields, kind, where)
        if kind == "router":
            arguments["routes"] = self._routes(fields.get("routes") or {}, f"{where}.routes".lstrip("."))
        return _step(name, handler, arguments, {**options, **fields}, where)

    def _handler(
        self, fields: Mapping[str, Any], kind: str, where: str
    ) -> tuple[Handled, dict[str, Any], dict[str, Any]]:
        """(handler, arguments, step options found among them)."""
        class_name, handler = fields.get("class_name"), fields.get("handler")
        given = dict(_mapping(fields.get("class_args") or {}, f"{where}.class_args"))
        for field, value in (("class_name", class_name), ("handler", handler)):
            if value is not None and not isinstance(value, str) and not callable(value):
                raise GraphError(f"{where}.{field}: found {type_name(value)}; expected a name, a class or a function.")
        if not class_name and kind == "router":
            class_name = "*"
        if not class_name:
            if not handler:
                raise GraphError(f"{where}: has neither a class_name nor a handler.")
            return self._function(handler, given, where), {}, {}
        if handler not in METHODS:
            raise GraphError(
                f'{where}.handler: the method "{handler}" of "{class_name}" is called; nbgraph calls do(body), '
                "do_event(event) or the object itself. Give the class one of these."
            )
        return self._class(class_name, given, fields, where)

    def _function(self, handler: Any, given: Mapping[str, Any], where: str) -> Handled:
        """In MLRun a function gets no arguments, whatever the spec says."""
        differs = "its class_args are left out, as a function gets none of them there" if given else ""
        name = handler if isinstance(handler, str) else home_of(handler).removeprefix("__main__.")
        self._note(where, name, name, differs)
        bound: Handled = self._admission.handler(handler, f"{where}.handler") if isinstance(handler, str) else handler
        return bound

    def _class(
        self, class_name: Any, given: dict[str, Any], fields: Mapping[str, Any], where: str
    ) -> tuple[Handled, dict[str, Any], dict[str, Any]]:
        theirs = self._mlrun_class(class_name)
        if theirs is None:
            return self._own(class_name, given, where)
        last = theirs.removeprefix("*").rpartition(".")[2]
        if last == "Complete":
            self._note(where, theirs, "respond", "")
            return "(event)", {}, {}
        kind = counterpart_of(theirs)
        if not isinstance(kind, type):
            own = "write the step as a class of the notebook with do(body), and name that"
            instead = f"write {kind} instead" if kind else own
            raise GraphError(f'{where}.class_name: "{theirs}" has no counterpart in nbgraph; {instead}.')
        options = dict(options_among(given))
        rest = {name: value for name, value in given.items() if name not in OPTIONS}
        if kind.__name__ == "Merge":
            options.pop("full_event", None)  # in MLRun it only decides where the key is read
            if len(_list(fields.get("after"))) < 2 and not given.get("expected_num_events"):
                self._note(where, theirs, "(event)", "with one arrow there is nothing to wait for")
                return "(event)", {}, options
        if kind.__name__ == "Batch" and fields.get("full_event") is None:
            options.setdefault("full_event", True)
        self._admission.inside(kind, theirs, f"{where}.class_name")
        path = f"{where}.class_args".lstrip(".")
        arguments = self._arguments.of(kind, rest, path)
        self._arguments.check(kind, arguments, path)
        self._admission.arguments(kind, arguments, path)
        self._note(where, theirs, kind.__name__, translation_of(kind).note)
        return kind, arguments, options

    def _own(
        self, class_name: Any, given: dict[str, Any], where: str
    ) -> tuple[Handled, dict[str, Any], dict[str, Any]]:
        """The handler of a user's class."""
        path = f"{where}.class_args".lstrip(".")
        arguments = self._arguments.own(given, path)
        name = class_name.removeprefix("*") if isinstance(class_name, str) else class_name.__name__
        self._note(where, name, name, "")
        if not isinstance(class_name, str):
            refuse_mlrun_base(class_name, f"{where}.class_name".lstrip("."))
            self._arguments.check(class_name, arguments, path)
            return class_name, arguments, {}
        self._admission.arguments(name, arguments, path)
        bound = self._admission.handler(name, f"{where}.class_name".lstrip("."))
        found = self._admission.scope.known(name.rpartition(".")[2])
        if isinstance(found, type):
            refuse_mlrun_base(found, f"{where}.class_name".lstrip("."))
            self._arguments.check(found, arguments, path)
        return bound, arguments, {}

    def _mlrun_class(self, class_name: Any) -> str | None:
        """The name of a class of MLRun or Storey; None for one of the user's."""
        if not isinstance(class_name, str):
            return home if is_mlrun_class(home := home_of(class_name)) else None
        if is_mlrun_class(class_name) or class_name.startswith("hub://"):
            return class_name
        bare = class_name.removeprefix("*")
        if self._admission.scope.gives(bare):
            return home if is_mlrun_class(home := home_of(self._admission.scope.namespace[bare])) else None
        return bare if counterpart_of(bare) is not None else None

    def _note(self, where: str, theirs: str, ours: str, differs: str) -> None:
        self.translated.append(Translated(where or "router", theirs, ours, differs))

    def _routes(self, routes: Any, where: str) -> dict[str, Step]:
        items = _mapping(routes, where).items()
        return {key: step for key, item in items if (step := self.step(key, item, f"{where}.{key}"))}

    def _queue(self, name: str, fields: Mapping[str, Any], where: str) -> Step:
        """A queue without the path of its stream, which the deployment decides; shards need a key."""
        options = {**_mapping(fields.get("options") or {}, f"{where}.options"), **fields}
        arguments: dict[str, Any] = {}
        if isinstance(options.get("sharding_func"), str):  # MLRun spreads events without a key, nbgraph orders by key
            arguments["key"] = options["sharding_func"]
            if (shards := options.get("shards") or 1) != 1:
                arguments["shards"] = shards
        return _step(name, "Queue", arguments, {}, where)


def _step(name: str, handler: Handled, arguments: dict[str, Any], fields: Mapping[str, Any], where: str) -> Step:
    function = fields.get("function")
    options = {
        key: fields[key] for key in ("full_event", "input_path", "result_path", "max_iterations") if fields.get(key)
    }
    try:
        checked = step("x", "x", **options).options
    except GraphError as error:
        raise GraphError(f"{where}: {str(error).partition(' has ')[2]}") from None
    return Step(name, handler, MappingProxyType(arguments), None if function in ("*", "") else function, checked)


def _edges(steps: Mapping[str, Any], on_error: Any, faults: list[str]) -> Iterator[Edge]:
    """MLRun names edges at their target; `before` of an error handler is its next step."""
    for name, fields in steps.items():
        if not isinstance(fields, Mapping):
            continue

        def named(field: str, fields: Mapping[str, Any] = fields, name: str = name) -> list[str]:
            return _names(fields.get(field), steps, f"steps.{name}.{field}", faults)

        back = named("cycle_from")
        for source in named("after"):
            yield Edge(source, name, kind=EdgeKind.CYCLE if source in back else EdgeKind.FLOW)
        for handler in named("on_error"):
            yield Edge(name, handler, kind=EdgeKind.ERROR)
        for target in named("before"):
            if name not in _list(steps[target].get("after")):
                yield Edge(name, target)
    for handler in _names(on_error, steps, "on_error", faults):
        yield Edge(WHOLE_GRAPH, handler, kind=EdgeKind.ERROR)


def _names(given: Any, steps: Collection[str], where: str, faults: list[str]) -> list[str]:
    """The names that are steps; the others are reported as faults."""
    names = _list(given)
    faults += [f"{where}: {unknown_step(str(n), steps, f'found {n!r}')}" for n in names if n not in steps]
    return [name for name in names if name in steps]


def _list(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())


def _responders(steps: Mapping[str, Any], faults: list[str]) -> list[str]:
    found = [name for name, fields in steps.items() if isinstance(fields, Mapping) and _responds(fields)]
    if len(found) > 1:
        faults.append(
            f"steps: {' and '.join(found)} both respond; a graph has one responder. Let the others lead to one step "
            "that does, or leave the answer to graph.stream(...), which gives what all ends give."
        )
    return found


def _responds(fields: Mapping[str, Any]) -> bool:
    return bool(fields.get("responder")) or fields.get("class_name") == "storey.Complete"


def _mapping(document: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise GraphError(f"{where}: found {type_name(document)}; expected a mapping.")
    return document
