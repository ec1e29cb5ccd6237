"""A Docker daemon that says nothing is waited for once, whatever asks for it."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbgraph import Deployment, Graph
from nbgraph.errors import DeployError

# Docker's SDK leaves a socket open that it could not connect, so what it has left is collected within the test.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """The connections to a daemon that takes what it is asked without a word."""
    taken: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "docker.sock"))
        listener.listen()

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
        monkeypatch.setattr("nbgraph.deploy.docker.client.FIRST_SECONDS", 0.2)
        yield taken
        listener.shutdown(socket.SHUT_RDWR)
    for connection in taken:
        connection.close()
    gc.collect()


def test_attach_waits_once(asked: list[socket.socket]) -> None:
    with pytest.raises(DeployError, match="which can't be asked: No Docker daemon answers"):
        Deployment.attach("nobody")
    assert len(asked) == 1


def test_a_named_deployment_waits_once(asked: list[socket.socket]) -> None:
    graph = Graph("shop")
    graph.to("(event + 1)").respond()
    with pytest.raises(DeployError, match="No Docker daemon answers"):
        graph.deploy("docker", name="shop", progress=False)
    assert len(asked) == 1
