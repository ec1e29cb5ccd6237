"""Features in graphs: beside an event, in the kernel and in a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from nbgraph import Graph
from nbgraph.errors import GraphError
from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
from nbgraph.steps import AddFeatures, FieldAggregator, SlidingWindows

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
