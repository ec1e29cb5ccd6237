"""Offline: the rows of one feature set as they were written, a Delta table that only grows by whole ingests.

An ingest is one commit. Beside its rows it carries two transactions, which Delta checks against what others committed
meanwhile: the id of the ingest, so that it is never there twice, and the number of the last row, so that two writers
can't give the same number to two rows. Whoever comes second reads the table again and numbers its rows anew.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from nbgraph.errors import FeatureError
from nbgraph.features.offline.kind import Frame, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deltalake import CommitProperties, DeltaTable

    from nbgraph.features.set import FeatureSet

SEQUENCE, WRITTEN = "_seq", "_written"
OWN = (SEQUENCE, WRITTEN)  # columns that are not the set's
DELETED = "_deleted"  # a transaction's name: the last version that deleted rows
ABOUT = "nbgraph"  # under this a commit says what it holds
KEPT = {"delta.logRetentionDuration": "interval 36500 days"}  # so that every version can be read again
TRIES = 40


@dataclass(frozen=True)
class Commit:
    """A version of the table, and how many rows it added; `is_new` is False where the ingest was there before.

    There is no version where nothing was ever written: no row says what columns the table has.
    """

    version: int | None
    rows: int
    is_new: bool = True


@dataclass(frozen=True)
class Since:
    """Rows (lazy) behind a number, their version, its last row's number, and whether it has an ingest of an id."""

    rows: Frame
    version: int
    last: int
    holds: Callable[[str], bool]


