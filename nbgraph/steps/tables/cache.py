"""Cache: a write-behind cache in front of a slower driver."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nbgraph.steps.tables.table import Driver, own
from nbgraph.streams.codec.values import UnfitError
from nbgraph.types import Section

__all__ = ["Cache"]


@dataclass(eq=False)
class Cache:
    """In front of a driver: the rows used last are read from memory, changed rows are written behind.

    >>> from nbgraph.steps import SqliteDriver, Table
    >>> store = SqliteDriver(":memory:")
    >>> table = Table(Cache(store, max_updates=100))
    >>> table["a"] = {"n": 1}
    >>> table["a"], store.get("a")
    ({'n': 1}, None)
    >>> table.flush()
    >>> store.get("a")
    {'n': 1}
    >>> table.close()

    Changed rows are written when there are `max_updates` of them, `flush_after_seconds` after the first, at `flush`,
    at `close`, and when the process ends in good order. Until then a crash loses them. A row that the driver refuses is
    reported once, after the others have been written.

    Parameters
    ----------
    driver
        Where the rows are kept.
    max_rows
        Rows in memory.
    max_updates
        Changed rows after which they are written.
    flush_after_seconds
        Seconds after the first change in which they are written; None: not by time.
    """

    section: ClassVar[Section] = Section.TABLES

    driver: Driver
    max_rows: int = 10_000
    max_updates: int = 1_000
    flush_after_seconds: float | None = None
    _rows: OrderedDict[Any, Any] = field(default_factory=OrderedDict, init=False, repr=False)
    _changed: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    _lock: Any = field(default_factory=threading.RLock, init=False, repr=False)
    _timer: threading.Timer | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        weakref.finalize(self, _write, self.driver, self._changed, self._lock)

    def get(self, key: Any, default: Any = None) -> Any:
        with self._lock:
            if key in self._changed:
                return own(self._changed[key])
            if key not in self._rows:
                found = self.driver.get(key, self)
                if found is self:
                    return default
                self._keep(key, found)
            self._rows.move_to_end(key)
            return own(self._rows[key])

    def put(self, rows: Mapping[Any, Any]) -> None:
        with self._lock:
            self._changed.update({key: own(row) for key, row in rows.items()})
            for key in rows:
                self._rows.pop(key, None)
            if len(self._changed) >= self.max_updates:
                self.flush()
            elif self.flush_after_seconds is not None and self._timer is None:
                self._timer = threading.Timer(self.flush_after_seconds, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def delete(self, key: Any) -> bool:
        with self._lock:
            self._rows.pop(key, None)
            was_new = self._changed.pop(key, self) is not self
            return self.driver.delete(key) or was_new

    def keys(self) -> Iterator[Any]:
        self.flush()
        return self.driver.keys()

    def flush(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            changed = dict(self._changed)
            _write(self.driver, self._changed, self._lock)
            for key, row in changed.items():
                self._keep(key, row)

    def close(self) -> None:
        self.flush()
        self.driver.close()

    def _keep(self, key: Any, row: Any) -> None:
        self._rows[key] = row
        while len(self._rows) > self.max_rows:
            self._rows.popitem(last=False)


def _write(driver: Driver, changed: dict[Any, Any], lock: Any) -> None:
    """Not a method, so that it can run after the cache has been garbage-collected."""
    with lock:
        if not changed:
            return
        try:
            driver.put(changed)
        except UnfitError:
            _write_those_that_fit(driver, changed)
        changed.clear()


def _write_those_that_fit(driver: Driver, changed: dict[Any, Any]) -> None:
    """Write row by row; refused rows are dropped, since they would be refused every time."""
    refused: list[UnfitError] = []
    for key in list(changed):
        try:
            driver.put({key: changed[key]})
        except UnfitError as error:
            refused.append(error)
        del changed[key]
    raise refused[0]
