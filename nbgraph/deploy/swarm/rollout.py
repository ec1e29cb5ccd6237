"""Rollout: waits until the services of a Swarm run as they were told to, or says why one does not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nbgraph.deploy.backend import failed_start
from nbgraph.deploy.project.hardening import GRACE_SECONDS
from nbgraph.deploy.swarm.service import IMAGE
from nbgraph.errors import DeployError

if TYPE_CHECKING:
    from docker import DockerClient

Task = Mapping[str, Any]
FAILED = ("failed", "rejected", "orphaned")
UP = ("assigned", "accepted", "preparing", "ready", "starting", "running")
FAILURES = 2  # a first one may have passing reasons, a second has none
LOOK = 0.1  # seconds between two looks


class Rollout:
    """Begun before anything is changed, so that what failed earlier is not taken for a failure of the change."""

    def __init__(
        self, client: DockerClient, network: str, reaches: Callable[[str], bool], images: Iterable[str], seconds: float
    ) -> None:
        self._client, self._network, self._reaches = client, network, reaches
        self._images, self._seconds = sorted(images), seconds
        self._api = _api(client)
        self._reached: Counter[str] = Counter()
        self.begin()

    def begin(self) -> None:
        """What has failed until now is not looked at."""
        self._seen = {task["ID"] for task in self._api.tasks() if task["Status"]["State"] in FAILED}

    def wait(self, services: Iterable[str]) -> None:
        """Return when all have the tasks they shall have, and no others."""
        deadline = time.monotonic() + self._seconds
        waiting = list(services)
        while waiting := [name for name in waiting if not self._stands(name)]:
            if time.monotonic() > deadline:
                raise self._late(waiting[0])
            time.sleep(LOOK)

    def _stands(self, name: str) -> bool:
        service = self._api.inspect_service(name)
        wanted = service["Spec"]["TaskTemplate"]["ContainerSpec"]
        tasks = self._api.tasks({"service": name})
        current = [task for task in tasks if task["Spec"]["ContainerSpec"] == wanted]
        self._check(name, tasks, service.get("UpdateStatus") or {})
        lost = down(self._client)
        alive = [task for task in tasks if task["Status"]["State"] in UP and task.get("NodeID") not in lost]
        for task in alive:
            self._check_reach(task)
        running = [task for task in current if task["DesiredState"] == task["Status"]["State"] == "running"]
        count: int = service["Spec"]["Mode"]["Replicated"]["Replicas"]
        return len(alive) == len([task for task in running if task in alive]) == count

    def _check(self, name: str, tasks: Iterable[Task], update: Mapping[str, Any]) -> None:
        """Raise when tasks fail, or when the engine has gone back to what ran before, since one of them failed."""
        fresh = [task for task in tasks if task["Status"]["State"] in FAILED and task["ID"] not in self._seen]
        reasons = [task["Status"].get("Err", "") for task in fresh]
        for task, reason in zip(fresh, reasons, strict=True):
            if "No such image" in reason:
                raise self._no_image(task)
        if len(fresh) >= FAILURES or update.get("State", "").startswith(("rollback", "paused")):
            why = reasons[0] if reasons else update.get("Message", "")
            raise self._ended(name, f"Tasks of {name} end before they are ready ({why})")

    def _check_reach(self, task: Task) -> None:
        address = address_of(task, self._network)
        if task["Status"]["State"] not in ("starting", "running") or address is None or self._reached[address] < 0:
            return
        if self._reaches(address):
            self._reached[address] = -1
            return
        self._reached[address] += 1
        if self._reached[address] >= FAILURES:
            raise DeployError(
                f'The node "{self._host(task)}" can\'t be reached over the network {self._network}: its kernel or a '
                "firewall lets no ESP (encrypted overlay), or no VXLAN (UDP 4789) through. Where the network between "
                "the nodes can be trusted, make one without encryption, docker network create -d overlay --attachable "
                f'{self._network}, and deploy with name="{self._network.removeprefix("nbgraph-")}", which takes it.'
            )

    def _no_image(self, task: Task) -> DeployError:
        image = task["Spec"]["ContainerSpec"]["Labels"].get(IMAGE, "")
        images = " ".join(self._images)
        return DeployError(
            f'The node "{self._host(task)}" has no image {image}: name a registry that all nodes can pull from, '
            f'registry="HOST:PORT", or bring the images to every node, docker save {images} | ssh {self._host(task)} '
            "docker load, and deploy again."
        )

    def _late(self, name: str) -> DeployError:
        tasks = self._api.tasks({"service": name, "desired-state": "running"})
        told = [f"{task['Status']['State']} {task['Status'].get('Err', '')}".strip() for task in tasks]
        what = f"{name} was not ready within {self._seconds:g} seconds (tasks: {', '.join(told) or 'none'})"
        return self._ended(name, what)

    def _ended(self, name: str, what: str) -> DeployError:
        return failed_start(what, log_of(self._client, name, 30))

    def _host(self, task: Task) -> str:
        return hosts(self._client).get(task.get("NodeID", ""), "?")


def gone(client: DockerClient, services: Iterable[str]) -> None:
    """Return when no task of the services is up any more; nodes that are lost are not waited for."""
    deadline = time.monotonic() + GRACE_SECONDS + 10
    names, api = list(services), _api(client)
    while names and time.monotonic() < deadline:
        lost = down(client)
        tasks = api.tasks({"service": names})
        if not any(task["Status"]["State"] in UP and task.get("NodeID") not in lost for task in tasks):
            return
        time.sleep(LOOK)


def down(client: DockerClient) -> set[str]:
    """The nodes that don't answer the Swarm's manager."""
    return {node["ID"] for node in _api(client).nodes() if node["Status"]["State"] != "ready"}


def hosts(client: DockerClient) -> dict[str, str]:
    """The nodes' names by their ids."""
    return {node["ID"]: node["Description"]["Hostname"] for node in _api(client).nodes()}


def address_of(task: Task, network: str) -> str | None:
    """The task's address on a network."""
    for attached in task.get("NetworksAttachments") or ():
        if attached["Network"]["Spec"]["Name"] == network and attached.get("Addresses"):
            return str(attached["Addresses"][0]).partition("/")[0]
    return None


def log_of(client: DockerClient, service: str, lines: int) -> str:
    """The last lines of each of a service's tasks."""
    told = _api(client).service_logs(service, stdout=True, stderr=True, tail=lines, is_tty=False)
    return b"".join(told).decode(errors="replace").rstrip("\n")


def _api(client: DockerClient) -> Any:
    """The SDK's lower level, whose types nobody has written."""
    return client.api
