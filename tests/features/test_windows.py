"""Windows of a set: the values of the contract, offline, online and replayed; explained and stepped."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph
from nbgraph.errors import GraphError
from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
from nbgraph.steps import AggregateByKey, FieldAggregator, FixedWindows, SlidingWindows

NAN = math.nan
DAY = "2026-01-01T"
PAID = FieldAggregator("paid", "amount", ["count", "sum", "avg", "max"], SlidingWindows(["1h"], "10m"))
COUNTED = FieldAggregator("day", "amount", ["count"], FixedWindows(["1d"]))
EVENTS = [("c-1", "10:00", 5), ("c-1", "10:50", 6), ("c-1", "10:59:59", 7), ("c-1", "11:00", 8), ("c-1", "15:00", 7),
          ("c-2", "10:30", 100)]  # fmt: skip
NONE = (0, 0, NAN, NAN, 0)
TABLE = [
    ("c-1", f"{DAY}09:59:59", NONE, NONE),
    ("c-1", f"{DAY}10:00", (1, 5, 5.0, 5, 1), NONE),
    ("c-1", f"{DAY}10:59:59", (3, 18, 6.0, 7, 3), (2, 11, 5.5, 6, 2)),
    ("c-1", f"{DAY}11:00", (3, 21, 7.0, 8, 4), (2, 13, 6.5, 7, 3)),
    ("c-1", f"{DAY}11:49:59", (3, 21, 7.0, 8, 4), (3, 21, 7.0, 8, 4)),
    ("c-1", f"{DAY}11:50", (1, 8, 8.0, 8, 4), (1, 8, 8.0, 8, 4)),
    ("c-1", f"{DAY}12:00", (0, 0, NAN, NAN, 4), (0, 0, NAN, NAN, 4)),
    ("c-1", f"{DAY}15:00", (1, 7, 7.0, 7, 5), (0, 0, NAN, NAN, 4)),
    ("c-1", "2026-01-02T00:00", NONE, NONE),
    ("c-2", f"{DAY}11:29", (1, 100, 100.0, 100, 1), (1, 100, 100.0, 100, 1)),
    ("c-2", f"{DAY}11:30", (0, 0, NAN, NAN, 1), (0, 0, NAN, NAN, 1)),
    ("c-9", f"{DAY}11:30", NONE, NONE),
]
ASKED = [{"card": card, "time": time} for card, time, *_ in TABLE]


def events(*given: tuple[str, str, Any]) -> list[dict[str, Any]]:
    return [{"card": card, "time": f"{DAY}{time}", "amount": amount} for card, time, amount in given]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


@pytest.fixture
def cards(store: FeatureStore) -> FeatureSet:
    found = store.add(FeatureSet("W", key="card", time="time", aggregates=[PAID, COUNTED]))
    found.ingest(events(*EVENTS))
    return found


@pytest.fixture
def vector(store: FeatureStore, cards: FeatureSet) -> FeatureVector:
    return store.add(FeatureVector("vector", [f"W.{name}" for name in cards.windows]))


def same(found: list[dict[str, Any]], cards: FeatureSet, wanted: list[tuple[Any, ...]]) -> bool:
    rows = [tuple(row[name] for name in cards.windows) for row in found]
    return repr([tuple(map(float, row)) for row in rows]) == repr([tuple(map(float, row)) for row in wanted])


@pytest.mark.parametrize("before", [False, True])
def test_offline_online_and_replayed_are_the_values_of_the_contract(
    cards: FeatureSet, vector: FeatureVector, before: bool
) -> None:
    assert same(vector.offline(ASKED, before=before), cards, [row[3 if before else 2] for row in TABLE])
    parity = vector.parity(ASKED, before=before)
    assert parity["equal"].all()
    assert len(parity) == len(ASKED) * 5
    late = [row for row in TABLE if row[1] >= f"{DAY}15:00" or row[0] != "c-1"]
    online = [vector.online({"card": card}, time=time, before=before) for card, time, *_ in late]
    assert same(online, cards, [row[3 if before else 2] for row in late])


def test_windows_move_on_without_an_event(vector: FeatureVector) -> None:
    asked = {"card": "c-1", "time": f"{DAY}16:30"}
    assert (
        vector.offline(asked)["paid_sum_1h"] == vector.online({"card": "c-1"}, time=f"{DAY}16:30")["paid_sum_1h"] == 0
    )


def test_the_same_rows_again_are_counted_again_only_under_another_id(cards: FeatureSet, vector: FeatureVector) -> None:
    asked = {"card": "c-2", "time": f"{DAY}11:00"}
    found = []
    for id, amount in [(None, 100), ("x", 100), ("x", 1), ("y", 100)]:
        ingest = cards.ingest(events(("c-2", "10:30", amount)) if id else events(*EVENTS), id=id)
        online = vector.online({"card": "c-2"}, time=asked["time"])
        found.append((ingest.skipped, vector.offline(asked)["paid_sum_1h"], online["paid_sum_1h"]))
    assert found == [(True, 100, 100), (False, 200, 200), (True, 200, 200), (False, 300, 300)]


def test_what_had_arrived_by_then(store: FeatureStore) -> None:
    cards = store.add(FeatureSet("W", key="card", time="time", aggregates=[PAID], arrival="came"))
    came = [f"{DAY}11:20" if row[1] == "10:50" else f"{DAY}{row[1]}" for row in EVENTS]
    cards.ingest([{**event, "came": at} for event, at in zip(events(*EVENTS), came, strict=True)])
    vector = store.add(FeatureVector("vector", ["W.paid_count_1h", "W.paid_sum_1h"]))
    asked = [{"card": "c-1", "time": f"{DAY}{time}"} for time in ("11:00", "11:19:59", "11:20", "11:30")]
    known = [(row["paid_count_1h"], row["paid_sum_1h"]) for row in vector.offline(asked, as_known=True)]
    assert known == [(2, 15), (2, 15), (3, 21), (3, 21)]
    assert [row["paid_sum_1h"] for row in vector.offline(asked)] == [21, 21, 21, 21]


def test_the_rows_that_made_a_value(cards: FeatureSet) -> None:
    found = cards.explain(f"{DAY}11:00", card="c-1")
    rows = found[found["feature"] == "paid_sum_1h"]
    assert [f"{time:%H:%M:%S}" for time in rows["row_time"]] == ["10:50:00", "10:59:59", "11:00:00"]
    assert set(rows["value"]) == {21}
    assert set(rows["why"]) == {"in window 1h"}
    amount = found[found["feature"] == "amount"].iloc[0]
    assert (amount["value"], amount["why"]) == (8, "held since 2026-01-01T11:00:00+00:00")


def test_the_debugger_stands_at_the_last_event_of_a_moment(cards: FeatureSet) -> None:
    version = cards.offline.version()
    debugger = cards.debug(f"{DAY}11:00", card="c-1")
    assert debugger.current is not None
    assert debugger.current.input["amount"] == 8
    debugger.resume()
    assert debugger.answer["paid_sum_1h"] == 21
    assert cards.offline.version() == version


def test_a_graph_that_ends_in_windows_means_the_windows_of_the_set(store: FeatureStore) -> None:
    graph = Graph("W")
    graph.to("({**event, 'amount': event['cents'] / 100})", "euros").to(
        AggregateByKey([PAID, COUNTED], key="card", time_field="time")
    )
    cards = store.add(FeatureSet(graph, key="card", time="time"))
    cards.ingest([{"card": c, "time": f"{DAY}{t}", "cents": 100 * a} for c, t, a in EVENTS])
    vector = store.add(FeatureVector("vector", [f"W.{name}" for name in cards.windows]))
    assert [step.name for step in graph.steps] == ["euros", "AggregateByKey"]
    assert same(vector.offline(ASKED), cards, [row[2] for row in TABLE])
    debugger = cards.debug(f"{DAY}11:00", card="c-1", source=[{"card": "c-1", "time": f"{DAY}11:00", "cents": 800}])
    assert debugger.current is not None
    assert (debugger.current.step, debugger.resume()["paid_sum_1h"]) == ("euros", 8)


def test_windows_of_another_key_than_the_sets_are_refused() -> None:
    graph = Graph("W")
    graph.to(AggregateByKey([PAID], key="shop", time_field="time"))
    with pytest.raises(GraphError, match=r"key='shop'.*evaluated when they are asked for"):
        FeatureSet(graph, key="card", time="time")
