"""Deployed graphs that use a feature store: which rows they read, and what they take along."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph
from nbgraph.errors import DeployError
from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
from nbgraph.steps import AddFeatures, EnrichmentRouter, FeatureTarget, FieldAggregator, SlidingWindows
from tests.steps.redis_server import redis_server

DAY = "2026-01-01T"
PAID = FieldAggregator("paid", "amount", ["count", "sum"], SlidingWindows(["1h"], "10m"))
ASKED = {"card": "c-1", "at": f"{DAY}10:30"}
PASSWORD = "hush-12345678"


def payment(time: str, amount: int, country: str = "PT") -> dict[str, Any]:
    return {"card": "c-1", "time": f"{DAY}{time}", "amount": amount, "country": country}


def cards_in(store: FeatureStore) -> FeatureSet:
    cards = store.add(FeatureSet("cards", key="card", time="time", aggregates=[PAID], features=["country"]))
    cards.ingest([payment("10:00", 5)])
    return cards


def checkout(store: FeatureStore) -> Graph:
    vector = store.add(FeatureVector("fraud", ["cards.country", "cards.paid_sum_1h"]))
    graph = Graph("checkout")
    graph.to(AddFeatures(vector, time="at")).respond()
    return graph


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Redis that asks for a password."""
    import redis

    with redis_server() as url:
        redis.Redis.from_url(url).config_set("requirepass", PASSWORD)
        yield url.replace("redis://", f"redis://:{PASSWORD}@")


def test_a_snapshot_goes_along_and_stays_as_it_was(tmp_path: Path) -> None:
    cards = cards_in(FeatureStore(tmp_path / "store"))
    graph = checkout(cards.store)
    found = {**ASKED, "country": "PT", "paid_sum_1h": 5}
    with graph.deploy("process", snapshot=True, progress=False) as deployment:
        cards.ingest([payment("10:20", 6, "ES")])
        (tmp_path / "store").rename(tmp_path / "elsewhere")
        assert (deployment.invoke(ASKED), graph.run(ASKED)["country"]) == (found, "ES")
        (tmp_path / "elsewhere").rename(tmp_path / "store")
        deployment.update(progress=False)
        assert deployment.invoke(ASKED) == {**ASKED, "country": "ES", "paid_sum_1h": 11}
        drawn = [(edge.source, edge.target) for edge in cards.store.lineage().edges]
        assert drawn == [("list", "cards"), ("cards", "fraud"), ("fraud", "checkout on process")]
    assert "checkout on process" not in cards.store.lineage()


def test_a_file_that_containers_do_not_see_is_refused_wherever_it_is_used(tmp_path: Path) -> None:
    cards = cards_in(FeatureStore(tmp_path / "store"))
    vector = cards.store.add(FeatureVector("home", ["cards.country"]))
    hidden, router, writing = Graph("hidden"), Graph("router"), Graph("writing")
    hidden.to(lambda body: vector.online(body), "look")
    router.to(EnrichmentRouter(features=vector, routes={"m": "(event)"}))
    writing.to(FeatureTarget(cards))
    both = r'online="redis://\.\.\.".*snapshot=True, or deploy to "process"'
    for graph in (hidden, router, writing):
        with pytest.raises(DeployError, match=both):
            graph.deploy("docker")
        with pytest.raises(DeployError, match=both):
            graph.export(tmp_path / "out")
    with pytest.raises(DeployError, match='writes to the set "cards", and a snapshot is only read'):
        writing.deploy("docker", snapshot=True)


def test_a_snapshot_that_is_too_big_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = cards_in(FeatureStore(tmp_path / "store"))
    monkeypatch.setattr("nbgraph.deploy.options.features.LARGEST", 1000)
    with pytest.raises(DeployError, match=r"more than the 0 MB of a snapshot: give the store online=.redis"):
        checkout(cards.store).deploy("process", snapshot=True, progress=False)


def test_a_store_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    cards = cards_in(FeatureStore(tmp_path / "store"))
    graph = checkout(cards.store)
    with graph.deploy("process", progress=False) as deployment:
        shutil.rmtree(tmp_path / "store")
        with pytest.raises(Exception, match="is not here"):
            deployment.invoke(ASKED)
    assert not (tmp_path / "store").exists()


def test_the_password_of_a_store_is_a_secret(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeatureStore(tmp_path / "store", online=address)
    cards = cards_in(store)
    graph = checkout(store)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("nbgraph.deploy.options.features.LOCAL_HOSTS", ("nowhere",))
        project = graph.export(tmp_path / "out")
    named = subprocess.run(["grep", "-rl", PASSWORD, str(project.folder)], capture_output=True, text=True, check=False)
    assert (named.stdout, str(store.place.secret) in (project.folder / "secrets.sh").read_text()) == ("", True)
    with graph.deploy("process", progress=False) as deployment:
        cards.ingest([payment("10:20", 6, "ES")])
        assert deployment.invoke(ASKED) == graph.run(ASKED) == {**ASKED, "country": "ES", "paid_sum_1h": 11}
    with pytest.raises(DeployError, match=r"workers read them there\. Leave snapshot out"):
        graph.deploy("process", snapshot=True)
    with pytest.raises(DeployError, match=r"are at 127\.0\.0\.1, which is this machine alone"):
        graph.deploy("docker")
