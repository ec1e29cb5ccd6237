"""Table: rows by key, in memory or behind a driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from nbgraph.errors import GraphError


@runtime_checkable
class Driver(Protocol):
    """Where the rows of a table are kept; what a table over a store of your own needs."""

    def get(self, key: Any, default: Any = None) -> Any: ...
    def put(self, rows: Mapping[Any, Any]) -> None: ...
    def delete(self, key: Any) -> bool: ...
    def keys(self) -> Iterator[Any]: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class Memory:
    """Rows in a dict, the very one that it is given."""

    def __init__(self, rows: MutableMapping[Any, Any]) -> None:
        self.rows = rows
        self.get: Callable[..., Any] = rows.get  # a look-up costs what the dict's own does

    def put(self, rows: Mapping[Any, Any]) -> None:
        self.rows.update(rows)

    def delete(self, key: Any) -> bool:
        return self.rows.pop(key, self) is not self

    def keys(self) -> Iterator[Any]:
        return iter(list(self.rows))

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(eq=False, repr=False)
class Table(MutableMapping[Any, Any]):
    """Rows by key: a dict, a DataFrame (by its index, or by the columns of `key`), or a driver such as SqliteDriver.

    >>> customers = Table({"card-7": {"country": "PT"}})
    >>> customers["card-9"] = {"country": "US"}
    >>> customers["card-9"], customers.get("card-1"), len(customers)
    ({'country': 'US'}, None, 2)

    Leaving `with table:` writes what still waits and closes what is open.
    """

    data_or_driver: Any = None
    key: str | Sequence[str] | None = None
    _own: dict[Any, Any] = field(default_factory=dict, init=False)

    @cached_property
    def driver(self) -> Driver:
        """What keeps the rows; a DataFrame's are put into a dict when they are first asked for."""
        data = self.data_or_driver
        if data is None:
            return Memory(self._own)
        if type(data).__name__ == "DataFrame":
            return Memory(_rows_of(data, self.key))
        if isinstance(data, MutableMapping):
            return Memory(data)
        if isinstance(data, Driver):
            return data
        raise GraphError(f"A Table is made of {type(data).__name__}; expected a dict, a DataFrame, or a driver.")

    def get(self, key: Any, default: Any = None) -> Any:
        return self.driver.get(key, default)

    def __getitem__(self, key: Any) -> Any:
        row = self.driver.get(key, self)
        if row is self:
            raise KeyError(key)
        return row

    def __setitem__(self, key: Any, row: Any) -> None:
        self.driver.put({key: row})

    def put(self, rows: Mapping[Any, Any]) -> None:
        """Set many rows in one go."""
        self.driver.put(rows)

    def __delitem__(self, key: Any) -> None:
        if not self.driver.delete(key):
            raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return self.driver.keys()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Table({type(self.data_or_driver or self._own).__name__})"

    def flush(self) -> None:
        """Write what a driver still holds back."""
        self.driver.flush()

    def close(self) -> None:
        """Flush, and close what is open."""
        self.driver.flush()
        self.driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def table_of(data: Any) -> Table:
    """The table itself, or one around a dict, a DataFrame or a driver."""
    return data if isinstance(data, Table) else Table(data)


def _rows_of(frame: Any, key: str | Sequence[str] | None) -> dict[Any, Any]:
    """The rows of a DataFrame (pandas or polars) by index or by key columns."""
    if type(frame).__module__.startswith("polars"):
        if key is None:
            raise GraphError('A polars DataFrame has no index; name the column that rows are found by: key="card".')
        rows = frame.rows_by_key(key, named=True)
        _refuse_twins([name for name, found in rows.items() if len(found) > 1])
        return {name: found[0] for name, found in rows.items()}
    if key is not None:
        frame = frame.set_index(key if isinstance(key, str) else list(key))
    _refuse_twins(frame.index[frame.index.duplicated()])
    return frame.to_dict("index")  # type: ignore[no-any-return]


def _refuse_twins(keys: Sequence[Any]) -> None:
    if len(keys):
        raise GraphError(
            f"The key {keys[0]!r} has more than one row in the DataFrame, and a table has one row a key; drop the "
            "others first: frame.drop_duplicates(...)."
        )
