"""Request: the operation on models that an event asks for, by its path, method and body.

The words are those of the Open Inference Protocol v2 and of MLRun's model router: `/v2/models/m1/infer` in the path,
or, for events of a stream, which have no path, `{"model": "m1", "operation": "infer", "inputs": [...]}` in the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbgraph.errors import RequestError
from nbgraph.event import Event

INFER = frozenset({"infer", "predict", "infer_dict"})
OPERATIONS = INFER | {"explain"}
ABOUT = frozenset({"server", "live", "server ready", "list", "index", "metadata", "ready"})  # answered without a model
PATHS = "/v2, /v2/health/live, /v2/health/ready, /v2/models, /v2/models/NAME[/versions/VERSION][/ready|infer|explain]"


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """An operation, with the model and version where the event names them.

    `by_path` is True if the path names it, which makes it a request of the protocol.
    """

    operation: str
    model: str | None = None
    version: str | None = None
    by_path: bool = False

    @property
    def is_about(self) -> bool:
        """Whether it asks about models, not for predictions."""
        return self.operation in ABOUT

    @property
    def is_inference(self) -> bool:
        return self.operation in INFER


PLAIN = ModelRequest("infer")


def asked(event: Event) -> ModelRequest:
    """The request of an event.

    >>> asked(Event(None, path="/v2/models/m1/versions/2", method="GET"))
    ModelRequest(operation='metadata', model='m1', version='2', by_path=True)
    >>> asked(Event({"model": "m1", "operation": "explain", "inputs": [[5]]}))
    ModelRequest(operation='explain', model='m1', version=None, by_path=False)
    >>> asked(Event({"amount": 120}))
    ModelRequest(operation='infer', model=None, version=None, by_path=False)
    """
    if event.path != "/":
        parts = event.path.strip("/").split("/")
        if parts[0] == "v2":
            return _by_path(parts[1:], event)
    if event.method == "GET" and _is_empty(event.body):
        return ModelRequest("server", by_path=True)
    return _by_body(event.body)


def _is_empty(body: Any) -> bool:
    return body is None or (isinstance(body, str | bytes) and not body)


def _by_body(body: Any) -> ModelRequest:
    """The request in a body; bodies that are not requests may have fields of these names."""
    if type(body) is not dict and not isinstance(body, Mapping):  # isinstance with an abstract class is slow
        return PLAIN
    if "inputs" not in body and "operation" not in body:
        return PLAIN
    model, operation = body.get("model"), body.get("operation", "infer")
    if model is None and operation == "infer":
        return PLAIN
    is_request = "inputs" in body or (isinstance(operation, str) and isinstance(model, str))
    if not is_request:
        return PLAIN
    if not isinstance(operation, str) or not isinstance(model, str | None):
        raise RequestError(f'The body has model={model!r}, operation={operation!r}; expected texts, such as "infer".')
    name, _, version = (model or "").partition(":")
    return ModelRequest(operation, name or None, version or None)


def _by_path(parts: list[str], event: Event) -> ModelRequest:
    is_question = (event.method or ("GET" if _is_empty(event.body) else "POST")) in ("GET", "HEAD")
    match parts:
        case [] | ["health"]:
            return ModelRequest("server", by_path=True)
        case ["health", "live"]:
            return ModelRequest("live", by_path=True)
        case ["health", "ready"]:
            return ModelRequest("server ready", by_path=True)
        case ["repository", "index"]:
            return ModelRequest("index", by_path=True)
        case ["models"] if is_question:
            return ModelRequest("list", by_path=True)
        case ["models"]:
            return _of_model([], event, is_question)
        case ["models", *rest]:
            return _of_model(rest, event, is_question)
    raise RequestError(f"There is no {event.path}; the paths for models are {PATHS}.", 404)


def _of_model(rest: list[str], event: Event, is_question: bool) -> ModelRequest:
    """`NAME[/versions/VERSION][/OPERATION]`; an operation alone leaves the model to the body, or to the router."""
    if not rest or (len(rest) == 1 and rest[0] in OPERATIONS):
        inner = _by_body(event.body)
        name, version, rest = inner.model, inner.version, rest or [inner.operation]
    else:
        (name, _, version), rest = rest[0].partition(":"), rest[1:]
        if len(rest) > 1 and rest[0] == "versions":
            version, rest = rest[1], rest[2:]
    if len(rest) > 1:
        raise RequestError(f"There is no {event.path}; the paths for models are {PATHS}.", 404)
    operation = rest[0] if rest else "metadata" if is_question else "infer"
    if is_question and operation in OPERATIONS:
        raise RequestError(f"{event.path} is asked for with POST and a body, not with {event.method or 'GET'}.", 405)
    return ModelRequest(operation, name, version or None, by_path=True)
