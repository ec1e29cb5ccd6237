"""Features in graphs: beside an event, in the kernel and in a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from nbgraph import Graph, StepError
from nbgraph.errors import GraphError
from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
from nbgraph.features.ingest import write_rows
from nbgraph.steps import AddFeatures, EnrichmentRouter, FeatureTarget, FieldAggregator, SlidingWindows

DAY = "2026-01-01T"
PAID = FieldAggregator("paid", "amount", ["count", "sum"], SlidingWindows(["1h"], "10m"))
ASKED = {"card": "c-1", "amount": 9, "at": f"{DAY}10:30"}
FOUND = {**ASKED, "country": "PT", "paid_count_1h": 1, "paid_sum_1h": 5, "ratio": 1.8}


def ratio(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "ratio": row["amount"] / (row["paid_sum_1h"] or 1)}


@pytest.fixture
def cards(tmp_path: Path) -> FeatureSet:
    store = FeatureStore(tmp_path / "store")
    found = store.add(FeatureSet("cards", key="card", time="time", aggregates=[PAID], features=["country"]))
    found.ingest([{"card": "c-1", "time": f"{DAY}10:00", "amount": 5, "country": "PT"}])
    return found


@pytest.fixture
def checkout(cards: FeatureSet) -> Graph:
    derive, graph = Graph("derive"), Graph("checkout")
    derive.to(ratio)
    vector = cards.store.add(FeatureVector("fraud", ["cards.*"], graph=derive))
    graph.to(AddFeatures(vector, time="at")).respond()
    return graph


def test_features_stand_beside_the_body(checkout: Graph) -> None:
    assert checkout.run(ASKED) == FOUND
    frame = pd.DataFrame([ASKED, {**ASKED, "card": "c-2"}], index=[7, 8])
    answer = checkout.run(frame)
    assert (answer.loc[7].to_dict(), answer.index.tolist()) == (FOUND, [7, 8])
    assert checkout.run(pl.DataFrame([ASKED])).to_dicts() == [FOUND]


def test_a_deployed_graph_has_the_features_that_are_ingested_meanwhile(cards: FeatureSet, checkout: Graph) -> None:
    with checkout.deploy("process", progress=False) as deployment:
        before = deployment.invoke(ASKED)
        cards.ingest([{"card": "c-1", "time": f"{DAY}10:20", "amount": 6, "country": "ES"}])
        after = deployment.invoke(ASKED)
        assert (before, after) == (FOUND, checkout.run(ASKED))
        assert (after["country"], after["paid_sum_1h"]) == ("ES", 11)


def test_only_a_vector_has_features() -> None:
    with pytest.raises(GraphError, match="got a str as vector; expected a FeatureVector"):
        AddFeatures("fraud")  # type: ignore[arg-type]


def paying(cards: FeatureSet) -> Graph:
    graph = Graph("pay")
    graph.to(FeatureTarget(cards, max_events=3, flush_after_seconds=None))
    return graph


def payment(time: str, amount: int = 1, **fields: Any) -> dict[str, Any]:
    return {"card": "c-1", "time": f"{DAY}{time}", "amount": amount, "country": "PT", **fields}


def paid(vector: FeatureVector) -> tuple[Any, Any]:
    online = vector.online({"card": "c-1"}, time=f"{DAY}10:55")
    offline = vector.offline({"card": "c-1", "time": f"{DAY}10:55"})
    return online["paid_sum_1h"], offline["paid_sum_1h"]


def test_events_are_seen_online_at_once_and_offline_many_at_a_time(cards: FeatureSet) -> None:
    vector = cards.store.add(FeatureVector("paid", ["cards.paid_sum_1h", "cards.country"]))
    graph, seen = paying(cards), []
    for amount, id in [(10, "a"), (20, "b"), (20, "b"), (100, "c"), (1000, "d")]:
        graph.run(payment("10:50", amount), id=id)
        seen.append(paid(vector))
    assert seen == [
        (15, 5), (35, 5), (35, 35), (135, 35), (1135, 35),
    ]  # fmt: skip
    cards.store.sync()
    assert paid(vector) == (1135, 1135)
    graph.run(payment("10:50", 1000), id="d")
    assert (paid(vector), len(cards.frame())) == ((1135, 1135), 5)


def test_what_somebody_left_who_was_killed_is_written_by_the_next(cards: FeatureSet) -> None:
    vector = cards.store.add(FeatureVector("paid", ["cards.paid_sum_1h"]))
    paying(cards).run(payment("10:50", 10))
    online = cards.store.online
    online.gather(cards.id, "lost")  # and here it was killed
    assert paid(vector) == (15, 5)
    write_rows(cards, online.batches(cards.id)["lost"], "lost")  # or here
    assert paid(vector) == (15, 15)
    cards.store.sync()
    assert (paid(vector), online.batches(cards.id)) == ((15, 15), {})


def test_a_stream_ends_with_all_that_came_offline_and_bad_events_fail(cards: FeatureSet) -> None:
    graph = paying(cards)
    assert len(list(graph.stream([payment("10:50"), payment("10:51")]))) == 2
    assert len(cards.frame()) == 3
    with pytest.raises(StepError, match="has the text 'a lot'"):
        graph.run(payment("10:52", "a lot"))  # type: ignore[arg-type]
    assert cards.store.online.read(cards.id, ['"c-1"'])[0][1] == ()


def test_a_router_enriches_requests_by_a_vector(cards: FeatureSet) -> None:
    vector = cards.store.add(FeatureVector("home", ["cards.country", "cards.paid_count_1h"]))
    graph = Graph("g")
    router = EnrichmentRouter(features=vector, impute_policy={"country": "??"})
    graph.to(router, "models").add_route("m1", "(event['inputs'])")
    inputs = [["c-1"], "c-2", {"card": "c-1", "amount": 5}]
    assert graph.run({"inputs": inputs}) == [
        ["PT", 0], ["??", 0], {"card": "c-1", "amount": 5, "country": "PT", "paid_count_1h": 0},
    ]  # fmt: skip
    with pytest.raises(GraphError, match="got features=vector and table="):
        EnrichmentRouter(features=vector, table={})
