"""A watched deployment: its workers' windows add up, alerts are handled once, labels come later."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nbgraph import Graph
from nbgraph.deploy.deployment import Deployment
from nbgraph.monitor import Backlog, Drift, Rule

SHIFT = 1000.0


def clean(body: dict[str, Any]) -> dict[str, Any]:
    return {"amount": body["amount"] * (100 if body.get("pence") else 1)}


def score(body: dict[str, Any]) -> dict[str, Any]:
    return {"p": min(body["amount"] / 1000, 1.0)}


class Page:
    """Writes alerts to a file, one a line."""

    def __init__(self, path: str) -> None:
        self.path = path

    def do(self, alert: dict[str, Any]) -> None:
        with open(self.path, "a") as file:
            file.write(json.dumps([alert["name"], alert["at"], alert["state"]]) + "\n")


def watched(path: Path) -> Graph:
    graph = Graph("fraud")
    graph.to(clean).to(score).respond()
    graph.alert_handler(Page, "page", path=str(path))
    baseline = graph.profile([{"amount": float(n * 137 % 500)} for n in range(5000)], every=200)
    graph.monitor(baseline, every="1s", share=1.0, score="p", rules=[Drift()])
    return graph


def until(is_so: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.1)
    return is_so()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("told") / "alerts"


@pytest.fixture(scope="module")
def deployment(told: Path) -> Iterator[Deployment]:
    with watched(told).deploy("process", workers=2, progress=False) as found:
        yield found


def send(deployment: Deployment, least: int, seconds: float, **more: Any) -> int:
    """So many requests, over so many windows; how many there were."""
    with httpx.Client(base_url=deployment.url, trust_env=False) as client:
        count, deadline = 0, time.monotonic() + seconds
        while count < least or time.monotonic() < deadline:
            client.post("/", json={"amount": float(count * 7 % 500), **more}, headers={"X-Event-Id": f"e-{count}"})
            count += 1
    return count


def test_what_two_workers_count_adds_up(deployment: Deployment) -> None:
    count = send(deployment, 300, 2.5)
    assert until(lambda: deployment.profile()["clean -> score"].events >= count)
    found = deployment.drift()
    assert (deployment.profile()["clean -> score"].events, found["drifted"].any(), deployment.alerts) == (
        count,
        False,
        [],
    )


def test_labels_by_the_event_s_id(deployment: Deployment) -> None:
    taken = deployment.labels([("e-1", 0, None), ("e-2", 1, None), ("nobody", 1, None)])
    found = deployment.quality()
    assert (taken, found["labels"].sum(), deployment.label("e-1", 0)) == (
        {"accepted": 2, "unknown": 1, "repeated": 0},
        2,
        {"accepted": 0, "unknown": 0, "repeated": 1},
    )


def test_an_alert_is_handled_once_and_opens_where_drift_begins(deployment: Deployment, told: Path) -> None:
    send(deployment, 1600, 3.5, pence=True)
    assert until(lambda: any(one.state == "firing" and one.at == "clean -> score" for one in deployment.alerts))
    began = next(one for one in deployment.alerts if one.at == "clean -> score")
    assert deployment.graph is not None
    debugger = deployment.graph.debug(began.events()[0])
    found = deployment.drift()
    assert (debugger.current.step, set(found[found["first"]].edge)) == ("score", {"clean -> score"})
    assert until(lambda: told.exists() and '["drift", "clean -> score", "firing"]' in told.read_text())
    lines = told.read_text().splitlines()
    assert len(lines) == len(set(lines))


def told_by(deployment: Deployment) -> str:
    return httpx.get(deployment.metrics_urls[0], trust_env=False).text


def test_prometheus_is_told_of_drift_quality_and_alerts(deployment: Deployment) -> None:
    assert until(lambda: 'nbgraph_alerts{at="clean -> score"' in told_by(deployment))
    lines = told_by(deployment).splitlines()
    names = {line.partition("{")[0] for line in lines if 'edge="clean -> score"' in line}
    assert names == {
        "nbgraph_field_distance", "nbgraph_field_limit", "nbgraph_field_missing_ratio", "nbgraph_field_unseen_ratio",
        "nbgraph_field_events_total", "nbgraph_field_quantile", "nbgraph_monitor_dropped_total",
    }  # fmt: skip
    about = {"nbgraph_quality", "nbgraph_label_coverage_ratio", "nbgraph_alerts"}
    assert about <= {line.partition("{")[0] for line in lines}


def slow(body: dict[str, Any]) -> dict[str, Any]:
    time.sleep(0.15)
    return body


def test_a_queue_that_fills_and_a_graph_in_which_nothing_comes_are_alerts() -> None:
    graph = Graph("queued")
    graph.to("(event)", "take").to("Queue", "waiting").to(slow, function="worker").respond()
    graph.monitor(every="1s", rules=[Backlog(3), Rule("event_rate == 0", over="1s")])
    with graph.deploy("process", progress=False) as found:

        def stands(name: str, at: str, state: str) -> bool:
            return any((one.name, one.at, one.state) == (name, at, state) for one in found.alerts)

        assert until(lambda: stands("rule", "", "firing"))
        with httpx.Client(base_url=found.url, trust_env=False, headers={"Prefer": "respond-async"}) as client:
            answers = {client.post("/", json={"n": number}).status_code for number in range(16)}
        assert (answers, until(lambda: stands("backlog", "waiting", "firing"))) == ({202}, True)
