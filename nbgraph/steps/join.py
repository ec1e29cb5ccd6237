"""Join: add to a body what a table knows about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.steps.table import table_of
from nbgraph.types import Shape

JoinKey = str | Sequence[str] | Callable[[Any], Any]


class JoinWithTable(Handler):
    """The fields of the row that the body's key finds in the table are added to the body.

    >>> from nbgraph import Graph
    >>> customers = {"card-7": {"country": "PT", "since": 2019}}
    >>> graph = Graph("g")
    >>> _ = graph.to(JoinWithTable(customers, "card", attributes=["country"]))
    >>> graph.run({"card": "card-7", "amount": 120})
    {'card': 'card-7', 'amount': 120, 'country': 'PT'}

    `key` is a field's name, a list of them (the table's keys are tuples then), "$key" for the event's own, or a
    function of the body. Without a row the body goes on as it is, or not at all with `inner_join`. Rows that
    are plain values, `{"PT": 0.23}`, need one name in `attributes`.
    """

    do: Callable[[Any], Any]

    def __init__(
        self, table: Any, key: JoinKey, attributes: str | Iterable[str] | None = None, inner_join: bool = False
    ) -> None:
        self._table = table_of(table)
        self._find = self._table.get
        self._key = _key_function(key)
        self._attributes = [attributes] if isinstance(attributes, str) else list(attributes) if attributes else None
        self._is_inner = inner_join
        self.shape = Shape.EVENTS if key == "$key" else Shape.FLAT if inner_join else Shape.MAP
        self.do = self._by_event if key == "$key" else self._inner if inner_join else self._outer

    def post_init(self) -> None:
        self._find = self._table.driver.get

    def _outer(self, body: Any) -> Any:
        row = self._find(self._key(body))
        return body if row is None else {**body, **self._fields(row)}

    def _inner(self, body: Any) -> list[Any]:
        row = self._find(self._key(body))
        return [] if row is None else [{**body, **self._fields(row)}]

    def _by_event(self, event: Event) -> list[Event]:
        row = self._find(event.key)
        if row is None:
            return [] if self._is_inner else [event]
        event.body = {**event.body, **self._fields(row)}
        return [event]

    def _fields(self, row: Any) -> Mapping[str, Any]:
        names = self._attributes
        if isinstance(row, Mapping):
            return row if names is None else {name: row[name] for name in names if name in row}
        if names is not None and len(names) == 1:
            return {names[0]: row}
        raise GraphError(
            f'JoinWithTable found {row!r}, which has no fields; name the one it becomes: attributes="name".'
        )


def _key_function(key: JoinKey) -> Callable[[Any], Any]:
    if callable(key):
        return key
    if isinstance(key, str):
        return lambda body: body[key]
    if isinstance(key, Sequence):
        names = tuple(key)
        return lambda body: tuple(body[name] for name in names)
    raise GraphError(f'JoinWithTable got key={key!r}; expected a field\'s name, a list of them, "$key" or a function.')
