"""Tables over dicts, DataFrames, SQLite and Redis; the cache in front of them; the join."""

from __future__ import annotations

import gc
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from nbgraph import Event, Graph, GraphError, StepError, steps
from tests.steps.both import both_ways
from tests.steps.redis_server import redis_server

Driver = Any


@pytest.fixture(params=["memory", "sqlite", "redis", "cache"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An empty table over each kind of store."""
    if request.param == "redis":
        pytest.importorskip("redis")
        with redis_server() as url, steps.Table(steps.RedisDriver(url, prefix="t[1]:")) as table:
            yield table
        return
    stores: dict[str, Any] = {
        "memory": None,
        "sqlite": steps.SqliteDriver(tmp_path / "t.db"),
        "cache": steps.Cache(steps.SqliteDriver(tmp_path / "t.db"), max_rows=2, max_updates=3),
    }
    with steps.Table(stores[request.param]) as table:
        yield table


def test_every_table_is_a_mapping(table: Any) -> None:
    table["a"] = {"n": 1, "names": ["x"]}
    table[7] = {"n": 2}
    table["7"] = {"n": 3}
    table.put({("a", 1): {"n": 4}, "gone": {}})
    del table["gone"]
    table["a"] = {"n": 5}
    assert dict(table) == {"a": {"n": 5}, 7: {"n": 2}, "7": {"n": 3}, ("a", 1): {"n": 4}}
    assert (table.get("b"), "b" in table, 7 in table, len(table)) == (None, False, True, 4)
    with pytest.raises(KeyError):
        del table["gone"]
    with pytest.raises(KeyError):
        table["gone"]


def test_a_dict_stays_the_users_own() -> None:
    rows = {"a": 1}
    table = steps.Table(rows)
    rows["b"] = 2
    table["c"] = 3
    assert (dict(table), rows) == ({"a": 1, "b": 2, "c": 3},) * 2


def test_data_frames() -> None:
    rows = {"card": ["a", "b"], "country": ["PT", "US"]}
    expected = {"a": {"country": "PT"}, "b": {"country": "US"}}
    assert dict(steps.Table(pd.DataFrame(rows), key="card")) == expected
    assert dict(steps.Table(pd.DataFrame(rows).set_index("card"))) == expected
    assert steps.Table(pl.DataFrame(rows), key="card")["b"]["country"] == "US"


def test_a_key_with_two_rows_is_refused() -> None:
    frame = pd.DataFrame({"card": ["a", "a"], "country": ["PT", "US"]})
    with pytest.raises(GraphError, match="The key 'a' has several rows"):
        steps.Table(frame, key="card")["a"]


def test_a_table_of_something_else() -> None:
    with pytest.raises(GraphError, match="Table got int; expected a dict, a DataFrame, or a driver"):
        steps.Table(7)["a"]


def test_sqlite_reads_a_table_that_exists(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as shop:
        shop.execute("CREATE TABLE customers (card TEXT PRIMARY KEY, country TEXT, since INTEGER)")
        shop.execute("INSERT INTO customers VALUES ('a', 'PT', 2019)")
    shop.close()
    with steps.Table(steps.SqliteDriver(path, "customers", key="card")) as table:
        table["b"] = {"country": "US", "since": 2020}
        assert dict(table) == {"a": {"country": "PT", "since": 2019}, "b": {"country": "US", "since": 2020}}


def test_sqlite_without_the_table(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match='has no table "customers"; create it'):
        steps.SqliteDriver(tmp_path / "shop.db", "customers", key="card").get("a")


def test_the_cache_writes_behind() -> None:
    store = steps.SqliteDriver(":memory:")
    table = steps.Table(steps.Cache(store, max_updates=3))
    for number in range(4):
        table[number] = {"n": number}
    assert (store.get(2), store.get(3), table[3]) == ({"n": 2}, None, {"n": 3})
    table.flush()
    assert store.get(3) == {"n": 3}
    table.close()


def test_the_cache_reads_a_row_once() -> None:
    class Slow(dict[Any, Any]):
        """A driver that counts its reads."""

        reads = 0

        def get(self, key: Any, default: Any = None) -> Any:
            self.reads += 1
            return super().get(key, default)

        def put(self, rows: Any) -> None:
            self.update(rows)

        def delete(self, key: Any) -> bool:
            return self.pop(key, None) is not None

        def flush(self) -> None: ...

        def close(self) -> None: ...

    store = Slow({number: number for number in range(3)})
    cache = steps.Cache(store, max_rows=2)
    found = [cache.get(number) for number in (0, 1, 0, 2, 0, 1)]
    assert (found, store.reads) == ([0, 1, 0, 2, 0, 1], 4)


def test_the_cache_writes_on_a_timer_and_when_it_goes(tmp_path: Path) -> None:
    store = steps.SqliteDriver(tmp_path / "t.db")
    cache = steps.Cache(store, flush_after_seconds=0.02)
    cache.put({"a": 1})
    end = time.monotonic() + 5
    while store.get("a") is None and time.monotonic() < end:
        time.sleep(0.01)
    forgotten = steps.Cache(store)
    forgotten.put({"b": 2})
    del forgotten
    gc.collect()
    assert (store.get("a"), store.get("b")) == (1, 2)
    cache.close()


CUSTOMERS = {"a": {"country": "PT", "since": 2019}}


def test_join() -> None:
    rows = [{"card": "a"}, {"card": "b"}]
    known = {"card": "a", "country": "PT", "since": 2019}
    assert both_ways(steps.JoinWithTable(CUSTOMERS, "card"), rows) == [known, {"card": "b"}]
    assert both_ways(steps.JoinWithTable(CUSTOMERS, "card", inner_join=True), rows) == [known]
    only = steps.JoinWithTable(CUSTOMERS, "card", attributes=["country", "unknown"])
    assert both_ways(only, rows[:1]) == [{"card": "a", "country": "PT"}]


def test_join_by_the_events_key_and_by_functions_and_several_fields() -> None:
    by_key = steps.JoinWithTable(CUSTOMERS, "$key", "country", inner_join=True)
    assert both_ways(by_key, [Event({"n": 1}, key="a"), Event({"n": 2})]) == [{"n": 1, "country": "PT"}]
    by_function = steps.JoinWithTable(CUSTOMERS, lambda body: body["card"].lower(), "country")
    assert both_ways(by_function, [{"card": "A"}]) == [{"card": "A", "country": "PT"}]
    prices = pd.DataFrame({"shop": ["x", "x"], "item": [1, 2], "price": [10, 20]})
    by_two = steps.JoinWithTable(steps.Table(prices, key=["shop", "item"]), ["shop", "item"])
    assert both_ways(by_two, [{"shop": "x", "item": 2}]) == [{"shop": "x", "item": 2, "price": 20}]


def test_join_with_plain_values() -> None:
    taxes = {"PT": 0.23}
    body = {"country": "PT"}
    assert both_ways(steps.JoinWithTable(taxes, "country", "tax"), [body]) == [{"country": "PT", "tax": 0.23}]
    graph = Graph("g")
    graph.to(steps.JoinWithTable(taxes, "country"))
    with pytest.raises(StepError, match='has no fields; name the field for it: attributes="name"'):
        graph.run(body)
