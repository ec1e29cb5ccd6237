"""Features by hand: polars for past moments, sqlite3 with JSON for now, a loop and write_deltalake for the ingest."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from typing import Any

import features_work as work
import polars as pl
from deltalake import DeltaTable, write_deltalake
from protocol import Run, serve

CARDS = 1000


def held() -> Run:
    known: dict[int, tuple[str, Any]] = {}

    def run(events: int) -> Any:
        if events not in known:
            folder = tempfile.mkdtemp()
            write_deltalake(folder, work.payments(events).with_row_index("_seq"))
            known[events] = folder, work.asked(events)
        folder, asked = known[events]
        rows = pl.scan_delta(DeltaTable(folder)).collect().sort("time", "_seq")
        questions = asked.with_row_index("_row").sort("time")
        found = questions.join_asof(rows, on="time", by="card", check_sortedness=False).sort("_row")
        return work.summed(found)

    return run


def stored() -> sqlite3.Connection:
    connection = sqlite3.connect(tempfile.mkdtemp() + "/online.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE rows (card TEXT PRIMARY KEY, row TEXT)")
    last = work.payments(CARDS * 100).sort("time", maintain_order=True).unique("card", keep="last")
    rows = [(row["card"], json.dumps({name: row[name] for name in work.FEATURES})) for row in last.to_dicts()]
    connection.executemany("INSERT INTO rows VALUES (?, ?)", rows)
    return connection


def online() -> Run:
    connection = stored()

    def run(events: int) -> Any:
        found = 0.0
        for number in range(events):
            row = connection.execute("SELECT row FROM rows WHERE card = ?", [work.card(number)]).fetchone()
            found += json.loads(row[0])["f0"]
        return round(found, 3)

    return run


def many() -> Run:
    connection = stored()
    text = f"SELECT row FROM rows WHERE card IN ({', '.join('?' * 100)})"

    def run(events: int) -> Any:
        found = 0.0
        for number in range(events):
            keys = [work.card(number + each) for each in range(100)]
            found += sum(json.loads(row)["f0"] for (row,) in connection.execute(text, keys))
        return round(found, 3)

    return run


def ingest() -> Run:
    def run(events: int) -> Any:
        given = work.payments(events).iter_rows(named=True)
        rows = [work.share(work.total(row)) for row in given if work.positive(row)]
        write_deltalake(tempfile.mkdtemp(), pl.DataFrame(rows))
        return len(rows)

    return run


serve({"held": held, "online": online, "many": many, "ingest": ingest})
