"""Definitions: the catalogue of a store in an object store: a Delta table, one commit a definition.

A commit is refused where somebody else made one since the table was read, so it is read again: of two that define the
same name and version one is first, and the other is told.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl

from nbgraph.errors import FeatureError
from nbgraph.features.catalogue import FORMAT, Catalogue, FeatureDefinition, check_format, is_known
from nbgraph.features.offline.table import TRIES, is_overtaken

if TYPE_CHECKING:
    from deltalake import DeltaTable

FORMAT_ROW, STATISTICS, REMOVED = "format", "statistics", "removed"
COLUMNS = {"number": pl.Int64, "kind": pl.String, "name": pl.String, "version": pl.Int64, "document": pl.String}
Row = dict[str, Any]


class DefinitionsTable(Catalogue):
    """The definitions in the table at an address; of each name and version the last row counts."""

    def __init__(self, address: str, options: Mapping[str, str]) -> None:
        self._address, self._options = address, dict(options)
        self._read: tuple[int, list[Row]] = (-1, [])  # a version, and its rows
        super().__init__(Path(address))

    def _open(self) -> None:
        for row in self._rows(self._table()):
            if row["kind"] == FORMAT_ROW:
                check_format(row["version"], self._address)

    def _table(self) -> DeltaTable | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            return DeltaTable(self._address, storage_options=self._options)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise FeatureError(f"There can be no feature store at {self._address}: {error}.") from error

    def _rows(self, table: DeltaTable | None) -> list[Row]:
        """What counts, in the order in which it was written."""
        if table is None:
            return []
        version = int(table.version())
        if version != self._read[0]:
            self._read = version, pl.scan_delta(table).collect().sort("number").to_dicts()
        found: dict[Any, Row] = {}
        for row in self._read[1]:
            place = (row["kind"] == STATISTICS, row["name"], row["version"])
            found.pop(place, None)
            found[place] = row
        return [row for row in found.values() if row["kind"] != REMOVED]

    def _definitions(self) -> list[FeatureDefinition]:
        rows = (row for row in self._rows(self._table()) if row["kind"] not in (STATISTICS, FORMAT_ROW))
        return [
            FeatureDefinition(row["kind"], row["name"], row["version"], json.loads(row["document"])) for row in rows
        ]

    def add(self, definition: FeatureDefinition) -> bool:
        for attempt in range(TRIES):
            table = self._table()
            known = [one for one in self._definitions() if one.name == definition.name]
            if is_known(definition, known):
                return False
            row = (definition.kind, definition.name, definition.version, json.dumps(definition.document))
            if self._commit(table, row):
                return True
            time.sleep(random.random() * 0.02 * (attempt + 1))
        raise FeatureError(f"The feature store at {self._address} was written to by others {TRIES} times; try again.")

    def _commit(self, table: DeltaTable | None, *rows: tuple[str, str, int, str]) -> bool:
        """Add rows; False, and nothing done, where somebody else was quicker."""
        from deltalake import CommitProperties, Transaction, write_deltalake

        first = 1 + max((row["number"] for row in self._read[1]), default=0) if table is not None else 1
        whole = rows if table is not None else ((FORMAT_ROW, "", FORMAT, "{}"), *rows)
        frame = pl.DataFrame([(first + at, *row) for at, row in enumerate(whole)], schema=COLUMNS, orient="row")
        properties = CommitProperties(
            max_commit_retries=0, app_transactions=[Transaction("number", first + len(whole))]
        )  # fmt: skip
        try:
            write_deltalake(
                self._address if table is None else table, frame, mode="error" if table is None else "append",
                storage_options=self._options if table is None else None, commit_properties=properties,
            )  # fmt: skip
        except Exception as error:
            if is_overtaken(error):
                return False
            raise FeatureError(f"The feature store at {self._address} can't be written: {error}.") from error
        return True

    def find(self, name: str, version: int | None = None) -> FeatureDefinition | None:
        found = [one for one in self._definitions() if one.name == name and version in (None, one.version)]
        return max(found, key=lambda one: one.version, default=None)

    def all(self) -> list[FeatureDefinition]:
        return self._definitions()

    def remove(self, name: str, version: int) -> None:
        self._write((REMOVED, name, version, "{}"))

    def statistics(self, name: str, version: int) -> Any:
        rows = (row for row in self._rows(self._table()) if row["kind"] == STATISTICS)
        found = [row["document"] for row in rows if (row["name"], row["version"]) == (name, version)]
        return json.loads(found[0]) if found else None

    def keep_statistics(self, name: str, version: int, document: Any) -> None:
        self._write((STATISTICS, name, version, json.dumps(document)))

    def _write(self, row: tuple[str, str, int, str]) -> None:
        for _ in range(TRIES):
            table = self._table()
            self._rows(table)
            if self._commit(table, row):
                return

    @contextmanager
    def changing(self) -> Iterator[NoReturn]:
        raise FeatureError(f"The feature store at {self._address} has no file to change.")
        yield  # pragma: no cover
