"""SQLTarget and SQLSource: what one writes the other reads, or an error names the column; on SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbgraph import Graph, GraphError, NbgraphError, StepError, steps
from tests.steps.folders import fresh
from tests.steps.postgres_server import postgres_server

_numbers = itertools.count()
ZONE = timezone(timedelta(hours=2))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that is made once a test; PostgreSQL's has tables of other tests too."""
    return f"sqlite:///{tmp_path}/x.db" if request.param == "sqlite" else request.getfixturevalue("postgres")


def a_table() -> str:
    return f"t{next(_numbers)}"


def run(target: Any, source: Any) -> None:
    graph = Graph("g")
    graph.to(target, "target")
    list(graph.stream(source))


def through(url: str, rows: list[Any], **options: Any) -> list[Any]:
    """The rows as they come back."""
    name = a_table()
    run(steps.SQLTarget(url, name, **options), rows)
    return list(steps.SQLSource(url, name))


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | TEXT,
    lambda it: st.lists(it) | st.dictionaries(TEXT, it),
    max_leaves=5,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "i": st.integers(-(2**63), 2**63 - 1),
    "f": st.floats(allow_nan=False),
    "b": st.booleans(),
    "s": TEXT,
    "y": st.binary(),
    "d": st.decimals(-(10**15), 10**15, places=6),
    "day": st.dates(),
    "at": st.datetimes(),
    "zoned": st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(ZONE)),
    "span": st.timedeltas(timedelta(-10000), timedelta(10000)),
    "clock": st.times(),
    "id": st.uuids(),
    "list": st.lists(JSON),
    "dict": st.dictionaries(TEXT, JSON),
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), min_size=1, max_size=4
)
ANY = st.none() | st.one_of(list(VALUES.values()))


@settings(deadline=None, max_examples=20)
@given(rows=ROWS, max_events=st.integers(1, 3))
def test_rows_are_what_they_were(rows: list[dict[str, Any]], max_events: int) -> None:
    assert through(f"sqlite:///{fresh()}/x.db", rows, max_events=max_events) == rows


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, max_events=st.integers(1, 3))
def test_rows_are_what_they_were_in_postgresql(postgres: str, rows: list[dict[str, Any]], max_events: int) -> None:
    assert through(postgres, rows, max_events=max_events) == rows


@settings(deadline=None, max_examples=50)
@given(values=st.lists(ANY, min_size=1, max_size=3), max_events=st.integers(1, 3))
def test_values_of_any_kinds_are_what_they_were_or_refused(values: list[Any], max_events: int) -> None:
    try:
        found = through(f"sqlite:///{fresh()}/x.db", [{"v": value} for value in values], max_events=max_events)
    except NbgraphError as error:
        assert 'column "v"' in str(error)  # noqa: PT017
    else:
        assert found == [{"v": _in_utc(value, values)} for value in values]


def _in_utc(value: Any, values: list[Any]) -> Any:
    """A column has zones or has none: that of its first time."""
    times = [one for one in values if isinstance(one, datetime)]
    if not isinstance(value, datetime) or not times:
        return value
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC) if times[0].tzinfo else value
    return value if times[0].tzinfo else value.astimezone(UTC).replace(tzinfo=None)


def test_values_of_numpy_and_pandas(url: str) -> None:
    rows = [
        {"i": np.int64(1), "f": np.float32(1.5), "b": np.bool_(True), "n": pd.NA, "at": pd.Timestamp("2013-01-01"),
            "a": np.array([1, 2])},
        {"i": np.int8(2), "f": float("nan"), "b": None, "n": np.int16(3), "at": pd.NaT, "a": (3,)},
    ]  # fmt: skip
    expected = [
        {"i": 1, "f": 1.5, "b": True, "n": None, "at": datetime(2013, 1, 1), "a": [1, 2]},
        {"i": 2, "f": None, "b": None, "n": 3, "at": None, "a": [3]},
    ]
    assert through(url, rows, max_events=2) == expected
    name = a_table()
    run(steps.SQLTarget(url, name), expected[:1])
    run(steps.SQLTarget(url, name), [{"i": np.int64(5), "f": np.float32(2.5)}])
    assert list(steps.SQLSource(url, name))[-1] == {"i": 5, "f": 2.5, "b": None, "n": None, "at": None, "a": None}


def test_times_with_a_zone_are_the_same_moment(url: str) -> None:
    at = datetime(2013, 1, 1, 12, tzinfo=ZONE)
    [row] = through(url, [{"at": at}])
    assert (row["at"], row["at"].utcoffset()) == (at, timedelta(0))


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (1.5, "float"), ("1", "str"), (2**64, "whole number of more than 64 bits"), (date(2013, 1, 1), "date"),
        (Decimal("1.5"), "Decimal"), ([1], "list"), (float("inf"), "float"),
    ],
)  # fmt: skip
def test_a_value_that_its_column_can_not_hold(url: str, value: Any, what: str) -> None:
    name = a_table()
    with pytest.raises(StepError, match=rf'SQLTarget, column "v" of {name}: it is BIGINT, and got a {what}: '):
        run(steps.SQLTarget(url, name), [{"v": 1}, {"v": 2.0}, {"v": value}])
    assert list(steps.SQLSource(url, name)) == [{"v": 1}, {"v": 2}]


