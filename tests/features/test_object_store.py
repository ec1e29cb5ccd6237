"""A store whose definitions and rows are in an object store: moto's S3."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbgraph.errors import FeatureError, GraphError
from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
from nbgraph.steps import FieldAggregator, SlidingWindows
from tests.steps.redis_server import free_port, wait_for

DAY = "2026-01-01T"
PAID = FieldAggregator("paid", "amount", ["count", "sum"], SlidingWindows(["1h"], "10m"))
Options = dict[str, str]


@pytest.fixture(scope="module")
def options() -> Iterator[Options]:
    """How a server with an empty bucket is reached."""
    pytest.importorskip("moto")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(port, 60)
        urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT"), timeout=20).close()
        yield {
            "aws_access_key_id": "id", "aws_secret_access_key": "hush", "aws_region": "us-east-1",
            "aws_endpoint_url": address, "aws_allow_http": "true",
        }  # fmt: skip
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBGRAPH_FEATURES", str(tmp_path / "home"))


def payment(card: str, time: str, amount: int) -> dict[str, Any]:
    return {"card": card, "time": f"{DAY}{time}", "amount": amount, "country": "PT"}


def cards_in(store: FeatureStore) -> FeatureSet:
    return store.add(FeatureSet("cards", key="card", time="time", aggregates=[PAID], features=["country"]))


def test_a_store_in_a_bucket_is_as_one_in_a_folder(options: Options) -> None:
    store = FeatureStore("s3://bucket/one", options=options)
    cards = cards_in(store)
    assert cards.ingest([payment("c-1", "10:00", 5), payment("c-2", "10:10", 7)]).online_version == 0
    assert (cards.ingest([payment("c-1", "10:00", 5), payment("c-2", "10:10", 7)]).skipped, len(cards.frame())) == (
        True, 2,
    )  # fmt: skip
    vector = store.add(FeatureVector("v", ["cards.*"]))
    asked = {"card": "c-1", "time": f"{DAY}10:30"}
    found = {"country": "PT", "paid_count_1h": 1, "paid_sum_1h": 5}
    assert (vector.offline(asked), vector.online(asked, time="time")) == ({**asked, **found}, found)
    with pytest.raises(GraphError, match='ttl was null and is "3h"'):
        store.add(FeatureSet("cards", key="card", time="time", aggregates=[PAID], features=["country"], ttl="3h"))
    assert (cards.delete("c-1"), vector.offline(asked)["country"], vector.online(asked, time="time")["country"]) == (
        1, None, None,
    )  # fmt: skip
    assert ("hush" in repr(store.place), cards.stats().loc["country", "count"]) == (False, 1)


def test_who_opens_it_elsewhere_has_the_same(options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = cards_in(FeatureStore("s3://bucket/two", options=options))
    cards.store.add(FeatureVector("v", ["cards.paid_sum_1h"]))
    cards.ingest([payment("c-1", "10:00", 5)])
    monkeypatch.setenv("NBGRAPH_FEATURES", str(tmp_path / "elsewhere"))
    other = FeatureStore("s3://bucket/two", options=options)
    assert (list(other), other["v"].online({"card": "c-1"}, time=f"{DAY}10:30")) == (
        ["cards", "v"], {"paid_sum_1h": 5},
    )  # fmt: skip
    other.remove("v")
    other.remove("cards")
    assert (list(other), cards_in(other).offline.version()) == ([], None)


WRITER = """
import sys
from nbgraph.features import FeatureStore
from tests.features.test_object_store import cards_in, payment
import json
cards = cards_in(FeatureStore("s3://bucket/three", options=json.loads(sys.argv[2])))
for number in range(4):
    cards.ingest([payment("c-1", "10:00", 1)] * 3, id=sys.argv[1] + str(number), progress=False)
"""


def test_two_writers_at_once_lose_nothing(options: Options) -> None:
    import json

    cards = cards_in(FeatureStore("s3://bucket/three", options=options))
    command = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*command, name, json.dumps(options)], cwd=Path(__file__).parents[2]) for name in "ab"]
    assert [each.wait(timeout=120) for each in writers] == [0, 0]
    numbers = cards.offline.frame().select("_seq").collect()["_seq"].to_list()
    assert (cards.offline.version(), sorted(numbers)) == (7, list(range(1, 25)))
    assert cards.store.sync() == {"cards": 7}


def test_an_address_that_is_not_there_is_named(options: Options) -> None:
    with pytest.raises(FeatureError, match="s3://nowhere/x"):
        cards_in(FeatureStore("s3://nowhere/x", options=options))
