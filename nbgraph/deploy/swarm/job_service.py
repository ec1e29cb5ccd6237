"""JobService: the workers of a job as a service of a Swarm, whose nodes all see the job's folder at the same path.

The broker stands on this machine, on the overlay network that the workers are on; the Swarm itself replaces workers
that end.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from nbgraph.contract import DEPLOYMENT_LABEL
from nbgraph.deploy.backend import listening
from nbgraph.deploy.docker.client import named
from nbgraph.deploy.docker.job_broker import JobBroker, swept
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.function_project import FunctionProject
from nbgraph.deploy.project.hardening import LOCKED, LOG, TMP_SIZE
from nbgraph.deploy.project.image import bases_there, image_of
from nbgraph.deploy.project.job_project import WORKER, JobRequest, last_words, limits
from nbgraph.deploy.swarm.engine import overlay
from nbgraph.deploy.swarm.rollout import FAILED, Task, down
from nbgraph.deploy.swarm.service import SECOND
from nbgraph.errors import DeployError
from nbgraph.streams.transport import StreamAddress

if TYPE_CHECKING:
    from docker import DockerClient

UNREACHED = (
    "Workers run, and none reaches the broker: where the kernel of a node or a firewall lets no ESP through, make the "
    "network without encryption, which the job takes as it is: docker network create -d overlay --attachable {}"
)
ID = 12  # digits of a container's id that are its host's name


class JobService:
    """As many tasks as workers were asked for, on whatever nodes the Swarm finds for them."""

    def __init__(self, client: DockerClient, request: JobRequest, image: str) -> None:
        self._client, self._request, self._image = client, request, image
        self._api: Any = client.api  # whose types nobody has written
        self._network = named(request.name)
        self._service = f"{self._network}_{WORKER}"
        self._turn = threading.Lock()
        self._is_over = False
        self._broker: JobBroker | None = None
        weakref.finalize(self, client.close)

    @classmethod
    def start(cls, client: DockerClient, request: JobRequest, project: FunctionProject, say: Say) -> JobService:
        """Build the image, and start all; nodes that lack the image are brought it before, or pull it."""
        import docker

        bases_there(client, [project], say)
        service = cls(client, request, image_of(client, project, say))
        try:
            service._clear()  # what a process that was killed has left
            service._begin(say)
        except docker.errors.APIError as error:
            service.stop()
            raise DeployError(f"The workers of the job can't be started: {error.explanation or error}") from error
        except BaseException:
            service.stop()
            raise
        return service

    def _begin(self, say: Say) -> None:
        say("Starting the broker")
        network = overlay(self._client, self._network, self._request.labels(""))
        with listening("127.0.0.1", None) as bound:
            port = int(bound.getsockname()[1])
        self._broker = JobBroker.start(self._client, self._request, self._network, port, say)
        say("Starting the workers")
        self._api.create_service(
            self._template(network), name=self._service, labels=self._request.labels(WORKER),
            mode={"Replicated": {"Replicas": self._request.workers}}, endpoint_spec={"Mode": "dnsrr"},
        )  # fmt: skip

    @property
    def _joined(self) -> JobBroker:
        assert self._broker is not None
        return self._broker

    @property
    def address(self) -> StreamAddress:
        return self._joined.address

    def alive(self) -> frozenset[str]:
        """The workers that run; a node that has no image, or does not see the folder, ends the job."""
        import docker

        with self._turn:
            if self._is_over:
                return frozenset()
            try:
                self._joined.mend()
                lost = down(self._client)
                tasks: list[Task] = self._api.tasks({"service": self._service})
            except docker.errors.APIError as error:
                raise DeployError(f"The Swarm does not tell of the job's workers: {error.explanation}") from error
        running = [one for one in tasks if one["Status"]["State"] == "running" and one.get("NodeID") not in lost]
        return frozenset(one["Status"]["ContainerStatus"]["ContainerID"][:ID] for one in running)

    def last_words(self) -> str:
        """Why tasks were refused, and what the last of them wrote."""
        tasks: list[Task] = self._api.tasks({"service": self._service})
        told = {one["Status"].get("Err", "") for one in tasks if one["Status"]["State"] in FAILED}
        running = [one for one in tasks if one["Status"]["State"] == "running"]
        unreached = [UNREACHED.format(self._network)] if running else []
        return "\n".join([*sorted(told - {""}), *unreached, last_words(self._request.folder)])

    def stop(self) -> None:
        with self._turn:
            self._is_over = True
            if self._broker is not None:
                self._broker.close()
            self._clear()
            self._client.close()

    def _clear(self) -> None:
        chosen: dict[str, Any] = {"label": f"{DEPLOYMENT_LABEL}={self._request.name}"}
        names = [one["Spec"]["Name"] for one in self._api.services(chosen)]
        for name in names:
            self._api.remove_service(name)
        swept(self._client, self._request.name)

    def _template(self, network: str) -> dict[str, Any]:
        """A task in the engine's words: as a container of `limits`."""
        places = self._request.places().items()
        mounts: list[dict[str, Any]] = [
            {"Type": "bind", "Source": here, "Target": path, "ReadOnly": is_fixed} for path, (here, is_fixed) in places
        ]
        if "/tmp" not in self._request.places():
            mounts.append({"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": TMP_SIZE}})
        return {
            "ContainerSpec": {
                "Image": self._image, "Command": self._request.command(), "Dir": self._request.cwd, "Mounts": mounts,
                "User": limits()["user"], "ReadOnly": True, "Init": True, "CapabilityDrop": LOCKED["cap_drop"],
                "StopGracePeriod": SECOND, "Labels": self._request.labels(WORKER),
                "Healthcheck": {"Test": ["NONE"]},
            },
            "Resources": {"Limits": {"Pids": LOCKED["pids_limit"]}},
            "RestartPolicy": {"Condition": "on-failure", "Delay": SECOND},
            "Networks": [{"Target": network}],
            "LogDriver": {"Name": "json-file", "Options": dict(LOG)},
        }  # fmt: skip
