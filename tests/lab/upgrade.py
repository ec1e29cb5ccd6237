"""A daemon of Docker's in a network of its own, a deployment on it, and its restart: prints what came of it as JSON.

Run by tests/deploy/docker/test_client.py within `unshare -n`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from nbgraph import Graph
from nbgraph.deploy.project.dockerfile import default_base
from nbgraph.steps import Queue
from tests.lab.needs import docker_host

MACHINES = docker_host()


class Daemon:
    """A daemon with folders and a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.host = f"unix://{folder}/d.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """What keeps it from answering; empty where nothing does."""
        places = [f"--{name}={self._folder / name}" for name in ("data-root", "exec-root")]
        command = [
            "setpriv",
            "--pdeathsig",
            "TERM",
            "dockerd",
            "-H",
            self.host,
            f"--pidfile={self._folder}/pid",
            *places,
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while subprocess.run(["docker", "-H", self.host, "info"], capture_output=True, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                return (self._folder / "log").read_text()[-300:]
            time.sleep(0.2)
        return ""

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def load(self, image: str) -> None:
        """An image of the machine's own daemon, whose socket is a file and so reached from here."""
        with subprocess.Popen(["docker", "-H", MACHINES, "save", image], stdout=subprocess.PIPE) as saved:
            subprocess.run(["docker", "-H", self.host, "load"], stdin=saved.stdout, capture_output=True, check=True)


def slow(body: int) -> int:
    time.sleep(0.5)
    return body * 10


def upgraded() -> Graph:
    graph = Graph("upgraded")
    graph.to("(event + 1)", "one").to(Queue("waiting")).to(slow, function="tail").respond()
    return graph


def restarted(daemon: Daemon) -> dict[str, Any]:
    """What was answered of events that waited while the daemon went and came back."""
    with upgraded().deploy("docker", name="upgraded-here", progress=False) as deployment:
        told = [httpx.post(deployment.url, json=n, headers={"Prefer": "respond-async"}) for n in range(8)]
        daemon.stop()
        problem = daemon.start()
        answers = [fetched(f"{deployment.url}{reply.headers['Location']}") for reply in told]
        return {"problem": problem, "answers": answers, "states": sorted(set(deployment.status()["state"]))}


def fetched(place: str) -> Any:
    """What stands there once the gateway is back, and the event done."""
    deadline = time.monotonic() + 60
    while True:
        try:
            reply = httpx.get(place, timeout=5)
            if reply.status_code == 200:
                return reply.json()
            found = f"{reply.status_code} {reply.text}"
        except httpx.HTTPError as error:
            found = str(error)
        if time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="nbd-"))  # the name of a socket must be short
    daemon = Daemon(folder)
    try:
        problem = daemon.start()
        if problem:
            print(json.dumps({"does not run": problem}))
            return
        daemon.load(default_base())
        os.environ["DOCKER_HOST"] = daemon.host
        print(json.dumps(restarted(daemon)))
    finally:
        daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
