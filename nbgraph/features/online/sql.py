"""SqlOnline: the online records in PostgreSQL, by SQLAlchemy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from nbgraph.features.online.record import BEYOND, NOTHING, Advance, KeyMetadata, Row, Stored, Waiting
from nbgraph.steps.optional import package
from nbgraph.streams.codec.values import freeze, thaw

REMEMBERED = 1_000_000  # ids of events that are known again
_TABLES = [
    "CREATE TABLE IF NOT EXISTS nbgraph_about (name TEXT PRIMARY KEY, version BIGINT, sequence BIGINT, columns TEXT)",
    "CREATE TABLE IF NOT EXISTS nbgraph_online (name TEXT, key TEXT, record BYTEA, PRIMARY KEY (name, key))",
    "CREATE TABLE IF NOT EXISTS nbgraph_waiting (number BIGSERIAL PRIMARY KEY, name TEXT, batch TEXT, key TEXT, "
    "row BYTEA)",
    "CREATE INDEX IF NOT EXISTS nbgraph_waiting_key ON nbgraph_waiting (name, key)",
    "CREATE TABLE IF NOT EXISTS nbgraph_came (number BIGSERIAL, name TEXT, id TEXT, PRIMARY KEY (name, id))",
]  # fmt: skip
# Both in one statement: between two a row could pass from the one table to the other.
_READ = """SELECT key, record, NULL FROM nbgraph_online WHERE name = :name AND key = ANY(:keys)
UNION ALL SELECT key, row, number FROM nbgraph_waiting WHERE name = :name AND key = ANY(:keys)"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('nbgraph features ' || :name))"  # one writer of a set at a time


class SqlOnline:
    """Records in tables of a PostgreSQL database, `nbgraph_...`, which are made where they are missing."""

    def __init__(self, url: str) -> None:
        self.url = url.replace("postgresql://", "postgresql+psycopg://", 1)

    @cached_property
    def _engine(self) -> Any:
        sqlalchemy = package("sqlalchemy", "SqlOnline")
        engine = sqlalchemy.create_engine(self.url, pool_pre_ping=True)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(_LOCK), {"name": ""})  # two at once would both make a table
            for statement in _TABLES:
                connection.execute(sqlalchemy.text(statement))
        return engine

    @cached_property
    def _text(self) -> Any:
        return package("sqlalchemy", "SqlOnline").text

    def _ask(self, text: str, **values: Any) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(self._text(text), values))

    def about(self, name: str) -> KeyMetadata | None:
        rows = self._ask("SELECT version, sequence, columns FROM nbgraph_about WHERE name = :name", name=name)
        return KeyMetadata(rows[0][0], rows[0][1], json.loads(rows[0][2])) if rows else None

    def read(self, name: str, keys: Sequence[str]) -> list[Stored]:
        records: dict[str, bytes] = {}
        waiting: dict[str, list[Any]] = {}
        for key, stored, number in self._ask(_READ, name=name, keys=list(keys)):
            if number is None:
                records[key] = bytes(stored)
            else:
                time, row = thaw(bytes(stored))
                waiting.setdefault(key, []).append((time, BEYOND + number, row))
        found = {key: (records.get(key), sorted(waiting.get(key, ()), key=lambda line: line[1])) for key in keys}
        return [found[key] if found[key] != (None, []) else NOTHING for key in keys]

    def advance(self, name: str, was: KeyMetadata | None, step: Advance) -> bool:
        about, text = step.about, self._text
        with self._engine.begin() as connection:
            connection.execute(text(_LOCK), {"name": name})
            if self.about(name) != was:
                return False
            if step.clear:
                connection.execute(text("DELETE FROM nbgraph_online WHERE name = :name"), {"name": name})
            if step.records:
                rows = [{"name": name, "key": key, "record": record} for key, record in step.records.items()]
                connection.execute(text(
                    "INSERT INTO nbgraph_online VALUES (:name, :key, :record) "
                    "ON CONFLICT (name, key) DO UPDATE SET record = excluded.record"
                ), rows)  # fmt: skip
            if step.arrived:
                connection.execute(
                    text("DELETE FROM nbgraph_waiting WHERE name = :name AND batch = ANY(:batches)"),
                    {"name": name, "batches": list(step.arrived)},
                )
            connection.execute(text(
                "INSERT INTO nbgraph_about VALUES (:name, :version, :sequence, :columns) ON CONFLICT (name) DO UPDATE "
                "SET version = excluded.version, sequence = excluded.sequence, columns = excluded.columns"
            ), {"name": name, "version": about.version, "sequence": about.sequence,
                "columns": json.dumps(dict(about.columns))})  # fmt: skip
        return True

    def wait(self, name: str, rows: Sequence[Waiting]) -> None:
        with self._engine.begin() as connection:
            for each in rows:
                is_new = connection.execute(
                    self._text("INSERT INTO nbgraph_came (name, id) VALUES (:name, :id) ON CONFLICT DO NOTHING"),
                    {"name": name, "id": each.id},
                ).rowcount
                if is_new:
                    connection.execute(
                        self._text("INSERT INTO nbgraph_waiting (name, key, row) VALUES (:name, :key, :row)"),
                        {"name": name, "key": each.key, "row": freeze([each.time, each.row])},
                    )

    def gather(self, name: str, batch: str) -> None:
        with self._engine.begin() as connection:
            values = {"name": name, "batch": batch, "most": REMEMBERED}
            connection.execute(
                self._text("UPDATE nbgraph_waiting SET batch = :batch WHERE name = :name AND batch IS NULL"), values
            )
            connection.execute(self._text(
                "DELETE FROM nbgraph_came WHERE name = :name AND number < "
                "(SELECT max(number) FROM nbgraph_came WHERE name = :name) - :most"
            ), values)  # fmt: skip

    def batches(self, name: str) -> Mapping[str, Sequence[Row]]:
        found: dict[str, list[Row]] = {}
        text = "SELECT batch, row FROM nbgraph_waiting WHERE name = :name AND batch IS NOT NULL ORDER BY number"
        for batch, row in self._ask(text, name=name):
            found.setdefault(batch, []).append(thaw(bytes(row))[1])
        return found

    def drop(self, name: str) -> None:
        with self._engine.begin() as connection:
            for table in ("nbgraph_online", "nbgraph_about", "nbgraph_waiting", "nbgraph_came"):
                connection.execute(self._text(f"DELETE FROM {table} WHERE name = :name"), {"name": name})

    def close(self) -> None:
        self._engine.dispose()
