"""Plain data becomes a graph; every fault is named by its path in the document."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.builder import OPENAI
from nbgraph.graph.check import unknown_step
from nbgraph.graph.documents import literal
from nbgraph.graph.documents.argument import CODE, POSITIONAL
from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.facade import monitor_of
from nbgraph.graph.graph import Graph
from nbgraph.graph.routes.routing import routes_of
from nbgraph.graph.safety.admission import Admission
from nbgraph.graph.scope import Scope
from nbgraph.graph.step import OPTIONS, Step, StepOptions, step
from nbgraph.types import EdgeKind

VERSION = 1
_GRAPH_FIELDS = (
    "version",
    "name",
    "max_iterations",
    "error_stream",
    "copy",
    "protocol",
    "steps",
    "edges",
    "responder",
    "monitor",
)
_STEP_FIELDS = ("name", "handler", "graph", "arguments", "function", *OPTIONS)
_EDGE_FIELDS = ("source", "target", "when", "otherwise", "kind")
_TYPES = {
    "name": str,
    "handler": str,
    "function": str,
    "full_event": bool,
    "ordered": bool,
    "input_path": str,
    "result_path": str,
    "source": str,
    "target": str,
    "otherwise": bool,
    "kind": str,
}


def read_graph(document: Any, scope: Scope, where: str = "", *, admit: type[Admission] = Admission) -> Graph:
    """The graph of a document.

    >>> read_graph({"version": 1, "name": "g", "steps": ["a"]}, Scope(is_document=True))
    <Graph 'g': 1 steps, 0 edges>
    """
    fields = _fields(document, _GRAPH_FIELDS, where or "The document")
    prefix = f"{where}." if where else ""
    if fields.get("version") != VERSION:
        found = repr(fields["version"]) if "version" in fields else "no version"
        raise GraphError(f"{prefix}version: found {found}; this nbgraph reads version {VERSION}.")
    admission = admit(scope)
    steps = dict(_steps(fields.get("steps", {}), admission, f"{prefix}steps"))
    return Graph.assemble(
        _name(fields, prefix),
        steps.values(),
        list(_edges(fields.get("edges", []), steps, admission, f"{prefix}edges")),
        scope=scope,
        responders=_responders(fields, steps, prefix),
        max_iterations=_max_iterations(fields, prefix),
        error_stream=_stream(fields.get("error_stream"), admission, f"{prefix}error_stream"),
        copy=_copy(fields, prefix),
        protocol=_protocol(fields, prefix),
        watched=_watched(fields, admission, prefix),
    )


def _name(fields: Mapping[str, Any], prefix: str) -> str:
    name = fields.get("name", "graph")
    if not isinstance(name, str) or not name:
        raise GraphError(f"{prefix}name: found {name!r}; expected a text that is not empty.")
    return name


def _max_iterations(fields: Mapping[str, Any], prefix: str) -> int:
    limit = fields.get("max_iterations", 100)
    if type(limit) is not int or limit < 1:
        raise GraphError(f"{prefix}max_iterations: found {limit!r}; expected a whole number of at least 1.")
    return limit


def _copy(fields: Mapping[str, Any], prefix: str) -> bool:
    copy = fields.get("copy", True)
    if type(copy) is not bool:
        raise GraphError(f"{prefix}copy: found {copy!r}; expected true or false.")
    return copy


def _protocol(fields: Mapping[str, Any], prefix: str) -> str | None:
    protocol = fields.get("protocol")
    if protocol not in (None, OPENAI):
        raise GraphError(f'{prefix}protocol: found {protocol!r}; expected "{OPENAI}".')
    return OPENAI if protocol else None


def _watched(fields: Mapping[str, Any], admission: Admission, prefix: str) -> Any:
    """What of the graph is watched; None where nothing is."""
    if fields.get("monitor") is None:
        return None
    document = _value(fields["monitor"], admission, f"{prefix}monitor")
    if not isinstance(document, dict):
        raise GraphError(f"{prefix}monitor: found {document!r}; expected a mapping.")
    return monitor_of(document)


def _responders(fields: Mapping[str, Any], steps: Mapping[str, Step], prefix: str) -> list[str]:
    """The step that answers, or a list of them: one for each route."""
    given = fields.get("responder")
    found = [] if given is None else given if isinstance(given, list) else [given]
    for name in found:
        if not isinstance(name, str):
            raise GraphError(f"{prefix}responder: found {name!r}; expected the name of a step.")
        if name not in steps:
            raise GraphError(f"{prefix}responder: {unknown_step(name, steps, f'found {name!r}')}")
    if len(found) > 1 and not routes_of(steps.values()):
        raise GraphError(f"{prefix}responder: found {found!r}; a graph without routes has one responder.")
    return found


def _stream(document: Any, admission: Admission, where: str) -> Any:
    if isinstance(document, str):
        return admission.handler(document, where)
    if document is not None and (not isinstance(document, dict) or CODE not in document):
        raise GraphError(f'{where}: found {document!r}; expected a name, or {{"{CODE}": \'Queue("errors")\'}}.')
    return _value(document, admission, where)


def _steps(document: Any, admission: Admission, where: str) -> Iterator[tuple[str, Step]]:
    seen: set[str] = set()
    for name, fields, path in _named_steps(document, where):
        if name in seen:
            raise GraphError(f'{path}: the name "{name}" stands twice; a step\'s name stands once.')
        if name == WHOLE_GRAPH or not name:
            raise GraphError(f'{path}: a step can\'t be called "{name}".')
        seen.add(name)
        yield name, _step(name, fields, admission, path)


def _named_steps(document: Any, where: str) -> Iterator[tuple[str, Any, str]]:
    """(name, fields, path) of each step, from a mapping by name or from a list."""
    if isinstance(document, Mapping):
        for name, fields in document.items():
            if not isinstance(name, str):
                raise GraphError(f"{where}.{name}: a step's name is a text; put {name!r} in quotes.")
            yield name, {} if fields is None else fields, f"{where}.{name}"
    elif isinstance(document, list):
        for number, item in enumerate(document):
            fields = {"name": item} if isinstance(item, str) else _mapping(item, f"{where}[{number}]")
            name = fields.get("name", str(fields.get("handler", "")).rpartition(".")[2])
            if not isinstance(name, str):
                raise GraphError(f"{where}[{number}].name: found {name!r}; expected a text.")
            yield name, fields, f"{where}.{name or f'[{number}]'}"
    else:
        raise GraphError(
            f"{where}: found {literal.type_name(document)}; expected a mapping of steps by name, or a list."
        )


def _step(name: str, document: Any, admission: Admission, where: str) -> Step:
    fields = _fields(document, _STEP_FIELDS, where)
    if fields.get("name", name) != name:
        raise GraphError(f'{where}.name: found "{fields["name"]}" for the step "{name}".')
    if "graph" in fields and "handler" in fields:
        raise GraphError(f'{where}: has both a "handler" and a "graph"; expected one of them.')
    if "graph" in fields:
        handler: Any = read_graph(fields["graph"], admission.scope, f"{where}.graph", admit=type(admission))
    else:
        handler = admission.handler(fields.get("handler", name), f"{where}.handler")
    arguments = _arguments(fields.get("arguments", {}), admission, f"{where}.arguments")
    admission.arguments(handler, arguments, f"{where}.arguments")
    return Step(name, handler, MappingProxyType(arguments), fields.get("function"), _options(fields, admission, where))


def _options(fields: Mapping[str, Any], admission: Admission, where: str) -> StepOptions:
    given = {name: fields[name] for name in OPTIONS if name in fields}
    if "retry_on" in given:
        names = [given["retry_on"]] if isinstance(given["retry_on"], str) else given["retry_on"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise GraphError(f"{where}.retry_on: found {names!r}; expected the names of exceptions.")
        path = f"{where}.retry_on"
        given["retry_on"] = tuple(admission.exception(kind, f"{path}[{n}]") for n, kind in enumerate(names))
    try:
        return step("x", "x", **given).options
    except GraphError as error:
        raise GraphError(f"{where}: {str(error).partition(' has ')[2]}") from None


def _arguments(document: Any, admission: Admission, where: str) -> dict[str, Any]:
    return {name: _argument(name, value, admission, where) for name, value in _mapping(document, where).items()}


def _argument(name: Any, value: Any, admission: Admission, where: str) -> Any:
    path = f"{where}.{name}"
    if not isinstance(name, str):
        raise GraphError(f"{path}: an argument's name is a text; put {name!r} in quotes.")
    if name == "routes" and isinstance(value, dict) and not any(str(key).startswith("$") for key in value):
        return dict(_steps(value, admission, path))
    if name == POSITIONAL and isinstance(value, list):
        return [_value(item, admission, f"{path}[{number}]") for number, item in enumerate(value)]
    return _value(value, admission, path)


def _value(document: Any, admission: Admission, where: str) -> Any:
    def code(text: Any) -> Any:
        if not isinstance(text, str):
            raise GraphError(f'{where}: found {text!r}; expected {{"{CODE}": "an expression"}}.')
        return admission.code(text, where)

    try:
        return literal.value_of(document, {CODE[1:]: code})
    except literal.NotLiteralError as error:
        raise GraphError(f"{where}: {error}.") from None
    except RecursionError:
        raise GraphError(f"{where}: too many values inside each other.") from None


def _edges(document: Any, steps: Collection[str], admission: Admission, where: str) -> Iterator[Edge]:
    if not isinstance(document, list):
        raise GraphError(f"{where}: found {literal.type_name(document)}; expected a list.")
    for number, item in enumerate(document):
        path = f"{where}[{number}]"
        fields = _fields(item, _EDGE_FIELDS, path)
        for end in ("source", "target"):
            if end not in fields:
                raise GraphError(f'{path}: the field "{end}" is missing.')
        kind = _kind(fields, path)
        for end in ("source", "target"):
            is_graph = end == "source" and fields[end] == WHOLE_GRAPH and kind in (EdgeKind.ERROR, EdgeKind.ALERT)
            if fields[end] not in steps and not is_graph:
                raise GraphError(f"{path}.{end}: {unknown_step(fields[end], steps, f'found {fields[end]!r}')}")
        when = _condition(fields.get("when"), admission, f"{path}.when", kind)
        yield Edge(fields["source"], fields["target"], when, fields.get("otherwise", False), kind)


def _kind(fields: Mapping[str, Any], path: str) -> EdgeKind:
    try:
        return EdgeKind(fields.get("kind", "flow"))
    except ValueError:
        raise GraphError(f'{path}.kind: found "{fields["kind"]}"; expected flow, error, cycle or alert.') from None


def _condition(document: Any, admission: Admission, where: str, kind: EdgeKind) -> Any:
    if kind is EdgeKind.ERROR and isinstance(document, str):
        return admission.caught(document, where)
    if isinstance(document, dict) and isinstance(document.get(CODE), str):
        document = f"{document[CODE]}(event)"
    if document is None or isinstance(document, str):
        return document if document is None else admission.condition(document, where)
    raise GraphError(f"{where}: found {document!r}; expected an expression over event, as a text.")


def _mapping(document: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise GraphError(f"{where}: found {literal.type_name(document)}; expected a mapping.")
    return document


def _fields(document: Any, known: Collection[str], where: str) -> Mapping[str, Any]:
    fields = _mapping(document, where)
    prefix = "" if where == "The document" else f"{where}."
    for name, value in fields.items():
        if name not in known:
            close = get_close_matches(str(name), known, n=1)
            hint = f'did you mean "{close[0]}"? ' if close else ""
            raise GraphError(f"{prefix}{name}: unknown field; {hint}Known fields: {', '.join(known)}.")
        expected = _TYPES.get(name)
        if expected and value is not None and not isinstance(value, expected):
            raise GraphError(f"{prefix}{name}: found {value!r}; expected {expected.__name__}.")
    return fields
