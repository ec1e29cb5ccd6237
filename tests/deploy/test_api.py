"""A graph with routes, deployed: the gateway of a process takes the routes that the kernel takes, over queues too."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from nbgraph import Event, Graph
from nbgraph.deploy.deployment import Deployment
from nbgraph.deploy.operation.client import InvokeError

CELL = """%%graph shop --api
GET /users/{id} -> load -> respond
POST /users/{id}/orders {"amount": "$.order.amount!"} -> check -> Queue("orders") -> save@store -> respond
* /internal/* -> forbid
load -> note
"""
seen: list[object] = []


def load(body, id, limit: int = 10):
    return {"id": id, "limit": limit}


def note(body):
    return "noted"


def check(body):
    if body["amount"] < 0:
        raise ValueError("negative")
    return body


def save(body, *, id, tag: str = "", day: int = 1):
    if body["amount"] > 1000:
        raise ValueError(f"too much for {id}")
    return {**body, "by": id, "tag": tag}


def shop() -> Graph:
    return Graph.parse(CELL, namespace={"load": load, "note": note, "check": check, "save": save})


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployment]:
    deployment = shop().deploy("process", progress=False, cors=["https://shop.example"])
    try:
        yield deployment
    finally:
        deployment.stop()


def test_the_deployment_answers_and_refuses_as_the_kernel(deployed: Deployment) -> None:
    calls = [
        (None, "/users/a%2Fb?limit=3", "GET"),
        ({"order": {"amount": 3}}, "/users/7/orders?tag=x", "POST"),
        ({"order": {"amount": -3}}, "/users/7/orders", "POST"),
        ({"order": {}}, "/users/7/orders?day=x", "POST"),
        (None, "/users/7?limit=x", "GET"),
        (None, "/internal/keys", "GET"),
        (None, "/users/7", "DELETE"),
        (None, "/nothing", "GET"),
    ]
    table = deployed.parity([Event(body, path=path, method=method) for body, path, method in calls])
    assert (list(table["equal"]), list(table["deployed"])[:2]) == (
        [True] * 8,
        [{"id": "a/b", "limit": 3}, {"amount": 3, "by": "7", "tag": "x"}],
    )


def test_a_failed_request_is_debugged_before_the_step_that_failed(deployed: Deployment) -> None:
    for amount in (-1, 2000):
        with pytest.raises(InvokeError):
            deployed.invoke({"order": {"amount": amount}}, "/users/7/orders?tag=x")
    found = {}
    for failure in deployed.failures()[:2]:
        debugger = shop().debug(failure)
        found[debugger.current.step] = (failure.event.path, failure.event.params, debugger.current.input)
    params = {"tag": "x", "id": "7"}
    assert found == {
        "check": ("/users/7/orders", params, {"amount": -1}),
        "save": ("/users/7/orders", params, {"amount": 2000}),
    }


def test_status_codes_headers_and_cors_are_those_of_the_routes(deployed: Deployment) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    with httpx.Client(base_url=deployed.url, trust_env=False) as caller:
        put, head = caller.put("/users/7"), caller.head("/users/7", headers={"X-Request-Id": "r-1"})
        page = caller.options("/users/7", headers=asked)
        described = caller.get("/openapi.json").json()["paths"]
    assert [
        (put.status_code, put.headers["allow"]),
        (head.status_code, head.content, head.headers["x-request-id"]),
        (page.status_code, page.headers["access-control-allow-origin"]),
        list(described)[:2],
    ] == [
        (405, "GET, HEAD, OPTIONS"),
        (200, b"", "r-1"),
        (200, "https://shop.example"),
        ["/users/{id}", "/users/{id}/orders"],
    ]


def test_an_export_is_the_same_graph(tmp_path) -> None:
    shop().export(tmp_path / "shop")
    files = sorted(path.relative_to(tmp_path / "shop").as_posix() for path in tmp_path.rglob("graph.yaml"))
    read = [(tmp_path / "shop" / file).read_text() for file in files]
    assert (len(files), "GET /users/{id}" in read[0] or "GET /users/{id}" in read[1]) == (2, True)
