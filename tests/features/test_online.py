"""One set of stories for all that online rows may be in: SQLite, Redis, PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from nbgraph import Graph
from nbgraph.errors import DeployError, FeatureError
from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
from nbgraph.features.online.record import Advance, KeyMetadata, Waiting
from nbgraph.steps import AddFeatures, FeatureTarget, FieldAggregator, SlidingWindows
from tests.steps.postgres_server import postgres_server
from tests.steps.redis_server import redis_server

DAY = "2026-01-01T"
PAID = FieldAggregator("paid", "amount", ["count", "sum"], SlidingWindows(["1h"], "10m"))


@pytest.fixture(scope="module", params=["sqlite", "redis", "postgresql"])
def url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
    else:
        with redis_server() if request.param == "redis" else postgres_server() as found:
            yield found


@pytest.fixture
def cards(url: str | None, tmp_path: Path) -> Iterator[FeatureSet]:
    store = FeatureStore(tmp_path / "store", online=url)
    name = f"cards-{uuid4().hex}"
    found = store.add(FeatureSet(name, key="card", time="time", aggregates=[PAID], features=["country"]))
    found.ingest([payment("c-1", "10:00", 5), payment("c-2", "10:10", 7)])
    yield found
    store.online.close()


def payment(card: str, time: str, amount: int, country: str = "PT") -> dict[str, Any]:
    return {"card": card, "time": f"{DAY}{time}", "amount": amount, "country": country}


def vector_of(cards: FeatureSet) -> FeatureVector:
    return cards.store.add(FeatureVector("vector", [f"{cards.name}.country", f"{cards.name}.paid_sum_1h"]))


def seen(cards: FeatureSet, *keys: str) -> list[tuple[Any, ...]]:
    vector = vector_of(cards)
    return [tuple(row.values()) for row in vector.online([{"card": key} for key in keys], time=f"{DAY}10:30")]


def test_what_is_ingested_is_read_by_key(cards: FeatureSet) -> None:
    assert seen(cards, "c-2", "c-1", "c-9", "c-2") == [("PT", 7), ("PT", 5), (None, 0), ("PT", 7)]
    cards.ingest([payment("c-1", "10:20", 6, "ES"), payment("c-1", "09:55", 100, "FR")])
    assert seen(cards, "c-1") == [("ES", 111)]
    assert cards.store.online_version(cards) == cards.offline.version() == 1


def test_events_wait_where_they_are_seen_until_they_are_offline(cards: FeatureSet) -> None:
    graph = Graph("g")
    graph.to(FeatureTarget(cards, flush_after_seconds=None))
    for id in ("a", "b", "a"):
        graph.run(payment("c-1", "10:20", 10, "ES"), id=id)
    cards.store.online.gather(cards.id, "lost")
    assert (seen(cards, "c-1", "c-2"), len(cards.frame())) == ([("ES", 25), ("PT", 7)], 2)
    assert [len(rows) for rows in cards.store.online.batches(cards.id).values()] == [2]
    cards.store.sync()
    assert (seen(cards, "c-1"), len(cards.frame())) == ([("ES", 25)], 4)
    assert cards.store.online.batches(cards.id) == {}


def test_a_step_that_follows_another_version_is_refused_whole(cards: FeatureSet) -> None:
    online = cards.store.online
    about = online.about(cards.id)
    assert about is not None
    was = KeyMetadata(about.version + 5, 0, {})
    assert not online.advance(cards.id, was, Advance(was, {'"c-1"': b"x"}, clear=True))
    assert (online.about(cards.id), seen(cards, "c-1")) == (about, [("PT", 5)])


def test_a_deleted_key_is_gone_and_a_dropped_set_too(cards: FeatureSet) -> None:
    cards.delete("c-1")
    assert seen(cards, "c-1", "c-2") == [(None, 0), ("PT", 7)]
    online = cards.store.online
    online.wait(cards.id, [Waiting("e", '"c-2"', 0, {"country": "US"})])
    online.drop(cards.id)
    assert (online.about(cards.id), online.read(cards.id, ['"c-2"'])[0][0]) == (None, None)


SERVING = """
import sys
for name in ("polars", "deltalake", "pandas", "numpy", "pyarrow"):
    sys.modules[name] = None
from nbgraph.features import FeatureVector
from nbgraph.features.place import StorePlace
vector = FeatureVector("v", [f"{sys.argv[1]}.country", f"{sys.argv[1]}.paid_sum_1h"])
vector.bind(StorePlace(sys.argv[2], *(sys.argv[3:] or [None]), ()))
print(vector.online({"card": "c-1"}, time="2026-01-01T10:30"))
"""


def test_whoever_serves_needs_neither_the_folder_nor_frames(cards: FeatureSet, url: str | None) -> None:
    place = [cards.store.path] if url is None else ["/nowhere", url]
    command = [sys.executable, "-c", SERVING, cards.name, *place]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("{'country': 'PT', 'paid_sum_1h': 5}\n", "")


def test_a_container_is_given_what_reads_the_online_rows_or_refused(cards: FeatureSet, url: str | None) -> None:
    graph = Graph("g")
    graph.to(AddFeatures(vector_of(cards))).respond()
    if url is None:
        with pytest.raises(DeployError, match=r'give the store online="redis://\.\.\.".*or deploy to "process"'):
            graph.deploy("docker")
    else:
        wanted = {"redis"} if url.startswith("redis") else {"sqlalchemy", "psycopg"}
        found = {line.partition("==")[0].lower() for line in graph.captured().requirements}
        assert (found & {"redis", "sqlalchemy", "psycopg", "polars", "deltalake"}) == wanted


def test_another_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=r'got online="mysql://...".*"redis://..."'):
        _ = FeatureStore(tmp_path / "store", online="mysql://user:secret@host/db").online