class Offline:
    """The table of one set: `append` adds an ingest, `frame` reads a version."""

    def __init__(self, path: str, options: Mapping[str, str] | None, name: str) -> None:
        self.path, self._options, self._name = path, dict(options or {}), name

    def version(self) -> int | None:
        """The newest version; None where nothing has been ingested."""
        table = self._open()
        return None if table is None else int(table.version())

    def find(self, id: str) -> int | None:
        """The version that an ingest of that id made."""
        table = self._open()
        return None if table is None else _transaction(table, f"ingest:{id}")

    def append(
        self, rows: Callable[[dict[str, str]], Frame], id: str, about: Callable[[], Mapping[str, Any]],
        partition_by: Sequence[str] | None = None,
    ) -> Commit:  # fmt: skip
        """Add the rows of an ingest, made to fit the columns that are there, in one commit.

        `rows` and `about` are asked again where another writer was quicker.
        """
        for attempt in range(TRIES):
            table = self._open()
            known = None if table is None else _transaction(table, f"ingest:{id}")
            if known is not None and table is not None:
                return Commit(known, 0, is_new=False)
            frame = rows({} if table is None else _schema(table))
            if table is None and not frame.height:
                return Commit(None, 0)
            try:
                with self._writing():
                    return self._commit(table, frame, id, about(), partition_by)
            except _Overtaken:
                time.sleep(random.random() * 0.02 * (attempt + 1))
        raise FeatureError(
            f'The set "{self._name}" was written to by others {TRIES} times while this ingest tried; try again.'
        )

    def _commit(
        self, table: DeltaTable | None, frame: Frame, id: str, about: Mapping[str, Any],
        partition_by: Sequence[str] | None,
    ) -> Commit:  # fmt: skip
        from deltalake import Transaction, write_deltalake

        version = -1 if table is None else int(table.version())
        first = 1 + (0 if table is None else _transaction(table, SEQUENCE) or 0)
        last = first + frame.height - 1
        numbered = frame.with_columns(
            pl.int_range(first, last + 1, dtype=pl.Int64, eager=True).alias(SEQUENCE),
            pl.lit(datetime.now(UTC)).dt.cast_time_unit("us").alias(WRITTEN),
        )
        transactions = [Transaction(f"ingest:{id}", version + 1), Transaction(SEQUENCE, last)]
        try:
            write_deltalake(
                self.path if table is None else table, numbered, mode="error" if table is None else "append",
                partition_by=list(partition_by) if partition_by and table is None else None,
                schema_mode=None if table is None else "merge",
                configuration=KEPT if table is None else None,
                storage_options=self._options or None if table is None else None,
                commit_properties=_properties(about, transactions),
            )  # fmt: skip
        except Exception as error:
            if is_overtaken(error):
                raise _Overtaken from error
            raise
        return Commit(version + 1, frame.height)

    def delete(self, predicate: str, about: Mapping[str, Any]) -> tuple[int, int]:
        """Delete the rows for which an SQL condition holds; how many, and the new version."""
        from deltalake import Transaction

        for attempt in range(TRIES):
            table = self._needed()
            noted = [Transaction(DELETED, int(table.version()) + 1)]
            try:
                with self._writing():
                    told = table.delete(predicate, commit_properties=_properties(about, noted))
                return int(told.get("num_deleted_rows") or 0), int(table.version())
            except Exception as error:
                if not is_overtaken(error):
                    raise
                time.sleep(random.random() * 0.02 * (attempt + 1))
        raise FeatureError(
            f'The set "{self._name}" was written to by others {TRIES} times while this tried; try again.'
        )

    def deleted_after(self, version: int) -> bool:
        """Whether rows were deleted since a version."""
        return (_transaction(self._needed(), DELETED) or 0) > version

    def remove(self) -> None:
        """Remove all of it, in an object store: every version."""
        from deltalake.fs import DeltaStorageHandler
        from pyarrow.fs import FileSelector, FileType, PyFileSystem

        with self._writing():
            objects = PyFileSystem(DeltaStorageHandler(self.path, self._options))
            for found in objects.get_file_info(FileSelector("/", recursive=True)):
                if found.type == FileType.File:
                    objects.delete_file(found.path)

    def compact(self) -> dict[str, Any]:
        """Put small files together; what any version holds stays the same."""
        with self._writing():
            return dict(self._needed().optimize.compact(commit_properties=_properties({"action": "compact"}, [])))

    def vacuum(self, hours: float) -> list[str]:
        """Remove files that no version younger than that needs; older versions can't be read any more."""
        with self._writing():
            return list(self._needed().vacuum(
                retention_hours=int(hours), dry_run=False, enforce_retention_duration=False,
                commit_properties=_properties({"action": "vacuum"}, []),
            ))  # fmt: skip

    def schema(self, version: int | None = None) -> dict[str, str]:
        """The kinds of the set's columns."""
        table = self._open(version)
        return {} if table is None else _schema(table)

    def frame(self, version: int | None = None) -> Frame:
        """The rows of a version, as polars reads them when asked (lazily)."""
        return pl.scan_delta(self._needed(version))

    def since(self, sequence: int) -> Since:
        """The rows behind a number."""
        table = self._needed()
        rows = pl.scan_delta(table).filter(pl.col(SEQUENCE) > sequence)
        last = _transaction(table, SEQUENCE) or 0
        return Since(rows, int(table.version()), last, lambda id: _transaction(table, f"ingest:id {id}") is not None)

    def history(self) -> list[dict[str, Any]]:
        """What each version was made by, oldest first."""
        table = self._open()
        found = [] if table is None else table.history()
        return [
            {"version": each["version"], "time": each["timestamp"], **json.loads(each.get(ABOUT) or "{}")}
            for each in reversed(found)
        ]

    def _open(self, version: int | None = None) -> DeltaTable | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            return DeltaTable(self.path, version=version, storage_options=self._options or None)
        except TableNotFoundError:
            return None
        except (DeltaError, ValueError) as error:
            newest = None if version is None else self.version()
            if newest is not None and not 0 <= (version or 0) <= newest:
                raise FeatureError(
                    f'The set "{self._name}" has no version {version}; its newest is {newest}.'
                ) from error
            raise FeatureError(f'The rows of the set "{self._name}" at {self.path} can\'t be read: {error}.') from error

    def _needed(self, version: int | None = None) -> DeltaTable:
        table = self._open(version)
        if table is None:
            raise FeatureError(f'The set "{self._name}" has no rows yet; ingest some: set.ingest(source).')
        return table

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What the disk or the store refuses is told with the path."""
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (OSError, DeltaError) as error:
            if is_overtaken(error):
                raise
            raise FeatureError(
                f'The set "{self._name}" can\'t be written at {self.path}: {error}. It is as it was.'
            ) from error


class _Overtaken(Exception):  # noqa: N818 - no error: the writer tries again
    """Another writer was quicker."""


def is_overtaken(error: Exception) -> bool:
    """Whether another writer was quicker."""
    from deltalake.exceptions import CommitFailedError, DeltaError

    text = str(error)
    return isinstance(error, CommitFailedError) or (
        isinstance(error, DeltaError | OSError) and "already exists" in text
    )


def _properties(about: Mapping[str, Any], transactions: list[Any]) -> CommitProperties:
    from deltalake import CommitProperties

    told = json.dumps(dict(about))
    return CommitProperties(custom_metadata={ABOUT: told}, max_commit_retries=0, app_transactions=transactions)


def _transaction(table: DeltaTable, name: str) -> int | None:
    found = table.transaction_version(name)
    return None if found is None else int(found)


def with_fields(set: FeatureSet, rows: Frame) -> Frame:
    """Rows with the fields that the set names and no row has had a value of: null, as they came."""
    asked = [each.field for each in set.aggregates if isinstance(each.field, str)]
    lacking = [name for name in dict.fromkeys([*(set.features or ()), *asked]) if name not in rows.columns]
    return rows.with_columns(pl.lit(None).alias(name) for name in lacking) if lacking else rows


def _schema(table: DeltaTable) -> dict[str, str]:
    """The kinds of the columns, read off an empty part of the table."""
    columns = pl.scan_delta(table).collect_schema()
    return {name: str(kind_of(dtype)) for name, dtype in columns.items() if name not in OWN}
