"""Prometheus as Debian has it: its tool, and a server on this machine that reads a configuration."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

PATIENCE = 15.0


def promtool(*words: str, folder: Path | None = None, text: str | None = None) -> tuple[int, str]:
    """The exit status of promtool, and what it said."""
    done = subprocess.run(
        ["promtool", *words], cwd=folder, input=text, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


class PrometheusServer:
    """A server that runs; `ask` gives what an expression has now."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, expression: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, trust_env=False).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def up(self) -> list[str]:
        """The workers that answer, of those that are there now."""
        told = httpx.get(f"{self.url}/api/v1/targets", trust_env=False).json()["data"]["activeTargets"]
        return sorted(one["labels"]["instance"] for one in told if one["health"] == "up")


@contextmanager
def prometheus_server(configuration: Path, data: Path) -> Iterator[PrometheusServer]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    words = [f"--config.file={configuration}", f"--storage.tsdb.path={data}", f"--web.listen-address={place}"]
    process = subprocess.Popen(["prometheus", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server = PrometheusServer(f"http://{place}")
        until(lambda: _answers(server.url))
        yield server
    finally:
        process.terminate()
        process.wait(20)


def until(holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `holds` gives as soon as it is true; what it gives at the end of the time otherwise."""
    deadline = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", trust_env=False).is_success
    except httpx.HTTPError:
        return False
