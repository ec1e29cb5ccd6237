"""Parcels: what an error holds, on its way to another process: opened there, or told of where that can't be."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nbgraph.errors import NbgraphError, RecordedError, text_of
from nbgraph.event import Event
from nbgraph.introspection import preview, shown

CHAIN = 10  # causes of causes that go along


class Packed(Protocol):
    def opened(self) -> Any: ...


def packed(value: Any, depth: int = 0) -> Packed:
    """A value, so that it can be pickled and there is always something to open.

    >>> packed((1, [2])).opened(), packed(lambda: 1).opened().why
    ((1, [2]), "it can't leave its process (PicklingError)")
    >>> packed(OSError(2, "gone")).opened()
    FileNotFoundError(2, 'gone')
    """
    if type(value) is tuple:
        return Several(tuple([packed(item, depth) for item in value]))
    if isinstance(value, Event):
        return OfEvent({name: packed(getattr(value, name), depth) for name in Event.__slots__})
    if isinstance(value, BaseException):
        return OfError.of(value, depth)
    return ErrorParcel.of(value)


def rebuilt(kind: type[Any], args: tuple[Any, ...], fields: Mapping[str, Any], cause: Any) -> Any:
    """An exception without its constructor, which may want anything."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(fields)
    if cause is not None:
        error.__cause__ = cause
    return error


def reduced(error: BaseException) -> tuple[Any, ...]:
    """What `__reduce__` gives: how to build the error again, whatever it holds."""
    fields = {name: packed(value) for name, value in vars(error).items()}
    return _unpacked, (type(error), packed(error.args), fields, packed(error.__cause__))


def _unpacked(kind: type[Any], args: Packed, fields: Mapping[str, Packed], cause: Packed) -> Any:
    return rebuilt(kind, args.opened(), {name: one.opened() for name, one in fields.items()}, cause.opened())


@dataclass(frozen=True, slots=True)
class ErrorParcel:
    """The bytes of a value, none where it can't be pickled; `instead` stands for it where it can't be had."""

    data: bytes | None
    instead: Any

    @classmethod
    def of(cls, value: Any) -> ErrorParcel:
        try:
            data, why = pickle.dumps(value), "its class is not known here"
        except Exception as error:
            data, why = None, f"it can't leave its process ({type(error).__name__})"
        return cls(data, None if value is None else preview(value, why))

    def opened(self) -> Any:
        if self.data is None:
            return self.instead
        try:
            return pickle.loads(self.data)
        except Exception:  # a class of the other process's `__main__`, a constructor that wants more
            return self.instead


@dataclass(frozen=True, slots=True)
class Several:
    parts: tuple[Packed, ...]

    def opened(self) -> tuple[Any, ...]:
        return tuple([part.opened() for part in self.parts])


@dataclass(frozen=True, slots=True)
class OfEvent:
    """An Event part by part, so that a body that must stay behind leaves the rest."""

    parts: dict[str, Packed]

    def opened(self) -> Any:
        event = Event.__new__(Event)
        for name, part in self.parts.items():
            setattr(event, name, part.opened())
        return event


@dataclass(frozen=True, slots=True)
class OfError:
    """An exception by its pickle where that makes the same again, else by its parts; its cause beside it."""

    data: bytes | None
    told: tuple[str, str, str]  # the type, the message and why it is not here itself
    cause: Packed | None

    @classmethod
    def of(cls, error: BaseException, depth: int) -> OfError:
        data, why = _dumped(error)
        has_cause = error.__cause__ is not None and not isinstance(error, NbgraphError) and depth < CHAIN
        cause = packed(error.__cause__, depth + 1) if has_cause else None
        return cls(data, (type(error).__name__, text_of(error), why), cause)

    def opened(self) -> Any:
        try:
            error = pickle.loads(self.data) if self.data is not None else RecordedError(*self.told)
        except Exception:
            error = RecordedError(*self.told)
        if self.cause is not None:
            error.__cause__ = self.cause.opened()
        return error


def _dumped(error: BaseException) -> tuple[bytes | None, str]:
    """Bytes that make the same exception here, which is tried; why there are none."""
    why = ""
    for form in (error, _Parts(error)):
        try:
            data = pickle.dumps(form)
            if isinstance(error, NbgraphError) or _is_same(error, pickle.loads(data)):
                return data, "its class is not known here"
        except Exception as failure:
            why = why or f"it can't leave its process: {type(failure).__name__}: {shown(failure.args)[1:-1]}"
    return None, why or "it can't be built again"


class _Parts:
    """An exception that is pickled without its constructor."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilt, (type(self._error), self._error.args, vars(self._error), None)


def _is_same(error: BaseException, other: Any) -> bool:
    return type(other) is type(error) and text_of(other) == text_of(error) and shown(other.args) == shown(error.args)
