"""Metadata: answers about models: their names, inputs, outputs and readiness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from nbgraph import __version__
from nbgraph.errors import GraphError, RequestError
from nbgraph.steps.models.request import ModelRequest

EXTENSIONS = ["binary_tensor_data", "model_repository"]


@runtime_checkable
class Described(Protocol):
    """A model that describes itself; any other handler may be among models too, and is always ready."""

    version: str | None

    @property
    def ready(self) -> bool: ...
    def metadata(self) -> dict[str, Any]: ...
    def answers_to(self, name: str) -> None: ...


def about(wanted: ModelRequest, models: Mapping[str, Any], server: str) -> Any:
    """The answer to a question about models; a `RequestError` where it is no.

    >>> about(ModelRequest("list"), {"m1": len, "m2:v1": len}, "models")
    {'models': ['m1', 'm2:v1']}
    >>> about(ModelRequest("ready", "m3"), {"m1": len, "m2:v1": len}, "models")
    Traceback (most recent call last):
    nbgraph.errors.RequestError: There is no model "m3"; known models: m1, m2:v1.
    """
    match wanted.operation:
        case "server":
            return {"name": server, "version": __version__, "extensions": EXTENSIONS}
        case "live":
            return {"live": True}
        case "server ready":
            return _all_ready(models)
        case "list":
            return {"models": list(models)}
        case "index":
            return [_index_row(name, model) for name, model in models.items()]
    name = found(wanted, models)
    return _model_ready(name, models[name]) if wanted.operation == "ready" else _metadata(name, models)


def found(wanted: ModelRequest, models: Mapping[str, Any]) -> str:
    """The key of the model that is wanted, among keys such as "m1" and "m2:v1"."""
    name, version = wanted.model or "", wanted.version
    if version is None and name in models:
        return name
    versions = {_version(key, models[key]): key for key in models if key.partition(":")[0] == name}
    if not versions:
        raise RequestError(f'There is no model "{name}"; known models: {", ".join(models) or "none"}.', 404)
    if version is None and len(versions) == 1:
        return next(iter(versions.values()))
    if version not in versions:
        known = ", ".join(map(str, filter(None, versions))) or "none"
        said = f'has no version "{version}"' if version else "has several versions"
        raise RequestError(f'Model "{name}" {said}; its versions: {known}.', 404)
    return versions[version]


def is_ready(model: Any) -> bool:
    return model.ready if isinstance(model, Described) else True


def schema_of(fields: Sequence[Any] | None) -> list[dict[str, Any]]:
    """A schema of inputs or outputs: names, or dicts of name, datatype and shape.

    >>> schema_of(["a", {"name": "b", "datatype": "FP32", "shape": [-1, 4]}])[0]
    {'name': 'a', 'datatype': 'FP64', 'shape': [-1]}
    """
    schema = []
    for field in fields or ():
        given = {"name": field} if isinstance(field, str) else field
        if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
            raise GraphError(f'A model\'s schema has {field!r}; expected a name, or {{"name": ..., "datatype": ...}}.')
        schema.append({"name": given["name"], "datatype": "FP64", "shape": [-1], **given})
    return schema


def _all_ready(models: Mapping[str, Any]) -> dict[str, bool]:
    waiting = [name for name, model in models.items() if not is_ready(model)]
    if waiting:
        raise RequestError(f"Not ready: {', '.join(waiting)}.", 408)
    return {"ready": True}


def _model_ready(name: str, model: Any) -> dict[str, Any]:
    if not is_ready(model):
        raise RequestError(f'Model "{name}" is not ready.', 408)
    return {"name": name, "ready": True}


def _metadata(name: str, models: Mapping[str, Any]) -> dict[str, Any]:
    model = models[name]
    bare, _, _ = name.partition(":")
    known = model.metadata() if isinstance(model, Described) else {"platform": "python", "inputs": [], "outputs": []}
    return {**known, "name": name, "versions": _versions(bare, models)}


def _versions(name: str, models: Mapping[str, Any]) -> list[str]:
    found: Iterable[str | None] = (_version(key, models[key]) for key in models if key.partition(":")[0] == name)
    return [version for version in found if version]


def _version(key: str, model: Any) -> str | None:
    own = model.version if isinstance(model, Described) else None
    return key.partition(":")[2] or own or None


def _index_row(name: str, model: Any) -> dict[str, str]:
    bare = name.partition(":")[0]
    state = "READY" if is_ready(model) else "UNAVAILABLE"
    return {"name": bare, "version": _version(name, model) or "", "state": state, "reason": ""}
