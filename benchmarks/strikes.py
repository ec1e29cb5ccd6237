"""Strikes: what happens to a deployment while events go through it, on either target."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any, Protocol

from nbgraph.deploy.deployment import Deployment

CUT = 15.0  # seconds
PAUSE = 13.0  # seconds: longer than the lease of ten, after which a silent worker's event is another's


class Victims(Protocol):
    """The parts of a deployment, to be hurt from outside."""

    def kill(self, function: str) -> None:
        """SIGKILL to one worker."""

    def pause(self, function: str, seconds: float) -> None:
        """One worker stands still for so long, and does not know it."""

    def cut(self, function: str, seconds: float) -> None:
        """One worker and the broker don't reach each other for so long."""

    def end_broker(self) -> None:
        """The broker ends without a word; whoever keeps the deployment starts it again."""


class Processes:
    """Workers whose ids stand in the status."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def kill(self, function: str) -> None:
        os.kill(self._pid(function), signal.SIGKILL)

    def pause(self, function: str, seconds: float) -> None:
        pid = self._pid(function)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):  # it may have been replaced
            os.kill(pid, signal.SIGCONT)

    def cut(self, function: str, seconds: float) -> None:
        raise NotImplementedError("processes of one machine can't be cut off each other")

    def end_broker(self) -> None:
        hosted: Any = self._deployment._hosted
        os.kill(hosted._server.pid, signal.SIGKILL)

    def _pid(self, function: str) -> int:
        status = self._deployment.status()
        return int(status[status["function"] == function]["replica"].iloc[0])


class Containers:
    """Workers that are found by their labels."""

    def __init__(self, deployment: Deployment) -> None:
        import docker

        self._client, self._name = docker.from_env(), deployment.name

    def kill(self, function: str) -> None:
        """From inside: what `docker kill` ends, Docker takes for unwanted, and does not start again."""
        self._first(function).exec_run(["/packages/bin/python", "-c", "import os; os.kill(-1, 9)"])

    def pause(self, function: str, seconds: float) -> None:
        import docker

        container = self._first(function)
        container.pause()
        time.sleep(seconds)
        with contextlib.suppress(docker.errors.APIError):  # it may have been replaced
            container.unpause()

    def cut(self, function: str, seconds: float) -> None:
        worker = self._first(function)
        names = list(worker.attrs["NetworkSettings"]["Networks"])
        networks = [self._client.networks.get(name) for name in names]
        for network in networks:
            network.disconnect(worker, force=True)
        time.sleep(seconds)
        for network in networks:
            network.connect(worker)

    def end_broker(self) -> None:
        self._first("broker").restart(timeout=0)

    def _first(self, function: str) -> Any:
        labels = [f"nbgraph.deployment={self._name}", f"nbgraph.function={function}"]
        return self._client.containers.list(filters={"label": labels})[0]


Strike = Callable[[Deployment, Victims], None]


def kill_worker(_: Deployment, victims: Victims) -> None:
    victims.kill("judging")


def end_broker(_: Deployment, victims: Victims) -> None:
    victims.end_broker()


def pause_worker(_: Deployment, victims: Victims) -> None:
    victims.pause("judging", PAUSE)


def cut_worker(_: Deployment, victims: Victims) -> None:
    victims.cut("judging", CUT)


def kill_gateway(deployment: Deployment, victims: Victims) -> None:
    victims.kill(deployment.functions[0])


def scale(deployment: Deployment, _: Victims) -> None:
    """One worker becomes eight, and one again."""
    deployment.scale("judging", 8)
    deployment.scale("judging", 1)


VICTIMS: dict[str, Callable[[Deployment], Victims]] = {"process": Processes, "docker": Containers}
