"""Fields: add, rename and drop what a body that is a dict has; write an event's metadata into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, ClassVar

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.dataframe import is_frame, picked
from nbgraph.steps.operators.stateless import BODY, Function, callable_of
from nbgraph.types import Shape

__all__ = ["DropColumns", "Extend", "ReifyMetadata", "Rename"]

Body = Mapping[str, Any]
METADATA = ("key", "id", "path", "method", "headers", "content_type", "time", "params", "error", "origin")


class Extend(Handler):
    """The fields that the function returns are added to the body; a field that exists is replaced.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Extend(lambda body: {"total": body["price"] * body["count"]}))
    >>> graph.run({"price": 5, "count": 2})
    {'price': 5, 'count': 2, 'total': 10}

    Parameters
    ----------
    fn
        Function of the body that gives a dict, or an expression over `event`.
    """

    counterpart = Counterpart("Extend")
    expressions: ClassVar = {"fn": BODY}

    do: Callable[[Any], Any]

    def __init__(self, fn: Function) -> None:
        self._function = function = callable_of(fn, type(self), "fn")
        if iscoroutinefunction(function):

            async def extend_async(body: Body) -> dict[str, Any]:
                return {**body, **await function(body)}

            self.do = extend_async
            return

        def extend(body: Body) -> dict[str, Any]:
            return {**body, **function(body)}

        self.do = extend

    def takes_event(self) -> bool:
        """From now on the function gets the Event; its fields are still those of the body."""
        function = self._function

        async def extend_async(event: Event) -> None:
            event.body = {**event.body, **await function(event)}

        def extend(event: Event) -> None:
            event.body = {**event.body, **function(event)}

        self.do = extend_async if iscoroutinefunction(function) else extend
        return True


class Rename(Handler):
    """Fields, or columns of a DataFrame, get new names; those that the body does not have are left out of account.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Rename({"dep_delay": "delay"}))
    >>> graph.run({"carrier": "UA", "dep_delay": 4})
    {'carrier': 'UA', 'delay': 4}

    A field that gets the name of another takes its place, unless that gets a new name too: `{"a": "b", "b": "a"}`
    exchanges two. Of two that would get one name, the body may have one.

    Parameters
    ----------
    mapping
        New names by old ones.
    """

    counterpart = Counterpart("Rename")

    def __init__(self, mapping: Mapping[str, str]) -> None:
        if not isinstance(mapping, Mapping):
            raise GraphError(f'Rename got {mapping!r}; expected a dict of old and new names, {{"old": "new"}}.')
        self._names = dict(mapping)
        self._has_twins = len(set(self._names.values())) < len(self._names)

    def do(self, body: Any) -> Any:
        names = self._names
        if is_frame(body):
            return picked(body, self.do({name: name for name in body.columns}))
        if self._has_twins:
            self._refuse_twins(body)
        taken = {names[name] for name in body if name in names}
        return {names.get(name, name): value for name, value in body.items() if name in names or name not in taken}

    def _refuse_twins(self, body: Body) -> None:
        met: dict[str, str] = {}
        for name in body:
            new = self._names.get(name)
            if new in met:
                raise ValueError(f'Rename makes "{new}" of "{met[new]}" and of "{name}", and the body has both.')
            if new is not None:
                met[new] = name


class DropColumns(Handler):
    """The body without some of its fields, or columns; those that it does not have are left out of account.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(DropColumns(["password"]))
    >>> graph.run({"name": "Ada", "password": "x"})
    {'name': 'Ada'}

    Parameters
    ----------
    columns
        Names of the fields.
    """

    counterpart = Counterpart("DropColumns")

    def __init__(self, columns: Names) -> None:
        self._columns = frozenset(names_of(columns, "DropColumns", "columns"))

    def do(self, body: Any) -> Any:
        columns = self._columns
        if is_frame(body):
            return picked(body, {name: name for name in body.columns if name not in columns})
        return {name: value for name, value in body.items() if name not in columns}


class ReifyMetadata(Handler):
    """Write the event's key, id, path, method, headers, content type or time into the body.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(ReifyMetadata({"key": "card"}))
    >>> graph.run({"amount": 120}, key="card-7")
    {'amount': 120, 'card': 'card-7'}

    A list of names writes each under its own.

    Parameters
    ----------
    mapping
        What is written: `"id"`, `"key"`, `"time"`, …: names, or these and the fields' names.
    """

    counterpart = Counterpart("ReifyMetadata")
    shape = Shape.EVENT

    def __init__(self, mapping: Mapping[str, str] | Names) -> None:
        if not isinstance(mapping, Mapping):
            mapping = {name: name for name in names_of(mapping, "ReifyMetadata", "mapping")}
        names = dict(mapping)
        unknown = [name for name in names if name not in METADATA]
        if unknown:
            raise GraphError(f"ReifyMetadata got {unknown[0]!r}; an event has: {', '.join(METADATA)}.")
        self._names = names

    def do(self, event: Event) -> Event:
        event.body = {**event.body, **{field: getattr(event, name) for name, field in self._names.items()}}
        return event