@pytest.mark.parametrize("value", [{1: 2}, {"a": {3}}, [datetime(2013, 1, 1)], {"x": float("nan")}, [object()]])
def test_what_is_no_json(url: str, value: Any) -> None:
    with pytest.raises(StepError, match='SQLTarget, column "v"'):
        through(url, [{"v": value}])


def test_what_no_database_holds(url: str) -> None:
    with pytest.raises(StepError, match='SQLTarget, column "v": a set has no form in a database'):
        through(url, [{"v": {1}}])


def test_a_text_with_nul(postgres: str) -> None:
    with pytest.raises(StepError, match=r'SQLTarget, column "v" of .* a text with a NUL character'):
        through(postgres, [{"v": "a\0"}])


# --- tables ---


def test_a_field_without_a_column(url: str) -> None:
    name = a_table()
    with pytest.raises(StepError, match=f'SQLTarget has no column "v" in {name}, which has: i; name those to write'):
        run(steps.SQLTarget(url, name), [{"i": 1}, {"i": 2, "v": 1}])
    run(steps.SQLTarget(url, name, columns="i"), [{"i": 3, "v": 1}])
    assert list(steps.SQLSource(url, name)) == [{"i": 1}, {"i": 3}]


@pytest.mark.parametrize("values", [[None, 5], [None, None, "x", None], [None, datetime(2013, 1, 1)], [None, None]])
def test_a_column_that_begins_with_nothing(url: str, values: list[Any]) -> None:
    rows = [{"i": number, "v": value} for number, value in enumerate(values)]
    assert through(url, rows) == rows


def test_a_name_with_a_schema_means_the_same_to_both(postgres: str, tmp_path: Path) -> None:
    engine = sql.create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(sql.text("CREATE SCHEMA IF NOT EXISTS shop"))
    engine.dispose()
    for url, name in ((postgres, "shop.orders"), (f"sqlite:///{tmp_path}/x.db", "main.orders")):
        run(steps.SQLTarget(url, name), [{"id": 1}])
        run(steps.SQLTarget(url, name), [{"id": 2}])
        assert list(steps.SQLSource(url, name)) == [{"id": 1}, {"id": 2}]
    for make in (steps.SQLTarget, steps.SQLSource):
        with pytest.raises(NbgraphError, match=r'the database has no schema "my" for "my.table"; it has: main'):
            run(make(url, "my.table"), [{"id": 1}])


def test_a_table_of_others(tmp_path: Path) -> None:
    """What another program declared is read by its type, what it left of another form as it is."""
    url = f"sqlite:///{tmp_path}/x.db"
    engine = sql.create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            sql.text("CREATE TABLE t (at DATETIME, n NUMERIC, ok BOOLEAN, j JSON, price DECIMAL(10, 2), day DATE)")
        )
        connection.execute(
            sql.text("""INSERT INTO t VALUES ('2013-01-01 05:00:00', 5, 1, '{"a": [1]}', 1.5, '2013-01-02'),
                        ('1/2/2013', 2.5, 'x', NULL, 2, NULL)""")
        )
    engine.dispose()
    assert list(steps.SQLSource(url, "t")) == [
        {"at": datetime(2013, 1, 1, 5), "n": 5, "ok": True, "j": {"a": [1]}, "price": 1.5, "day": date(2013, 1, 2)},
        {"at": "1/2/2013", "n": 2.5, "ok": "x", "j": None, "price": 2, "day": None},
    ]
    run(steps.SQLTarget(url, "t"), [{"at": datetime(2013, 1, 1, 12, tzinfo=ZONE), "ok": np.bool_(False), "n": 7}])
    last = list(steps.SQLSource(url, "t"))[-1]
    assert (last["at"], last["ok"], last["n"]) == (datetime(2013, 1, 1, 10), False, 7)


def test_keys(url: str) -> None:
    name = a_table()
    rows = [{"id": np.int64(1), "v": 1}, {"id": 1, "v": 2}, {"id": 2, "v": 3}]
    run(steps.SQLTarget(url, name, primary_key="id", max_events=2), rows)
    run(steps.SQLTarget(url, name, primary_key=["id"]), [{"id": 2, "v": 4}])
    assert sorted(row["v"] for row in steps.SQLSource(url, name)) == [2, 4]
    with pytest.raises(StepError, match='a row without its primary key "id"'):
        run(steps.SQLTarget(url, name, primary_key="id"), [{"v": 4}])


def test_what_is_not_there(url: str) -> None:
    name = a_table()
    run(steps.SQLTarget(url, name), [{"a": 1, "b": None}])
    with pytest.raises(GraphError, match=f'SQLSource finds no table "nope" in the database, which has: .*{name}'):
        list(steps.SQLSource(url, "nope"))
    with pytest.raises(GraphError, match=f'SQLSource got key_field="k", and {name} has no such column; it has: a, b'):
        list(steps.SQLSource(url, name, key_field="k"))
    graph = Graph("g")
    graph.to(lambda body: body)
    with pytest.raises(StepError, match='SQLSource, row 1: The key "b" is missing'):
        list(graph.stream(steps.SQLSource(url, name, key_field="b")))


def test_a_row_of_all(url: str) -> None:
    row = {
        "d": Decimal("1.10"),
        "id": UUID(int=7),
        "clock": time(1, 2, 3),
        "span": timedelta(days=-1, microseconds=1),
        "j": {"a": [None]},
        "y": b"\0",
    }
    assert through(url, [row]) == [row]
