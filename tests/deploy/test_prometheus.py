"""A real Prometheus finds the workers of a deployment, reads all that they tell, and its alerts fire."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from nbgraph import Graph
from nbgraph.contract import TARGETS_PATH, beside_metrics
from nbgraph.deploy.deployment import Deployment
from nbgraph.errors import NbgraphError
from nbgraph.monitor.grafana import expressions
from tests.lab.needs import needs_prometheus
from tests.lab.promtool import PrometheusServer, prometheus_server, promtool, until

pytestmark = needs_prometheus()


def divide(body, context):
    context.count("seen")
    context.observe("amount", body)
    context.metric("last", body)
    return 1 / body


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    graph = Graph("shop")
    graph.to("(event)", "come").to("Queue", "orders").to(divide, function="worker").respond()
    with graph.deploy("process", replicas={"worker": 2}, progress=False) as deployed:
        for body in (1, 2, 4, 0):
            with contextlib.suppress(NbgraphError):
                deployed.invoke(body)
        yield deployed


@pytest.fixture(scope="module")
def exported(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deployment.export_monitoring(tmp_path_factory.mktemp("monitoring"))


@pytest.fixture(scope="module")
def prometheus(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    often = exported / "often.yml"  # as it is written, but for how long a test takes
    often.write_text((exported / "prometheus.yml").read_text().replace(": 5s", ": 1s").replace(": 2s", ": 1s"))
    with prometheus_server(often, tmp_path_factory.mktemp("data")) as server:
        yield server


def workers(deployment: Deployment) -> list[str]:
    return sorted(url.split("/")[2] for url in deployment.metrics_urls)


def test_what_workers_tell_is_in_order(deployment: Deployment) -> None:
    told = [httpx.get(url, trust_env=False).text for url in deployment.metrics_urls]
    assert [promtool("check", "metrics", text=text) for text in told] == [(0, "")] * 3


def test_every_worker_knows_where_all_of_them_are(deployment: Deployment) -> None:
    places = [beside_metrics(url, TARGETS_PATH) for url in deployment.metrics_urls]
    told = {httpx.get(place, trust_env=False).text for place in places}
    (group,) = json.loads(told.pop())
    assert (told, sorted(group["targets"]), group["labels"]) == (
        set(), workers(deployment), {"deployment": deployment.name},
    )  # fmt: skip


def test_workers_are_found_panels_have_lines_and_alerts_fire(
    deployment: Deployment, exported: Path, prometheus: PrometheusServer
) -> None:
    first = until(lambda: prometheus.up() == workers(deployment))
    board = json.loads((exported / "grafana.json").read_text())

    def empty() -> list[str]:
        with contextlib.suppress(NbgraphError):
            deployment.invoke(0)  # one more dead letter
        return [title for title, expression in expressions(board) if not prometheus.ask(expression)]

    until(lambda: not empty(), 20)
    fired = until(lambda: prometheus.ask('ALERTS{alertstate="firing",alertname="NbgraphDeadLetters"}'))
    deployment.scale("worker", 4)
    scaled = until(lambda: prometheus.up() == workers(deployment) and len(prometheus.up()) == 5)
    killed = _kill_one(deployment)
    until(lambda: killed not in workers(deployment))
    again = until(lambda: prometheus.up() == workers(deployment) and len(prometheus.up()) == 5)
    assert (first, empty(), len(fired), scaled, again) == (True, [], 1, True, True)


def _kill_one(deployment: Deployment) -> str:
    """End a worker the hard way; where it told its numbers."""
    hosted = deployment._hosted
    member = hosted._members["worker"][0]  # type: ignore[attr-defined]
    place = str(member.metrics_url).split("/")[2]
    os.kill(member.pid, signal.SIGKILL)
    return place
