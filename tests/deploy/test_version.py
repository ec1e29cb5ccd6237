"""A deployment has a version: told, or counted; it stands wherever somebody looks for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from nbgraph import DeployError, Deployment, Graph
from nbgraph.graph.documents.catalogue import GraphCatalogue


@pytest.fixture(autouse=True)
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GraphCatalogue:
    monkeypatch.setenv("NBGRAPH_CATALOG", str(tmp_path))
    return GraphCatalogue(tmp_path)


def added(n: int) -> Graph:
    graph = Graph("sums")
    graph.to(f"(event + {n})", "add").to("Queue", "added").to("(event * 1)", "far", function="far").respond()
    return graph


@pytest.fixture
def deployment(catalogue: GraphCatalogue) -> Iterator[Deployment]:
    with added(1).deploy("process", name="sums", version="1.2", progress=False) as deployed:
        yield deployed


def test_it_is_shown_everywhere(deployment: Deployment, catalogue: GraphCatalogue) -> None:
    health = httpx.get(f"{deployment.url}/health/ready", trust_env=False).json()
    record = json.loads((Path(deployment._hosted._folder) / "deployment.json").read_text())  # type: ignore[attr-defined]
    seen = [deployment.version, *deployment.status()["version"], health["version"], record["version"]]
    assert [*seen, catalogue.named("sums").version, health["deployment"]] == ["1.2"] * 6 + ["sums"]


def test_a_count_goes_up_with_what_changes(deployment: Deployment, catalogue: GraphCatalogue) -> None:
    far = added(1)
    far.remove("far")
    far.add_step("(event * 3)", "far", after="added", function="far").respond()
    seen = [(deployment.update(graph, progress=False), deployment.version) for graph in (added(1), added(2), far)]
    seen.append((deployment.update(far, version="2.0", progress=False), deployment.version))
    again = Deployment.attach("sums", target="process")
    assert (seen, again.version, deployment.invoke(1)) == (
        [([], "1.2"), (["sums"], "1"), (["sums", "far"], "2"), ([], "2.0")], "2.0", 6,
    )  # fmt: skip


def test_what_stops_has_left(catalogue: GraphCatalogue) -> None:
    graph = Graph("shout")
    graph.to(str.upper).respond()
    with graph.deploy("process", progress=False) as first:
        running = [(one.graph, one.version) for one in catalogue.running()]
    with graph.deploy("process", progress=False) as second:
        versions = [first.request.version, second.version]
    assert (running, versions, catalogue.running()) == ([("shout", "1")], ["1", "2"], [])


@pytest.mark.parametrize("version", ["", "a b", "../up", 3])
def test_a_version_that_no_header_takes_is_refused(version: str) -> None:
    with pytest.raises(DeployError, match="can't name a version"):
        added(1).deploy("process", version=version, progress=False)
