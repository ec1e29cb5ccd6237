"""Routes at the gateway: what callers get, as HTTP says it; and what people expect of a service behind proxies."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Graph, RouteError
from nbgraph.graph.routes.route import Route
from nbgraph.serve.gateway.cors import sharing
from nbgraph.serve.gateway.limits import Limits
from nbgraph.serve.telemetry.logs import JsonLines
from tests.serve.gateway.test_app import Told, ask, gateway_of, graph_of, told

TEXT = """%%graph shop --api
GET /users/{id} -> load -> respond
GET /count/{n} -> count -> respond
POST /users/{id}/orders {"amount": "$.order.amount!"} -> check -> save -> respond
DELETE /users/{id} -> gone -> respond
* /internal/* -> forbid
"""


def load(body, id, limit: int = 10):
    return [id, limit, body]


def count(body, n: int):
    yield from range(n)


def check(body):
    return body


def save(body, *, id, tag: list[str] = ()):
    return {**body, "by": id, "tags": list(tag)}


def shop() -> Graph:
    names = {"load": load, "count": count, "check": check, "save": save, "gone": lambda body: None}
    return Graph.parse(TEXT, namespace=names)


def sent(method: str, path: str, graph: Graph | None = None, **given: Any) -> httpx.Response:
    return ask(
        gateway_of(graph or shop(), limits=given.pop("limits", None)),
        lambda caller: caller.request(method, path, **given),
    )


@pytest.mark.parametrize(("method", "path", "body", "answer"), [
    ("GET", "/users/7", None, (200, ["7", 10, None])),
    ("GET", "/users/a%2Fb?limit=3", None, (200, ["a/b", 3, None])),
    ("GET", "/users/caf%C3%A9", None, (200, ["café", 10, None])),
    ("POST", "/users/7/orders?tag=a&tag=b", {"order": {"amount": 3}},
     (200, {"amount": 3, "by": "7", "tags": ["a", "b"]})),
    ("DELETE", "/users/7", None, (204, b"")),
    ("GET", "/internal/keys", None, (403, {"error": "GET /internal/keys: forbidden."})),
    ("PUT", "/users/7", None, (405, {"error": "PUT /users/7: this path takes GET, DELETE, HEAD, OPTIONS."})),
    ("POST", "/users/7/orders", {"order": 1},
     (422, {"error": "POST /users/7/orders: it lacks $.order.amount.", "missing": ["$.order.amount"]})),
])  # fmt: skip
def test_requests_take_their_routes(method: str, path: str, body: Any, answer: object) -> None:
    assert told(sent(method, path, json=body) if body is not None else sent(method, path)) == answer


def test_what_is_not_there_names_the_routes() -> None:
    status, answer = told(sent("GET", "/nothing"))
    assert (status, "Routes: GET /users/{id}, GET /count/{n}" in answer["error"]) == (404, True)


def test_the_gateway_and_the_kernel_refuse_and_answer_alike() -> None:
    graph, calls = shop(), [("GET", "/users/7"), ("GET", "/x"), ("DELETE", "/count/1"), ("GET", "/users/1?limit=x")]
    here, there = [], []
    for method, path in calls:
        try:
            here.append((200, graph.run(None, path=path, method=method)))
        except Exception as error:
            here.append((error.status, str(error)))
        status, answer = told(sent(method, path))
        there.append((status, answer["error"] if status != 200 else answer))
    assert here == there


parts = st.sampled_from(["a", "b", "é", "a/b", "100%", "x y", "{p}", "*", "+", "%2F", "ü?", "#", "c"])
requests = st.lists(
    st.tuples(
        st.sampled_from(["GET", "POST", "PUT"]),
        st.lists(parts, min_size=1, max_size=4),
        st.sampled_from(["", "?b=1", "?b=x%20y&b=2", "?p=q"]),
    ),
    min_size=20,
    max_size=20,
)
templates = st.lists(st.sampled_from(["a", "b", "{p}", "c"]), min_size=1, max_size=3, unique=True)
routes = st.lists(st.tuples(st.sampled_from(["GET", "POST", "*"]), templates, st.booleans()), min_size=1, max_size=6)


def echo(body, p=None, b=None):
    return [body, p, b]


@settings(max_examples=25, deadline=None)
@given(routes, requests)
def test_random_requests_come_to_the_same_in_the_kernel_and_at_the_gateway(drawn: Any, asked: Any) -> None:
    graph, shapes = Graph("g"), set()
    for method, template, is_open in drawn:
        route = Route(method, f"/{'/'.join(template)}{'/*' if is_open else ''}")
        if route.shape not in shapes:
            graph.api(method, route.path, to="echo" if shapes else echo)
        shapes.add(route.shape)
    sent_as = [(method, "/" + "/".join(quote(part, safe="") for part in path) + query) for method, path, query in asked]

    def here(method: str, path: str) -> Told:
        try:
            return 200, graph.run(None if method == "GET" else {"z": 1}, path=path, method=method)
        except RouteError as error:
            return error.status, str(error)

    async def talk(caller: httpx.AsyncClient) -> list[Told]:
        bodies = [None if method == "GET" else {"z": 1} for method, _ in sent_as]
        replies = [await caller.request(*one, json=body) for one, body in zip(sent_as, bodies, strict=True)]
        return [(one.status_code, one.json() if one.is_success else one.json()["error"]) for one in replies]

    assert ask(gateway_of(graph), talk) == [here(*one) for one in sent_as]


def test_head_and_options_and_allow() -> None:
    head, options = sent("HEAD", "/users/7"), sent("OPTIONS", "/users/7")
    refused, plain = sent("PUT", "/users/7"), sent("OPTIONS", "/", graph_of(str))
    assert [
        (head.status_code, head.content, head.headers["content-length"]),
        (options.status_code, options.headers["allow"]),
        (refused.status_code, refused.headers["allow"]),
        (plain.status_code, plain.headers["allow"]),
    ] == [
        (200, b"", "13"),
        (204, "GET, DELETE, HEAD, OPTIONS"),
        (405, "GET, DELETE, HEAD, OPTIONS"),
        (204, "POST, OPTIONS"),
    ]


def test_chunks_and_later_answers_take_routes_too() -> None:
    async def talk(caller: httpx.AsyncClient) -> list[Any]:
        lines = await caller.get("/count/3", headers={"Accept": "application/x-ndjson"})
        refused = await caller.get("/count/x", headers={"Accept": "application/x-ndjson"})
        later = await caller.get("/users/7?limit=2", headers={"Prefer": "respond-async, wait=0"})
        for _ in range(50):
            answer = await caller.get(later.headers["location"])
            if answer.status_code != 202:
                break
            await asyncio.sleep(0.01)
        return [lines.text, refused.status_code, later.status_code, answer.json()]

    assert ask(gateway_of(shop()), talk) == ["0\n1\n2\n", 422, 202, ["7", 2, None]]


def test_openapi_lists_the_routes() -> None:
    paths = sent("GET", "/openapi.json").json()["paths"]
    order = paths["/users/{id}/orders"]["post"]
    assert [
        list(paths)[:3],
        [(one["name"], one["in"]) for one in paths["/users/{id}"]["get"]["parameters"][:2]],
        paths["/users/{id}"]["get"]["parameters"][1]["schema"],
        sorted(paths["/users/{id}"]),
        order["requestBody"]["content"]["application/json"]["schema"]["required"],
        "/internal/{path}" in paths,
    ] == [
        ["/users/{id}", "/count/{n}", "/users/{id}/orders"],
        [("id", "path"), ("limit", "query")],
        {"type": "integer"},
        ["delete", "get"],
        ["order"],
        False,
    ]  # fmt: skip


def test_pages_of_named_origins_call_by_the_methods_of_the_routes() -> None:
    gateway = gateway_of(shop())
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "DELETE"}

    async def talk() -> list[Any]:
        transport = httpx.ASGITransport(app=sharing(gateway, ["https://shop.example"], gateway.methods))
        async with httpx.AsyncClient(transport=transport, base_url="http://nb") as caller:
            mine = await caller.options("/users/7", headers=asked)
            other = await caller.options("/users/7", headers={**asked, "Origin": "https://other.example"})
            chat = {**asked, "Access-Control-Request-Headers": "authorization, x-stainless-os"}
            script = await caller.options("/users/7", headers=chat)
            told = [one.status_code for one in (mine, other, script)]
            return [*told, mine.headers["access-control-allow-methods"]]

    assert asyncio.run(talk()) == [200, 400, 200, "GET, POST, DELETE, HEAD, OPTIONS"]


# --- ids ---


def test_ids_of_requests_and_events_come_back() -> None:
    given = sent("POST", "/", graph_of(str.upper), content="a", headers={"X-Request-Id": "r-1", "X-Event-Id": "e-1"})
    bare = sent("POST", "/", graph_of(str.upper), content="a")
    wrong = [
        sent("POST", "/", graph_of(str.upper), content="a", headers={"X-Event-Id": id}).status_code
        for id in ("e" * 201, "é".encode(), "e\t1")
    ]
    refused = sent("GET", "/nothing", headers={"X-Request-Id": "r-2"})
    assert [
        (given.headers["x-request-id"], given.headers["x-event-id"]),
        ("x-request-id" in bare.headers, len(bare.headers["x-event-id"]) > 10),
        wrong,
        refused.headers["x-request-id"],
    ] == [("r-1", "e-1"), (False, True), [400, 400, 400], "r-2"]


def test_an_event_of_the_same_id_is_not_run_again() -> None:
    runs: list[Any] = []

    async def talk(caller: httpx.AsyncClient) -> list[Any]:
        named = {"X-Event-Id": "e-1"}
        first, again = [await caller.post("/", content="a", headers=named) for _ in range(2)]
        other = await caller.post("/", content="b", headers=named)
        return [first.text, again.text, other.status_code, runs]

    graph = graph_of(lambda body: runs.append(body) or body)
    assert ask(gateway_of(graph), talk) == ["a", "a", 422, ["a"]]


def test_the_request_stands_in_the_logs_of_its_steps() -> None:
    lines: list[dict[str, Any]] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JsonLines().format(record)))

    def speak(body, context):
        context.logger.warning("here")
        return body

    logger, kept = logging.getLogger("nbgraph.g"), Kept()
    logger.addHandler(kept)
    try:
        sent("POST", "/", graph_of(speak), content="a", headers={"X-Request-Id": "r-7"})
    finally:
        logger.removeHandler(kept)
    assert [(line["message"], line["request_id"]) for line in lines] == [("here", "r-7")]


# --- gzip ---


def test_bodies_come_in_packed_within_limits() -> None:
    limits = Limits(body_bytes=1000)

    def post(body: bytes) -> int:
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
        return sent("POST", "/", graph_of(len), content=body, headers=headers, limits=limits).status_code

    whole = gzip.compress(b"x" * 1000)
    found = [
        post(whole),
        post(gzip.compress(b"x" * 1001)),
        post(gzip.compress(bytes(10**7))),
        post(b"nothing"),
        post(whole[:-4]),
    ]
    assert found == [200, 413, 413, 400, 400]


@pytest.mark.parametrize(("accepted", "size", "encoding"), [
    ("gzip", 5000, "gzip"), ("gzip", 100, None), ("gzip;q=0", 5000, None), ("identity", 5000, None),
    ("br, *", 5000, "gzip"),
])  # fmt: skip
def test_answers_go_out_packed_where_that_is_asked_for(accepted: str, size: int, encoding: str | None) -> None:
    answer = sent("POST", "/", graph_of(lambda body: "x" * size), content="a", headers={"Accept-Encoding": accepted})
    assert (answer.headers.get("content-encoding"), answer.text) == (encoding, "x" * size)
