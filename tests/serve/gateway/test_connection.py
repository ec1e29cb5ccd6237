"""What the gateway's socket bears before anybody knows who calls."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbgraph import Graph
from nbgraph.serve.gateway.limits import Limits
from tests.serve.served import gateway_of, hosted

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
EVENT = HEAD + b"Connection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
LIMITS = Limits(header_bytes=8192, header_count=20, header_seconds=0.3, connections=12, body_bytes=1000, in_flight=4)


@contextmanager
def running(limits: Limits = LIMITS) -> Iterator[int]:
    graph = Graph("g")
    graph.to("(event)").respond()
    gateway = gateway_of(graph, limits)
    with hosted(gateway) as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running() as found:
        yield found


def told(port: int, *parts: bytes, pause: float = 0.0) -> tuple[int, str]:
    """The status and the error's text, or what else came."""
    with socket.create_connection(("127.0.0.1", port), 5) as caller:
        for part in parts:
            try:
                caller.sendall(part)
            except OSError:
                break  # answered already
            time.sleep(pause)
        found = b""
        while (part := caller.recv(65536)) or not found:
            found += part
            if not part or _is_whole(found):
                break
    head, _, body = found.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body).get("error", "") if body else ""


def _is_whole(found: bytes) -> bool:
    head, _, body = found.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(lengths) and len(body) >= int(lengths[0].split(b":")[1])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([EVENT], (200, "")),
        ([HEAD + b"X: " + b"a" * 9000 + b"\r\n\r\n"], (431, "The headers are longer than 8192 bytes")),
        ([HEAD + b"X: ", b"a" * 5000, b"a" * 5000], (431, "The headers are longer than 8192 bytes")),
        ([HEAD + b"X" * 9000], (431, "The headers are longer than 8192 bytes")),
        ([b"POST /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n"], (431, "The headers are longer than 8192 bytes")),
        ([HEAD + b"X: 1\r\n" * 30 + b"\r\n"], (431, "There are more than 20 headers")),
        ([HEAD + b"X: 1\r\n"], (408, "The headers did not arrive within 0.3 seconds.")),
        ([b""], (408, "The headers did not arrive within 0.3 seconds.")),
        ([HEAD + b"Authorization: a\r\nauthorization: b\r\n\r\n"], (400, "The header authorization stands twice.")),
        ([b"GET /health/live HTTP/1.1\r\n\r\n"], (400, "The request has no Host header.")),
        ([b"GET /\r\n\r\n"], (505, "HTTP/0.9 is not spoken here")),
        ([b"\x00\x01hello\r\n\r\n"], (400, "The request is not HTTP.")),
        ([b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\x00: b\r\n\r\n"], (400, "The request is not HTTP.")),
        ([HEAD + b"Content-Length: 5000\r\n\r\n"] + [b"a" * 500] * 10, (413, "The body is longer than 1000 bytes")),
        (
            [HEAD + b"Transfer-Encoding: chunked\r\n\r\n"] + [b"200\r\n" + b"a" * 512 + b"\r\n"] * 20,
            (413, "The body is longer than 1000 bytes"),
        ),
    ],
)
def test_what_a_caller_is_told(port: int, parts: list[bytes], expected: tuple[int, str]) -> None:
    status, error = told(port, *parts, pause=0.01 if len(parts) > 1 else 0)
    assert (status, error[: len(expected[1])]) == expected


def test_silent_connections_give_way_to_those_that_ask(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
    half = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
    try:
        for one in half:
            one.send(HEAD)
        assert [told(port, EVENT)[0] for _ in range(3)] == [200] * 3
    finally:
        for one in silent + half:
            one.close()


def test_bodies_that_have_begun_take_no_place_in_flight() -> None:
    with running(Limits(in_flight=2)) as port:
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
        try:
            for one in slow:
                one.send(HEAD + b"Content-Length: 10\r\n\r\n{")
            time.sleep(0.1)
            assert told(port, EVENT)[0] == 200
        finally:
            for one in slow:
                one.close()


def test_all_bodies_together_are_bounded() -> None:
    with running(Limits(arriving_bytes=100_000)) as port:
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        try:
            for one in slow:
                one.send(HEAD + b"Content-Length: 50000\r\n\r\n" + b"a" * 30_000)
            time.sleep(0.2)
            status, error = told(port, HEAD + b"Content-Length: 40000\r\n\r\n" + b"a" * 20_000)
            assert (status, error) == (429, "100000 bytes of bodies are arriving, the most that are taken at once.")
        finally:
            for one in slow:
                one.close()


def test_a_connection_goes_on_after_an_answer_that_came_before_the_body_was_read(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as caller:
        assert [caller.post("/", content=b"a" * size).status_code for size in (5000, 10, 200_000, 10)] == [413, 200] * 2


LINES = [b"POST / HTTP/1.1", b"GET /v2 HTTP/1.1", b"PUT /%zz HTTP/1.0", b"POST http://[ HTTP/1.1", b"A B C"]
HEADERS = [
    b"Host: a", b"Content-Length: 3", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"Connection: close",
    b"Expect: 100-continue", b"Upgrade: websocket", b"Connection: upgrade", b"Accept: text/event-stream",
    b"Content-Type: application/json", b"Prefer: respond-async", b"X-Request-Timeout: x", b"traceparent: \xff",
    b"Inference-Header-Content-Length: 99", b"Idempotency-Key: ", b": x", b"A\x00: b",
]  # fmt: skip
BODIES = [b"", b"{}", b"[1", b"5\r\nabcde\r\n0\r\n\r\n", b"zz\r\n", b"9" * 4000]
requests = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda line, headers, body: line + b"\r\n" + b"\r\n".join([*headers, b"", b""]) + body,
        st.sampled_from(LINES),
        st.lists(st.sampled_from(HEADERS) | st.binary(max_size=20), max_size=8),
        st.sampled_from(BODIES) | st.binary(max_size=40),
    ),
)


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(requests)
def test_random_bytes_are_refused_or_answered_and_the_gateway_lives(port: int, request: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 5) as caller:
        caller.sendall(request)
        caller.settimeout(0.05)  # what is not whole waits for its rest
        found = b""
        with suppress(OSError):
            while part := caller.recv(65536):
                found += part
    assert (b" 500 " in found[:20], b"Traceback" in found) == (False, False)


def test_the_gateway_is_there_after_all_that(port: int) -> None:
    assert told(port, EVENT) == (200, "")
