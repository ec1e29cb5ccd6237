"""Parameters of a request's path and query, which handlers get by the names of their arguments."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from nbgraph.engine.paths import Path, part, put
from nbgraph.errors import RouteError
from nbgraph.event import Event
from nbgraph.graph.routes.route import DEFAULT
from nbgraph.graph.signature import INJECTED, signature_of
from nbgraph.graph.step import Step
from nbgraph.handler import Handler
from nbgraph.types import Shape

Function = Callable[..., Any]
KINDS = {"int": int, "float": float, "bool": bool, "str": str}
METHODS = ("do_event", "do", "__call__")
_WORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class Param:
    """An argument that a handler names; `kind` is its annotated type, where text can become a value of it.

    >>> Param("limit", int).value("10"), Param("tag", list[str], is_list=True).value("a"), Param("q").value("10")
    (10, ['a'], '10')
    """

    name: str
    kind: Any = None
    is_required: bool = True
    is_list: bool = False

    def value(self, given: Any) -> Any:
        """The value of the parameter; ValueError if the text is not of its type."""
        if self.kind is None:
            return given
        if self.is_list and not isinstance(given, list):
            given = [given]
        if not self.is_list and isinstance(given, list):
            raise ValueError("it is given several times")
        return msgspec.convert(given, self.kind, strict=False)


def params_of(function: Function, taken: Collection[str]) -> tuple[Param, ...]:
    """The arguments behind the body, except those in `taken`, which the graph itself gives.

    >>> def load(body, id, limit: int = 10, *, context): ...
    >>> [(param.name, param.is_required) for param in params_of(load, ["context"])]
    [('id', True), ('limit', False)]
    """
    signature = _annotated(function)
    if signature is None:
        return ()
    return tuple(
        _param(one) for one in [*signature.parameters.values()][1:] if one.kind in _WORDS and one.name not in taken
    )


def params_of_handler(resolved: Any, named: Collection[str]) -> tuple[Param, ...]:
    """As `params_of`, for any handler of a step, without building it."""
    if isinstance(resolved, Step):
        return params_of_handler(resolved.handler, [*named, *resolved.arguments])
    kind = resolved if isinstance(resolved, type) else type(resolved)
    if issubclass(kind, Handler) or isinstance(resolved, str):
        return ()
    if isinstance(resolved, type) or not inspect.isroutine(resolved):
        method = next((one for name in METHODS if (one := inspect.getattr_static(kind, name, None)) is not None), None)
        return params_of(method, [*INJECTED])[1:] if inspect.isfunction(method) else ()
    return params_of(resolved, [*named, *INJECTED])


def names_of(function: Function, taken: Collection[str]) -> list[str]:
    """The names of the required ones."""
    return [param.name for param in params_of(function, [*taken, *INJECTED]) if param.is_required]


def plain_params(params: Iterable[Param]) -> dict[str, str]:
    """Parameters as plain data; a kind without a plain name is checked where it is used.

    >>> plain_params([Param("limit", int, is_required=False), Param("q")])
    {'limit': 'int?', 'q': 'str'}
    """
    kinds = {kind: name for name, kind in KINDS.items()}
    named = {one.name: kinds.get(one.kind, "") if one.kind is not None else "str" for one in params}
    return {one.name: named[one.name] + ("" if one.is_required else "?") for one in params}


def params_from_plain(params: Mapping[str, str]) -> Iterator[Param]:
    """The parameters of plain data that `plain_params` made."""
    for name, text in params.items():
        kind = KINDS.get(text.removesuffix("?"))
        yield Param(name, None if kind is str else kind, not text.endswith("?"))


def refusal(method: str | None, path: str, lacking: Sequence[str], invalid: Mapping[str, str]) -> RouteError:
    """The error for a request with missing or invalid parameters, with all of them."""
    said = [f"it lacks {', '.join(lacking)}"] if lacking else []
    said += [f"{name} can't be taken: {why}" for name, why in invalid.items()]
    message = f"{method or DEFAULT} {path}: {'; '.join(said)}."
    return RouteError(message, 422, missing=lacking, invalid=invalid)


def faults_of(params: Collection[Param], given: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """The names of missing parameters, and why others are invalid."""
    missing = [param.name for param in params if param.is_required and param.name not in given]
    invalid: dict[str, str] = {}
    for param in params:
        if param.name in given:
            try:
                param.value(given[param.name])
            except (ValueError, msgspec.ValidationError) as error:
                invalid[param.name] = str(error)
    return missing, invalid


@dataclass(frozen=True, slots=True)
class Taking:
    """Wraps a function of the body or the Event into one of the Event that passes the parameters by name."""

    function: Function
    params: tuple[Param, ...]
    shape: Shape
    input_path: Path | None
    result_path: Path | None

    def made(self, *, is_async: bool, draws_async: bool) -> Function:
        """The function that the step calls, as its shape says."""
        if draws_async:
            return self._drawn_async
        if self.shape is Shape.FLAT or self.shape is Shape.EVENTS:
            return self._drawn
        return self._awaited if is_async else self._called

    def _called(self, event: Event) -> Event | None:
        return self._taken(event, self.function(self._given(event), **self._named(event)))

    async def _awaited(self, event: Event) -> Event | None:
        return self._taken(event, await self.function(self._given(event), **self._named(event)))

    def _drawn(self, event: Event) -> Iterator[Event]:
        for chunk in self.function(self._given(event), **self._named(event)):
            yield self._chunk(event, chunk)

    async def _drawn_async(self, event: Event) -> AsyncIterator[Event]:
        async for chunk in self.function(self._given(event), **self._named(event)):
            yield self._chunk(event, chunk)

    def _given(self, event: Event) -> Any:
        if self.shape in (Shape.EVENT, Shape.EVENTS):
            return event
        return part(event.body, self.input_path) if self.input_path else event.body

    def _named(self, event: Event) -> dict[str, Any]:
        found = event.params
        try:
            return {one.name: one.value(found[one.name]) for one in self.params if one.is_required or one.name in found}
        except (KeyError, ValueError):  # not checked at the gateway, where the handler's types are unknown
            raise refusal(event.method, event.path, *faults_of(self.params, found)) from None

    def _taken(self, event: Event, result: Any) -> Event | None:
        if self.shape is Shape.EVENT:
            return result  # type: ignore[no-any-return]  # of the user's: what is no Event is refused as everywhere
        event.body = put(event.body, self.result_path, result) if self.result_path else result
        return None

    def _chunk(self, event: Event, chunk: Any) -> Event:
        if self.shape is Shape.EVENTS:
            return chunk  # type: ignore[no-any-return]  # as above
        return event.with_body(put(event.body, self.result_path, chunk) if self.result_path else chunk)


def _annotated(function: Function) -> inspect.Signature | None:
    try:
        return inspect.signature(function, eval_str=True)
    except Exception:  # an annotation that can't be resolved: no type
        return signature_of(function)


def _param(one: inspect.Parameter) -> Param:
    kind = None if one.annotation is one.empty or isinstance(one.annotation, str) else one.annotation
    is_required = one.default is one.empty
    try:
        info = msgspec.inspect.type_info(kind) if kind is not None else None
    except Exception:  # an annotation that is not a type
        info = None
    if info is None or isinstance(info, msgspec.inspect.CustomType | msgspec.inspect.AnyType):
        return Param(one.name, None, is_required)
    return Param(one.name, kind, is_required, isinstance(info, msgspec.inspect.ListType | msgspec.inspect.SetType))
