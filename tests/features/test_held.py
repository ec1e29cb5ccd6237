"""Held values at past moments and now: the values of the contract, ties, late rows, ttl, arrival."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nbgraph.errors import FeatureError
from nbgraph.features import FeatureSet, FeatureStore, FeatureVector

DAY = "2026-01-01T"
ROWS = [("a", "10:00", 1.0), ("a", "11:00", 2.0), ("a", "11:00", 2.5), ("a", "12:00", None), ("a", "09:00", 0.5),
        ("b", "10:00", 7.0)]  # fmt: skip
ASKED = [("a", "11:30"), ("a", "10:00"), ("a", "10:00"), ("a", "11:00"), ("a", "12:30"), ("a", "09:59:59"),
         ("b", "13:00"), ("b", "13:00:01"), ("z", "13:00")]  # fmt: skip
SEEN = [2.5, 1.0, 1.0, 2.5, None, 0.5, 7.0, None, None]


def rows(*given: tuple[str, str, float | None]) -> list[dict[str, Any]]:
    return [{"card": card, "ts": f"{DAY}{time}", "v": value} for card, time, value in given]


def asked(*given: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"card": card, "time": f"{DAY}{time}"} for card, time in given]


def values(answer: list[dict[str, Any]], name: str = "v") -> list[Any]:
    return [row[name] for row in answer]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


@pytest.fixture
def held(store: FeatureStore) -> FeatureSet:
    found = store.add(FeatureSet("H", key="card", time="ts", ttl="3h", features=["v"]))
    found.ingest(rows(*ROWS))
    return found


@pytest.fixture
def vector(store: FeatureStore, held: FeatureSet) -> FeatureVector:
    return store.add(FeatureVector("vector", ["H.v"]))


def test_every_asked_row_comes_back_in_its_order_with_its_index(vector: FeatureVector) -> None:
    given = pd.DataFrame(asked(*ASKED), index=list("ihgfedcba")).assign(label=range(1, 10))
    before = given.copy(deep=True)
    answer = vector.offline(given)
    pd.testing.assert_frame_equal(answer, given.assign(v=[float("nan") if v is None else v for v in SEEN]))
    pd.testing.assert_frame_equal(given, before)


def test_rows_of_every_kind_get_an_answer_of_their_kind(vector: FeatureVector) -> None:
    given = asked(*ASKED)
    frame, table = pl.DataFrame(given), pa.Table.from_pylist(given)
    assert values(vector.offline(given)) == SEEN
    assert vector.offline(frame).equals(frame.with_columns(pl.Series("v", SEEN)))
    assert vector.offline(table).to_pylist() == vector.offline(given)
    assert vector.offline(given[0]) == {**given[0], "v": 2.5}


def test_strictly_before_the_moment(vector: FeatureVector) -> None:
    given = asked(("a", "10:00"), ("a", "11:00"), ("a", "12:00"), ("a", "09:00"))
    assert values(vector.offline(given, before=True)) == [0.5, 1.0, 2.5, None]
    assert values([vector.online({"card": "a"}, time=f"{DAY}{time}", before=True) for time in ("12:00", "11:00")]) == [
        2.5, 1.0,
    ]  # fmt: skip


def test_online_is_what_offline_says_of_the_moment(held: FeatureSet, vector: FeatureVector) -> None:
    asked_online = [("a", "12:30"), ("b", "13:00"), ("b", "13:00:01"), ("z", "13:00")]
    found = [vector.online({"card": card}, time=f"{DAY}{time}") for card, time in asked_online]
    assert found == [{"v": None}, {"v": 7.0}, {"v": None}, {"v": None}]
    held.ingest(rows(("b", "08:00", -1.0)))
    assert vector.online({"card": "b"}, time=f"{DAY}13:00") == {"v": 7.0}
    assert values(vector.offline(asked(("b", "09:00")))) == [-1.0]


def test_a_correction_wins_and_the_version_before_can_be_asked(held: FeatureSet, vector: FeatureVector) -> None:
    version = held.offline.version()
    held.ingest(rows(("b", "10:00", 8.0)))
    assert values(vector.offline(asked(("b", "10:30")))) == [8.0]
    assert vector.online({"card": "b"}, time=f"{DAY}10:30") == {"v": 8.0}
    assert values(vector.offline(asked(("b", "10:30")), versions={"H": version})) == [7.0]


def test_online_refuses_what_only_the_rows_of_all_times_know(held: FeatureSet, vector: FeatureVector) -> None:
    held.ingest(rows(*[("a", f"13:{minute:02}", float(minute)) for minute in range(10)]))
    with pytest.raises(FeatureError, match=r'online rows of the set "H" .* vector.offline'):
        vector.online({"card": "a"}, time=f"{DAY}10:00")
    assert vector.online({"card": "a"}, time=f"{DAY}13:08") == {"v": 8.0}


def test_as_known_leaves_out_what_had_not_arrived(store: FeatureStore) -> None:
    held = store.add(FeatureSet("H", key="card", time="ts", features=["v"], arrival="came"))
    came = ["10:00", "11:00", "11:05", "12:00", "12:30", "10:00"]
    held.ingest([{**row, "came": f"{DAY}{at}"} for row, at in zip(rows(*ROWS), came, strict=True)])
    vector = store.add(FeatureVector("vector", ["H.v"]))
    given = asked(("a", "11:00"), ("a", "11:05"), ("a", "09:30"), ("a", "12:30"), ("a", "12:00"))
    assert values(vector.offline(given, as_known=True)) == [2.0, 2.5, None, None, None]
    assert values(vector.offline(given)) == [2.5, 2.5, 0.5, None, None]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"card": "a", "time": None}, {"card": "a", "time": 0}], "time is missing in 1 of 2 rows, first at index 0"),
        ([{"card": 7, "time": f"{DAY}10:00"}], 'key "card": rows have int, the set "H" has text'),
        ([{"time": f"{DAY}10:00"}], 'finds its features by card, and the rows have no "card"'),
        ([{"card": "a"}], 'is its "time", and the rows have no such field'),
        ([{"card": "a", "time": f"{DAY}10:00", "v": 1}], 'have a field "v"'),
    ],
)  # fmt: skip
def test_what_can_not_be_asked(vector: FeatureVector, given: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        vector.offline(given)


def test_a_missing_key_matches_nothing(vector: FeatureVector) -> None:
    assert values(vector.offline([{"card": None, "time": f"{DAY}10:00"}, {"card": "b", "time": f"{DAY}10:00"}])) == [
        None, 7.0,
    ]  # fmt: skip
    assert vector.online({"card": None}) == {"v": None}


def test_rows_without_time_the_newest_written_counts(store: FeatureStore) -> None:
    plain = store.add(FeatureSet("plain", key="id", features=["v"]))
    plain.ingest([{"id": 1, "v": "a"}, {"id": 2, "v": "b"}, {"id": 1, "v": "c"}])
    vector = store.add(FeatureVector("vector", ["plain.v"]))
    assert vector.online([{"id": 1}, {"id": 2}, {"id": 3}]) == [{"v": "c"}, {"v": "b"}, {"v": None}]
    assert values(vector.offline([{"id": 1}, {"id": 2}], time=f"{DAY}10:00")) == ["c", "b"]


def test_the_same_set_under_two_roles_and_a_key_found_through_another_set(store: FeatureStore) -> None:
    airports = store.add(FeatureSet("airports", key="code", time="since", features=["city", "country"]))
    airports.ingest([{"code": code, "since": 0, "city": city, "country": country} for code, city, country in
                     [("LIS", "Lisbon", "PT"), ("JFK", "New York", "US")]])  # fmt: skip
    countries = store.add(FeatureSet("countries", key="from_country", features=["money"]))
    countries.ingest([{"from_country": "PT", "money": "EUR"}, {"from_country": "US", "money": "USD"}])
    roles = [airports.on(code="origin", prefix="from_"), airports.on(code="to", prefix="to_"), "countries.money"]
    vector = store.add(FeatureVector("trip", roles))
    given = {"origin": "LIS", "to": "JFK", "time": f"{DAY}10:00"}
    wanted = {"from_city": "Lisbon", "from_country": "PT", "to_city": "New York", "to_country": "US", "money": "EUR"}
    assert (vector.keys, vector.columns) == (["origin", "to"], [*wanted])
    assert vector.offline(given) == {**given, **wanted}
    assert vector.online({"origin": "LIS", "to": "JFK"}) == wanted
    nowhere = vector.online({"origin": "XXX", "to": None})
    assert nowhere == dict.fromkeys(wanted)


def test_a_store_of_yesterday_is_opened_by_a_fresh_object(store: FeatureStore, vector: FeatureVector) -> None:
    again = FeatureStore(store.path)
    assert list(again) == ["H", "vector"]
    assert again["vector"].online({"card": "b"}, time=f"{DAY}13:00") == {"v": 7.0}
    assert values(again["vector@1"].offline(asked(*ASKED))) == SEEN
