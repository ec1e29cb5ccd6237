"""Features with nbgraph: a store in a folder, asked for past moments and for now."""

from __future__ import annotations

import tempfile
from typing import Any

import features_work as work
from protocol import Run, serve

from nbgraph import Graph
from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
from nbgraph.steps import FieldAggregator, Filter, SlidingWindows

CARDS = 1000
END = work.START + 86_400 * work.DAYS
PAID = FieldAggregator("paid", "f0", ["sum", "count", "max"], SlidingWindows(["1h", "24h"], "10m"))


def filled(rows: int, *, online: bool, windows: bool = False) -> FeatureVector:
    store = FeatureStore(tempfile.mkdtemp())
    features = ["f9"] if windows else work.FEATURES
    made = FeatureSet("paid", "card", "time", aggregates=[PAID] if windows else [], features=features)
    found = store.add(made)
    found.ingest(work.payments(rows), online=online, progress=False)
    return store.add(FeatureVector("v", [f"paid.{name}" for name in (found.windows if windows else work.FEATURES)]))


def asking(windows: bool) -> Run:
    known: dict[int, Any] = {}

    def run(events: int) -> Any:
        if events not in known:
            known[events] = filled(events, online=False, windows=windows), work.asked(events)
        vector, asked = known[events]
        found = vector.offline(asked)
        return len(found) if windows else work.summed(found)

    return run


def reading(size: int, windows: bool = False) -> Run:
    vector = filled(CARDS * 100, online=True, windows=windows)

    def run(events: int) -> Any:
        found = 0.0
        for number in range(events):
            keys = [{"card": work.card(number + each)} for each in range(size)]
            rows = vector.online(keys, time=END)
            found += 1 if windows else sum(row["f0"] for row in rows)
        return round(found, 3)

    return run


def ingest() -> Run:
    def run(events: int) -> Any:
        graph = Graph("paid")
        graph.to(Filter(work.positive)).to(work.total).to(work.share)
        store = FeatureStore(tempfile.mkdtemp())
        made = store.add(FeatureSet(graph, "card", "time"))
        return made.ingest(work.payments(events), online=False, progress=False).written

    return run


serve(
    {
        "held": lambda: asking(False),
        "windows": lambda: asking(True),
        "online": lambda: reading(1),
        "many": lambda: reading(100),
        "online windows": lambda: reading(1, windows=True),
        "ingest": ingest,
    }
)
