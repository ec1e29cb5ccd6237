"""The Open Inference Protocol over HTTP: metadata and readiness of models, and raw tensors in bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbgraph.engine.plan import Plan
from nbgraph.errors import BodyError, RequestError, RouteError
from nbgraph.event import Event
from nbgraph.serve.reply import BYTES, Reply, error_of, reply_of
from nbgraph.steps.models.metadata import about, found
from nbgraph.steps.models.request import asked
from nbgraph.steps.models.server import ModelServer
from nbgraph.steps.models.tensor import HEADER_LENGTH, joined, parted, written
from nbgraph.steps.routers.router import Router
from nbgraph.streams.codec.wire import VALUES, pack_answer, unpack


def _path(method: str, summary: str, *, is_of_model: bool = True) -> dict[str, Any]:
    model = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
    any_json: dict[str, Any] = {"content": {"application/json": {"schema": {}}}}
    told = {"200": {"description": "the answer", **any_json}, "404": {"description": "no such model"}}
    operation: dict[str, Any] = {"summary": summary, "responses": told}
    if method == "post":
        operation = {**operation, "requestBody": any_json}
    return {"parameters": [model], method: operation} if is_of_model else {method: operation}


PATHS = {
    "/v2": _path("get", "About the server", is_of_model=False),
    "/v2/models": _path("get", "The models", is_of_model=False),
    "/v2/models/{model}": _path("get", "About a model"),
    "/v2/models/{model}/ready": _path("get", "Whether a model is loaded"),
    "/v2/models/{model}/infer": _path("post", "Predict"),
    "/v2/models/{model}/explain": _path("post", "Explain"),
}


HEALTH = {"live": {"live": True}, "server ready": {"ready": True}}  # of the server, wherever its models are


class Protocol:
    """What the gateway needs to know of the models in a plan; a graph without models has no such paths."""

    def __init__(self, plan: Plan) -> None:
        targets = {name: step.call.target for name, step in plan.steps.items()}
        self._routers = {name: target for name, target in targets.items() if isinstance(target, Router)}
        self._models: dict[str, Any] = {
            name: model for name, model in targets.items() if isinstance(model, ModelServer)
        }
        for router in self._routers.values():
            self._models |= router.models
        self._only = next(iter(self._routers.values())) if len(self._routers) == 1 == len(self._own(targets)) else None
        self._name = plan.name
        self.is_elsewhere = False  # the models are in another function, to which questions go as events do

    def is_for(self, path: str) -> bool:
        return (self.is_elsewhere or bool(self._models)) and (path == "/v2" or path.startswith("/v2/"))

    def loading(self) -> list[str]:
        """Models that load in the background; requests had better wait for them."""
        return [name for name, model in self._models.items() if isinstance(model, ModelServer) and model.is_loading]

    def paths(self) -> dict[str, Any]:
        """The paths for models, in OpenAPI's terms."""
        return PATHS if self._models or self.is_elsewhere else {}

    def answer(self, event: Event) -> Reply | None:
        """The reply to a question about models; None for what the graph is to answer."""
        try:
            wanted = asked(event)
            if not self._models:
                return reply_of(HEALTH[wanted.operation]) if wanted.operation in HEALTH else None
            if wanted.is_about:
                ask = self._only.about(wanted) if self._only else about(wanted, self._models, self._name)
                return reply_of(ask)
            if wanted.model is not None and wanted.model not in self._routers:
                found(wanted, self._models)
        except RequestError as error:
            return refusal(error)
        return None

    def _own(self, targets: Mapping[str, Any]) -> list[str]:
        return [name for name, target in targets.items() if isinstance(target, Router | ModelServer)]


def request_of(body: bytes, headers: Mapping[str, str]) -> Any:
    """The body, or the request in it where it is JSON with raw tensors behind, or the very values of a notebook."""
    length = headers.get(HEADER_LENGTH.lower())
    if length is not None:
        return joined(body, length)
    return values_of(body) if headers.get("content-type") == VALUES else body


def values_of(body: bytes) -> Any:
    """What a notebook sent that JSON has no words for.

    >>> values_of(pack_answer((1, 2)))
    (1, 2)
    """
    try:
        return unpack(body)
    except Exception as error:  # whatever a library makes of bytes that are no table
        raise BodyError(f"The body is declared as {VALUES} but is not: {error}") from error


def reply_to(answer: Any, *, exactly: bool = False) -> Reply:
    """The reply to an answer; tensors that are to be raw stand behind the JSON.

    `exactly`: as values that JSON has no words for, NaN and tuples, to a caller that reads them.
    """
    raw = parted(answer)
    if raw is None:
        return (
            Reply(200, VALUES, pack_answer(answer))
            if exactly and not isinstance(answer, str | bytes | None)
            else reply_of(written(answer))
        )
    body, length = raw
    return Reply(200, BYTES, body, ((HEADER_LENGTH.lower().encode(), b"%d" % length),))


def refusal(error: RequestError) -> Reply:
    """The reply to a request that is wrong: what it lacks, and of a path what it takes."""
    if not isinstance(error, RouteError):
        return error_of(error.status, str(error))
    told: dict[str, Any] = {"missing": list(error.missing)} if error.missing else {}
    told |= {"invalid": error.invalid} if error.invalid else {}
    reply = error_of(error.status, str(error), **told)
    return reply._replace(headers=((b"allow", ", ".join(error.allow).encode()),)) if error.allow else reply
