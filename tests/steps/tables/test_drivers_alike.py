"""Tables are one thing whatever keeps them: memory, SQLite and Redis give what was put, also after a restart."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph, StepError
from nbgraph.steps import (
    AggregateByKey,
    Cache,
    FieldAggregator,
    JoinWithTable,
    MapWithState,
    QueryByKey,
    RedisDriver,
    SlidingWindows,
    SqliteDriver,
    Table,
)
from nbgraph.streams.codec.values import UnfitError
from tests.steps.redis_server import redis_server

Open = Callable[[], Table]  # opens the table: a second time after a restart


@contextmanager
def stores(folder: Path, redis: str) -> Iterator[dict[str, Open]]:
    """A table of each kind, all empty, which can be opened again and again."""
    rows: dict[Any, Any] = {}
    with ExitStack() as stack:

        def opened(driver: Any) -> Table:
            return stack.enter_context(Table(driver))

        RedisDriver(redis)._open().flushall()
        (folder / "t.db").unlink(missing_ok=True)
        (folder / "c.db").unlink(missing_ok=True)
        yield {
            "memory": lambda: opened(rows),
            "sqlite": lambda: opened(SqliteDriver(folder / "t.db")),
            "redis": lambda: opened(RedisDriver(redis, prefix="t:")),
            "cache": lambda: opened(Cache(SqliteDriver(folder / "c.db"), max_rows=2, max_updates=1)),
        }


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    pytest.importorskip("redis")
    with redis_server() as url:
        yield url


KEYS: list[list[Any]] = [
    [None, math.nan, np.float32("nan"), pd.NaT, pd.NA],
    [7, 7.0, np.int64(7), np.float16(7), Decimal("7.0")],
    ["7", np.str_("7")],
    [7.5, np.float32(7.5), Decimal("7.50"), Fraction(15, 2)],
    [0.1, np.float64(0.1)],
    [Decimal("0.1"), Decimal("0.10")],
    [1, True, np.bool_(True)],
    [b"7", np.bytes_(b"7")],
    [date(2026, 1, 1)],
    ["2026-01-01"],
    [datetime(2026, 1, 1), pd.Timestamp("2026-01-01"), np.datetime64("2026-01-01T00:00", "ns")],
    [datetime(2026, 1, 1, tzinfo=UTC), pd.Timestamp("2026-01-01T01:00", tz="Europe/Berlin")],
    [timedelta(1), pd.Timedelta("1D"), np.timedelta64(1, "D")],
    [("a", 7), ("a", np.int8(7)), ("a", 7.0)],
    [("a", None), ("a", math.nan)],
    [("a", date(2026, 1, 1))],
    [(("a", 1), "b")],
    [UUID(int=7)],
    [math.inf], [-math.inf], [10**30], ["~"], ["~fw=="], ["null"], [""], ["\ud800"], ["ä"], [()],
]  # fmt: skip

VALUES: list[Any] = [
    Decimal("1.10"), np.int64(3), np.float32(1.5), np.array([1, 2], "int8"), (1, 2), b"x", math.nan, math.inf, None,
    {3},     datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), {1: {2.5: "x"}}, [(1,), [2]], 10**30,
    pd.Timestamp("2026-01-01"),    pd.NaT, "x", True, UUID(int=1), timedelta(seconds=1), "\ud800",
    Fraction(1, 3), np.datetime64("2026-01-01"),
]  # fmt: skip

places = st.integers(0, len(KEYS) - 1).flatmap(lambda place: st.tuples(st.just(place), st.sampled_from(KEYS[place])))
actions = st.lists(
    st.tuples(st.sampled_from(["put", "put", "get", "delete", "restart"]), places, st.sampled_from(VALUES)), max_size=25
)


def shown(value: Any) -> str:
    """What a value is, to the type and the last digit."""
    return f"{type(value)} {value!r}"


def story(open_: Open, steps: list[Any]) -> list[Any]:
    """What a table says to each step, and what it has in the end."""
    table, told = open_(), []
    for action, (_, key), value in steps:
        if action == "put":
            table[key] = {"v": value}
        elif action == "get":
            told.append(shown(table.get(key, {}).get("v")) if key in table else "none")
        elif action == "delete":
            told.append(table.pop(key, None) is not None)
        else:
            table.close()
            table = open_()
    places = [place for place, keys in enumerate(KEYS) if keys[0] in table]
    return [told, places, [shown(table[KEYS[place][-1]]["v"]) for place in places], len(table)]


def in_a_dict(steps: list[Any]) -> list[Any]:
    """The same by the place of the key, which says which keys mean the same."""
    rows: dict[int, Any] = {}
    told: list[Any] = []
    for action, (place, _), value in steps:
        if action == "put":
            rows[place] = value
        elif action == "get":
            told.append(shown(rows[place]) if place in rows else "none")
        elif action == "delete":
            told.append(rows.pop(place, story) is not story)
    return [told, sorted(rows), [shown(rows[place]) for place in sorted(rows)], len(rows)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions)
def test_every_table_says_the_same(tmp_path: Path, redis: str, steps: list[Any]) -> None:
    expected = in_a_dict(steps)
    with stores(tmp_path, redis) as opens:
        assert {kind: story(open_, steps) for kind, open_ in opens.items()} == dict.fromkeys(opens, expected)


def test_keys_come_back_as_what_they_mean(tmp_path: Path, redis: str) -> None:
    with stores(tmp_path, redis) as opens:
        for kind in ("sqlite", "redis"):
            table = opens[kind]()
            table.put({keys[0]: {} for keys in KEYS})
            assert set(table) == set(Table({keys[0]: {} for keys in KEYS[1:]} | {None: {}}))
            assert {table[key] is not None for key in table} == {True}


WINDOWS = [
    FieldAggregator("x", "v", ["count", "sum", "avg", "min", "last", "stddev"], SlidingWindows(["1h", "3h"], "1h"))
]
AMOUNTS = {
    "decimals": [Decimal("1.10"), Decimal("-2.30"), 3, np.int8(100), None],
    "floats": [1.5, np.float32(0.25), np.int64(3), pd.NA, math.nan, True],
    "both": [Decimal("1.10"), 2.5, 3, np.float32(0.25), Decimal("-2.30")],
}


@st.composite
def payments(draw: st.DrawFn) -> list[dict[str, Any]]:
    amounts = st.sampled_from(AMOUNTS[draw(st.sampled_from(sorted(AMOUNTS)))])
    times = sorted(draw(st.lists(st.integers(0, 20_000), min_size=1, max_size=10)))
    keys = st.sampled_from(KEYS[0] + KEYS[1] + KEYS[2] + KEYS[13] + KEYS[10])
    return [{"k": draw(keys), "t": time, "v": draw(amounts)} for time in times]


def flow(table: Table) -> Graph:
    graph = Graph("flow")
    step = graph.to(AggregateByKey(WINDOWS, key="k", time_field="t", table=table))
    step.to(QueryByKey(["x_sum_1h", "note"], table, key="k", time_field="t", aliases={"x_sum_1h": "again"}))
    return graph


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payments(), st.integers(0, 10))
def test_windows_are_the_same_whatever_keeps_them(tmp_path: Path, redis: str, bodies: Any, restart: int) -> None:
    with stores(tmp_path, redis) as opens:
        found: dict[str, str] = {}
        for kind, open_ in opens.items():
            first = open_()
            answers = list(flow(first).stream(bodies[:restart]))
            first.close()
            answers += list(flow(open_()).stream(bodies[restart:]))
            found[kind] = shown(answers)
        assert found == dict.fromkeys(opens, found["memory"])


def test_states_and_joins_are_the_same_whatever_keeps_them(tmp_path: Path, redis: str) -> None:
    def noted(body: Any, state: Any) -> Any:
        return {**body, "before": state}, {"seen": (*state.get("seen", ()), body["v"]), "at": body["at"]}

    bodies = [{"k": keys[place % len(keys)], "v": VALUES[place], "at": date(2026, 1, 1)}
              for keys in KEYS[:4] for place in range(4)]  # fmt: skip
    found: dict[str, str] = {}
    with stores(tmp_path, redis) as opens:
        for kind, open_ in opens.items():
            graph = Graph("states")
            table = open_()
            graph.to(MapWithState(table, noted, group_by_key=True)).to(JoinWithTable(table, "k", ["seen"]))
            found[kind] = shown(list(graph.stream(Event(body, key=body["k"]) for body in bodies)))
        assert found == dict.fromkeys(opens, found["memory"])
    assert "Decimal('1.10'), np.int64(3)" in found["redis"]


def changed(body: Any) -> Any:
    body["tags"].append("seen")
    body["address"]["zip"] = "0"
    return body


def test_a_row_is_a_value_whatever_keeps_it(tmp_path: Path, redis: str) -> None:
    """What is changed in place behind a table, before it or by who holds a row does not change the table."""
    found = {}
    with stores(tmp_path, redis) as opens:
        for kind, open_ in opens.items():
            table, row = open_(), {"tags": ["a"], "address": {"zip": "1"}}
            table["k"] = row
            graph = Graph("joined")
            graph.to(JoinWithTable(table, "k")).to(changed)
            row["tags"].append("later")
            table["k"]["tags"].append("outside")
            answers = [graph.run({"k": "k"}) for _ in range(2)]
            found[kind] = [answers, table["k"]]
    answer = {"k": "k", "tags": ["a", "seen"], "address": {"zip": "0"}}
    assert [*found.values()] == [[[answer] * 2, {"tags": ["a"], "address": {"zip": "1"}}]] * len(found)


@pytest.mark.parametrize("more", [{}, {"join_function": lambda body, fields: changed({**body, **fields})}])
@pytest.mark.parametrize("inner", [True, False])
def test_rows_that_are_put_while_a_graph_runs_are_values_too(more: Any, inner: bool) -> None:
    table = Table({"flat": {"n": 1}})
    graph = Graph("joined")
    graph.to(JoinWithTable(table, "k", None, inner, **more)).to(lambda body: changed(body) if "tags" in body else body)
    with contextlib.suppress(StepError):
        graph.run({"k": "flat"})
    table["k"] = {"tags": [], "address": {}}
    graph.run({"k": "k"})
    assert dict(table) == {"flat": {"n": 1}, "k": {"tags": [], "address": {}}}


def test_objects_in_memory_are_the_notebooks_own() -> None:
    mine = Mine()
    assert Table({"k": {"v": mine}})["k"]["v"] is mine


class Mine:
    pass


def test_what_would_not_come_back_is_refused_by_name(tmp_path: Path, redis: str) -> None:
    with stores(tmp_path, redis) as opens:
        for kind, driver in {"sqlite": "SqliteDriver", "redis": "RedisDriver"}.items():
            table = opens[kind]()
            with pytest.raises(UnfitError, match=f"{driver} can't keep the row of 'b': there is a .*Mine in it"):
                table.put({"a": {}, "b": {"v": Mine()}})
            with pytest.raises(UnfitError, match="can't be a key of this table: it has a frozenset"):
                table[frozenset({1})] = {}
            assert len(table) == 0


def test_stores_of_former_times_are_read(tmp_path: Path, redis: str) -> None:
    former = {'"a"': '{"v":1}', "7.0": '{"v":[1,2]}', "true": '{"v":null}', '["a",1]': '{"v":"x"}', "null": '{"v":7}'}
    connection = sqlite3.connect(tmp_path / "f.db")
    connection.execute('CREATE TABLE "rows" (key TEXT PRIMARY KEY, row TEXT)')
    connection.executemany('INSERT INTO "rows" VALUES (?, ?)', former.items())
    connection.commit()
    connection.close()
    client = RedisDriver(redis)._open()
    client.mset({f"f:{key}": row for key, row in former.items()})
    for driver in (SqliteDriver(tmp_path / "f.db"), RedisDriver(redis, prefix="f:")):
        with Table(driver) as table:
            assert [table[key]["v"] for key in ("a", 7, np.int8(1), ("a", 1), None)] == [1, [1, 2], None, "x", 7]
            table[7] = {"v": (1, 2)}
            assert (table[7.0], len(table)) == ({"v": (1, 2)}, 5)
            del table[7], table[1]
            assert sorted(map(str, table)) == ["('a', 1)", "None", "a"]
    client.close()


def as_formerly(value: Any) -> Any:
    """What windows were written as when rows were JSON."""
    if isinstance(value, list):
        return [as_formerly(each) for each in value]
    return {"$float": repr(value)} if isinstance(value, float) and not math.isfinite(value) else value


def test_windows_of_former_times_go_on(tmp_path: Path) -> None:
    bodies = [{"k": "a", "t": 2000 * number, "v": number} for number in range(6)]
    expected = list(flow(Table()).stream(bodies))
    kept = Table()
    answers = list(flow(kept).stream(bodies[:3]))
    connection = sqlite3.connect(tmp_path / "w.db")
    connection.execute('CREATE TABLE "rows" (key TEXT PRIMARY KEY, row TEXT)')
    rows = {key: {name: as_formerly(value) for name, value in row.items()} for key, row in kept.items()}
    connection.executemany(
        'INSERT INTO "rows" VALUES (?, ?)', [(f'"{key}"', json.dumps(row)) for key, row in rows.items()]
    )
    connection.commit()
    connection.close()
    with Table(SqliteDriver(tmp_path / "w.db")) as table:
        assert shown([*answers, *flow(table).stream(bodies[3:])]) == shown(expected)


def test_columns_of_ones_own_table_hold_what_sqlite_has(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "own.db")
    connection.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, n, f)")
    connection.close()
    with Table(SqliteDriver(tmp_path / "own.db", "people", key="id")) as table:
        table[np.int64(7)] = {"n": np.int64(3), "f": np.float32(1.5)}
        table[8.0] = {"n": pd.NA, "f": b"x"}
        assert dict(table) == {7: {"n": 3, "f": 1.5}, 8: {"n": None, "f": b"x"}}
        with pytest.raises(UnfitError, match=r'the row of 9 has Decimal.*, of Decimal, at "n"; a column holds'):
            table[9] = {"n": Decimal("1.1")}


def test_a_row_that_does_not_fit_does_not_keep_others_from_being_written(tmp_path: Path) -> None:
    cache = Cache(SqliteDriver(tmp_path / "c.db"), max_updates=3)
    with Table(cache) as table:
        table["a"] = {"v": 1}
        table["b"] = {"v": Mine()}
        with pytest.raises(UnfitError, match="can't keep the row of 'b'"):
            table["c"] = {"v": 3}
        assert dict(table) == {"a": {"v": 1}, "c": {"v": 3}}
