"""TableTarget: bodies are written into a table, by key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbgraph.errors import GraphError, NbgraphError
from nbgraph.event import Event
from nbgraph.handler import Counterpart
from nbgraph.steps.context import StepContext
from nbgraph.steps.key import field_of
from nbgraph.steps.tables.table import table_of
from nbgraph.steps.targets.base import RowTarget
from nbgraph.types import Shape
from nbgraph.values import is_missing, normal_key

__all__ = ["TableTarget"]


class TableTarget(RowTarget):
    """Bodies are written into a table: each is added to the row of its key, whose other fields stay.

    >>> from nbgraph import Graph
    >>> from nbgraph.steps import Table
    >>> customers = Table({"card-7": {"country": "PT"}})
    >>> graph = Graph("g")
    >>> _ = graph.to(TableTarget(customers, ["amount"], key="card"))
    >>> graph.run({"card": "card-7", "amount": 120, "note": ""})
    {'card': 'card-7', 'amount': 120, 'note': ''}
    >>> customers["card-7"]
    {'country': 'PT', 'amount': 120}

    `key` is a field's name, a list of them (the key is a tuple then), or a function of the body; without it, it is the
    event's own. `columns` is as for all targets of rows: `["amount", "paid=amount", "at=$time"]`.

    Parameters
    ----------
    table
        A Table, a dict, or a driver.
    columns
        Columns: fields, `"new=field"`, or the event's own; None: all fields.
    key
        Field, list of fields, or function of the body; None: the event's key.
    max_events
        Rows that are written at once.
    """

    counterpart = Counterpart(
        "NoSqlTarget", unused={"infer_columns_from_data": (True, False)}, note="keys have types: 9 is not '9'"
    )

    def __init__(
        self,
        table: Any,
        columns: Sequence[str] | None = None,
        key: str | Sequence[str] | Callable[[Any], Any] | None = None,
        max_events: int = 1,
        flush_after_seconds: float | None = None,
        *,
        context: StepContext | None = None,
    ) -> None:
        self._table = table_of(table)
        self._read_key = _reader(key)
        if self._read_key is None:
            self.shape = Shape.EVENT
        super().__init__(columns, max_events, flush_after_seconds, context=context)

    def items(self, body: Any, event: Event | None) -> list[Any]:
        bodies = body if isinstance(body, list) else [body]
        rows = super().items(bodies, event)
        return [[self._key(one, event), row] for one, row in zip(bodies, rows, strict=True)]

    def _key(self, body: Any, event: Event | None) -> Any:
        key = self._read_key(body) if self._read_key is not None else event.key if event is not None else None
        if is_missing(key):
            which = "the event's own key" if self._read_key is None else "a key of the body"
            raise NbgraphError(f'TableTarget writes by {which}, and that is {key!r}; name the field: key="card".')
        return normal_key(key)

    def write(self, items: list[Any]) -> None:
        rows: dict[Any, Any] = {}
        for key, row in items:
            there = rows.get(key) or self._table.look(key) or {}
            if not isinstance(there, Mapping):
                raise NbgraphError(f"TableTarget adds to the row of {key!r}, which is no dict but {there!r:.60}.")
            rows[key] = {**there, **row}
        self._table.put(rows)

    def release(self) -> tuple[()]:
        super().release()
        self._table.flush()
        return ()


def _reader(key: Any) -> Callable[[Any], Any] | None:
    if key is None or key == "$key":
        return None
    if callable(key):
        reader: Callable[[Any], Any] = key
        return reader
    if isinstance(key, Sequence):
        return field_of(key, "TableTarget")
    raise GraphError(f"TableTarget got key={key!r}; expected a field's name, a list of them, or a function.")
