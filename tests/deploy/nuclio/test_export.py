"""The export for Nuclio: handlers called as Nuclio calls them, with events of its SDK; there is no Nuclio in a test."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from nbgraph import Graph
from nbgraph.contract import OPTIONS_VARIABLE
from nbgraph.steps import Queue
from nbgraph.streams.nats.server import NatsServer

# What Nuclio's processes do: load the handler, make it ready, give it the events that come, write the answers.
DRIVER = """
import importlib, json, sys
import nuclio_sdk
from nuclio_sdk.event import EventDeserializerKinds
sys.path.insert(0, sys.argv[1])
module = importlib.import_module("nuclio_handler")
context = nuclio_sdk.Context(worker_id=sys.argv[2])
module.init_context(context)
print("ready", flush=True)
for line in sys.stdin:
    told = json.loads(line)
    raw = {name.encode(): value.encode() if isinstance(value, str) else value for name, value in told.items()}
    raw[b"headers"] = {name.encode(): value.encode() for name, value in told["headers"].items()}
    raw[b"trigger"] = {b"kind": b"http", b"name": b"http"}
    event = nuclio_sdk.Event.deserialize(raw, EventDeserializerKinds.msgpack_raw)
    answer = module.handler(context, event)
    print(json.dumps(nuclio_sdk.Response.from_entrypoint_output(json.dumps, answer)), flush=True)
"""
FIELDS = ("id", "size", "timestamp", "url", "shard_id", "num_shards", "type", "type_version", "version")


def add_fee(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "total": order["amount"] + 5}


def rate(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "rate": 100 / order["total"]}


@pytest.fixture
def graph() -> Graph:
    graph = Graph("rated")
    graph.to(add_fee).to(Queue("fees", key="amount", shards=4)).to(rate, function="rating").respond()
    return graph


class Function:
    """A process of Nuclio's, spoken to by lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def wait(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def call(self, body: str, key: str = "k1") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}"}
        told = {"body": body, "content_type": "application/json", "method": "POST", "path": "/", "headers": headers}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**told, "fields": {}, **dict.fromkeys(FIELDS, 0)}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer["body_encoding"] == "base64"
        return answer["status_code"], json.loads(base64.b64decode(answer["body"]))


@contextmanager
def function(folder: Path, port: int, options: str, worker: int = 0) -> Iterator[Function]:
    environment = {**os.environ, "NBGRAPH_PORT": str(port), "NBGRAPH_OPTIONS": options}
    command = [sys.executable, "-c", DRIVER, str(folder), str(worker)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Function(process)
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_the_handlers_answer_what_the_notebook_answers(graph: Graph, tmp_path: Path) -> None:
    folder = graph.export(tmp_path / "x", "nuclio").folder
    (tmp_path / "keys").write_text("k1\n")
    gate = free_port()
    with NatsServer() as server, ExitStack() as running:
        (tmp_path / "token").write_text(server.token)
        options = (
            f"--key-file {tmp_path / 'keys'} --broker {server.url} --broker-token-file {tmp_path / 'token'} "
            "--metrics-host 127.0.0.1 --metrics-port 0"
        )
        # Nuclio has two processes for the gateway here: one that starts the worker, and one that shares it.
        first = running.enter_context(function(folder / "rated", gate, options))
        second = running.enter_context(function(folder / "rated", gate, options, worker=1))
        far = running.enter_context(function(folder / "rating", free_port(), options))
        for one in (first, second, far):
            one.wait()
        answers = [(first, second)[amount % 2].call(json.dumps({"amount": amount})) for amount in range(10)]
        failed = first.call('{"amount": -5}')
        refused = [first.call("{}", key="k2")[0], far.call("{}", key="k2")[0], first.call("{")[0]]
    assert answers == [(200, graph.run({"amount": amount})) for amount in range(10)]
    assert (failed[0], "division by zero" in failed[1]["error"]) == (500, True)
    assert refused == [401, 401, 400]


def test_nuclio_is_told_of_each_function(graph: Graph, tmp_path: Path) -> None:
    folder = graph.export(tmp_path / "x", "nuclio", autoscale={"rating": (1, 4, 100)}).folder
    told = {name: yaml.safe_load((folder / name / "function.yaml").read_text()) for name in ("rated", "rating")}
    spec = told["rating"]["spec"]
    names = {name: (made["metadata"]["name"], made["spec"]["triggers"]["http"]["numWorkers"])
             for name, made in told.items()}  # fmt: skip
    assert names == {"rated": ("rated", 8), "rating": ("rated-rating", 1)}
    assert (spec["handler"], spec["runtime"], spec["minReplicas"], spec["maxReplicas"]) == (
        "nuclio_handler:handler", f"python:{sys.version_info.major}.{sys.version_info.minor}", 1, 4,
    )  # fmt: skip
    assert spec["env"][0]["name"] == OPTIONS_VARIABLE
    assert spec["env"][0]["value"].split()[2:4] == ["--broker", "nats://broker.rated.svc:4222"]
    mounted = [item["key"] for item in spec["volumes"][0]["volume"]["secret"]["items"]]
    assert (mounted, (folder / "rating" / "Dockerfile").exists()) == (["api_key", "broker_token"], False)
    assert "not run on Nuclio" in (folder / "README.md").read_text()
