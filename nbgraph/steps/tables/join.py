"""Join: add the fields of a table's row to a body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.introspection import shown
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.key import field_of
from nbgraph.steps.tables.table import MemoryDriver, own, table_of
from nbgraph.types import Section, Shape

__all__ = ["JoinWithTable"]

JoinKey = str | Sequence[str] | Callable[[Any], Any]
Joining = Callable[[Any, Any], Any]  # of the body and the row's fields


class JoinWithTable(Handler):
    """The fields of the row that the body's key finds in the table are added to the body, or take the place of its own.

    >>> from nbgraph import Graph
    >>> customers = {"card-7": {"country": "PT", "since": 2019}}
    >>> graph = Graph("g")
    >>> _ = graph.to(JoinWithTable(customers, "card", attributes=["country"]))
    >>> graph.run({"card": "card-7", "amount": 120})
    {'card': 'card-7', 'amount': 120, 'country': 'PT'}

    `key` is a field's name, a list of them (the table's keys are tuples then), "$key" for the event's own, or a
    function of the body. Without a row the body goes on as it is, or not at all with `inner_join`. Rows that
    are plain values, `{"PT": 0.23}`, need one name in `attributes`. `join_function(body, fields)` gives the new body in
    another way than by adding the row's fields (those of `attributes`) to it.

    Parameters
    ----------
    table
        A Table, a dict, or a driver.
    key
        Field, list of fields, `"$key"`, or function of the body.
    attributes
        Fields of the row; None: all.
    inner_join
        Whether a body without a row does not go on.
    join_function
        Function of body and fields that gives the new body.
    """

    section = Section.TABLES
    counterpart = Counterpart("JoinWithTable", renamed={"key_extractor": "key"}, note="keys have types: 9 is not '9'")
    results_are_new = True

    do: Callable[[Any], Any]

    def __init__(
        self,
        table: Any,
        key: JoinKey,
        attributes: Names | None = None,
        inner_join: bool = False,
        join_function: Joining | None = None,
    ) -> None:
        if join_function is not None and not callable(join_function):
            raise GraphError(f"JoinWithTable got join_function={join_function!r}; expected a function: (body, fields).")
        self._table = table_of(table)
        self._find = self._table.get
        self._memory: MemoryDriver | None = None  # looked up by the key as given, then by its normal form
        self._key = _key_function(key)
        self._attributes = names_of(attributes, "JoinWithTable", "attributes") if attributes else None
        self._join = join_function
        self._is_inner = inner_join
        self.shape = Shape.EVENTS if key == "$key" else Shape.FLAT if inner_join else Shape.MAP
        self.do = self._by_event if key == "$key" else self._inner if inner_join else self._outer

    def post_init(self) -> None:
        driver = self._table.driver
        if isinstance(driver, MemoryDriver):
            self._find, self._memory = driver.look, driver

    def _outer(self, body: Any) -> Any:
        key = self._key(body)
        try:
            row = self._find(key)
        except TypeError:  # a list, which is a tuple
            row = None
        memory = self._memory
        if row is None and memory is not None:
            row = self._table.look(key)
        if row is None:
            return body
        if memory is not None and not (memory.is_flat and self._join is None):
            row = own(row)  # a copy: the body must not share the table's row
        return {**body, **self._fields(row)} if self._join is None else self._join(body, self._own(row))

    def _inner(self, body: Any) -> list[Any]:
        row = self._table.get(self._key(body))
        return [] if row is None else [self._joined(body, row)]

    def _by_event(self, event: Event) -> list[Event]:
        row = self._table.get(event.key)
        if row is None:
            return [] if self._is_inner else [event]
        event.body = self._joined(event.body, row)
        return [event]

    def _joined(self, body: Any, row: Any) -> Any:
        return {**body, **self._fields(row)} if self._join is None else self._join(body, self._own(row))

    def _own(self, row: Any) -> Any:
        """The argument of a `join_function`: also a row without fields, if none are named."""
        return row if self._attributes is None else self._fields(row)

    def _fields(self, row: Any) -> Mapping[str, Any]:
        names = self._attributes
        if isinstance(row, Mapping):
            return row if names is None else {name: row[name] for name in names if name in row}
        if names is not None and len(names) == 1:
            return {names[0]: row}
        raise GraphError(
            f'JoinWithTable found {shown(row)}, which has no fields; name the field for it: attributes="name".'
        )


def _key_function(key: JoinKey) -> Callable[[Any], Any]:
    if callable(key):
        return key
    if isinstance(key, Sequence):
        return field_of(key, "JoinWithTable")
    raise GraphError(f'JoinWithTable got key={key!r}; expected a field\'s name, a list of them, "$key" or a function.')
