"""The view of a feature set in a browser: its picture counts while an ingest runs."""

import pytest
from host import Host

from nbgraph import Graph
from nbgraph.features import FeatureSet, FeatureStore
from nbgraph.steps import FieldAggregator, SlidingWindows

PAID = FieldAggregator("paid", "amount", ["sum"], SlidingWindows(["1h"], "10m"))


@pytest.fixture
def cards(tmp_path):
    graph = Graph("cards")
    graph.to(lambda row: row, "clean")
    store = FeatureStore(tmp_path)
    return store.add(FeatureSet(graph, key="card", time="time", aggregates=[PAID]))


def test_an_ingest_is_seen_step_by_step(context, cards):
    host = Host(context, cards.view())
    rows = [{"card": "c-1", "time": 1_767_262_000 + second, "amount": 1} for second in range(40)]
    assert cards.ingest(rows, progress=False).written == 40
    for step in ("clean", "windows", "offline", "online"):
        host.page.wait_for_selector(f'[data-step][aria-label^="{step} "][aria-label*="40"]')
    host.close()
