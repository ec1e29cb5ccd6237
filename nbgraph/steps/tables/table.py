"""Table: rows by key, in memory or behind a driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from nbgraph.body import IMMUTABLE, LIBRARIES, Copier
from nbgraph.errors import GraphError
from nbgraph.types import Section
from nbgraph.values import normal_key

__all__ = ["Table"]

ABOUT = "$windows"  # the key of the row that describes the windows of the others; it never expires


@runtime_checkable
class Driver(Protocol):
    """The storage of a table: the protocol that a store of your own implements."""

    def get(self, key: Any, default: Any = None) -> Any: ...
    def put(self, rows: Mapping[Any, Any]) -> None: ...
    def delete(self, key: Any) -> bool: ...
    def keys(self) -> Iterator[Any]: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class RowCopier(Copier):
    """Copies rows on put and get, so that memory returns values as a database does.

    Objects that no database can store are live objects of the notebook, and are not copied.
    """

    def _object(self, value: Any, known: dict[int, Any]) -> Any:
        library = type(value).__module__.partition(".")[0]
        return super()._object(value, known) if library in LIBRARIES or library == "collections" else value


own = RowCopier()


def is_flat(row: Any) -> bool:
    """Whether all values of a row are immutable."""
    return type(row) in IMMUTABLE or (type(row) is dict and IMMUTABLE.issuperset(map(type, row.values())))


class MemoryDriver:
    """Rows in the given dict itself; keys are found by their normal form."""

    def __init__(self, rows: MutableMapping[Any, Any]) -> None:
        self.rows = rows
        self._own = _own_keys(rows)
        # the row itself, for reading only; as fast as the dict's own look-up
        self.look: Callable[..., Any] = self._found if self._own else rows.get
        self.is_flat = all(map(is_flat, rows.values()))

    def _found(self, key: Any, default: Any = None) -> Any:
        return self.rows.get(self._own.get(key, key), default)

    def get(self, key: Any, default: Any = None) -> Any:
        row = self.look(key, self)
        return default if row is self else own(row)

    def put(self, rows: Mapping[Any, Any]) -> None:
        self.keep({key: own(row) for key, row in rows.items()})

    def keep(self, rows: Mapping[Any, Any]) -> None:
        """Store rows without copying: the caller gives them up."""
        self.is_flat = self.is_flat and all(map(is_flat, rows.values()))
        self.rows.update({self._own.get(key, key): row for key, row in rows.items()} if self._own else rows)

    def delete(self, key: Any) -> bool:
        return self.rows.pop(self._own.get(key, key), self) is not self

    def keys(self) -> Iterator[Any]:
        return iter(list(self.rows))

    def flush(self) -> None:
        """Nothing to do: nothing is buffered."""

    def close(self) -> None:
        """Nothing to do: nothing is open."""


@dataclass(eq=False, repr=False)
class Table(MutableMapping[Any, Any]):
    """Rows by key: a dict, a DataFrame (by its index, or by the columns of `key`), or a driver such as SqliteDriver.

    >>> customers = Table({"card-7": {"country": "PT"}})
    >>> customers["card-9"] = {"country": "US"}
    >>> customers["card-9"], customers.get("card-1"), len(customers)
    ({'country': 'US'}, None, 2)

    A key is anything that is a key of a dict: texts and numbers (7 and "7" are two; 7, 7.0 and a 7 of NumPy are one, as
    are True and 1), dates, tuples of such; what is missing (None, NaN, NaT, NA) is one key. Keys of a SqliteDriver or a
    RedisDriver are such single values or tuples of them; a row comes back from them unchanged, or is refused.

    A row is a value, wherever it is stored: to change one, store it again, `table[key] = row`.

    Leaving `with table:` flushes and closes it.

    Parameters
    ----------
    data_or_driver
        Dict, DataFrame or driver; None: an empty dict.
    key
        Columns of a DataFrame that are the key; None: its index.
    """

    section: ClassVar[Section] = Section.TABLES

    data_or_driver: Any = None
    key: str | Sequence[str] | None = None
    _own: dict[Any, Any] = field(default_factory=dict, init=False)

    @cached_property
    def driver(self) -> Driver:
        """The driver of the rows; a DataFrame is converted to a dict lazily."""
        data = self.data_or_driver
        if data is None:
            return MemoryDriver(self._own)
        if type(data).__name__ == "DataFrame":
            return MemoryDriver(_rows_of(data, self.key))
        if isinstance(data, MutableMapping):
            return MemoryDriver(data)
        if isinstance(data, Driver):
            return data
        raise GraphError(f"Table got {type(data).__name__}; expected a dict, a DataFrame, or a driver.")

    def get(self, key: Any, default: Any = None) -> Any:
        return self.driver.get(normal_key(key), default)

    def look(self, key: Any) -> Any:
        """A row for reading only: not copied if it is in memory."""
        driver = self.driver
        return (driver.look if isinstance(driver, MemoryDriver) else driver.get)(normal_key(key))

    def __getitem__(self, key: Any) -> Any:
        row = self.driver.get(normal_key(key), self)
        if row is self:
            raise KeyError(key)
        return row

    def __setitem__(self, key: Any, row: Any) -> None:
        self.driver.put({normal_key(key): row})

    def keep(self, key: Any, row: Any) -> None:
        """Store a row without copying: the caller gives it up."""
        driver = self.driver
        (driver.keep if isinstance(driver, MemoryDriver) else driver.put)({normal_key(key): row})

    def put(self, rows: Mapping[Any, Any]) -> None:
        """Store many rows at once."""
        self.driver.put({normal_key(key): row for key, row in rows.items()})

    def __delitem__(self, key: Any) -> None:
        if not self.driver.delete(normal_key(key)):
            raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return self.driver.keys()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Table({type(self.data_or_driver or self._own).__name__})"

    def flush(self) -> None:
        """Write what a driver buffers."""
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


def _own_keys(rows: Mapping[Any, Any]) -> dict[Any, Any]:
    """The keys of a dict that are not in normal form, by their normal form."""
    if set(map(type, rows)) <= {str, int, bool, bytes}:
        return {}
    forms = [(normal_key(key), key) for key in rows if key is not None]
    return {form: key for form, key in forms if not _is_found_by(form, key)}


def _is_found_by(form: Any, key: Any) -> bool:
    return form is not None and type(form) is type(key) and hash(form) == hash(key) and bool(form == key)


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
        return {normal_key(name): found[0] for name, found in rows.items()}
    if key is not None:
        frame = frame.set_index(key if isinstance(key, str) else list(key))
    _refuse_twins(frame.index[frame.index.duplicated()])
    return {normal_key(name): row for name, row in frame.to_dict("index").items()}


def _refuse_twins(keys: Sequence[Any]) -> None:
    if len(keys):
        raise GraphError(
            f"The key {keys[0]!r} has several rows in the DataFrame; expected one row for each key. Drop the "
            "others first: frame.drop_duplicates(...)."
        )
