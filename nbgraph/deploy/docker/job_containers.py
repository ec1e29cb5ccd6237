"""JobContainers: the workers of a job as containers of one machine, which are replaced when they end."""

from __future__ import annotations

import secrets
import threading
import weakref
from typing import TYPE_CHECKING, Any

from nbgraph.contract import DEPLOYMENT_LABEL, FUNCTION_LABEL
from nbgraph.deploy.backend import listening
from nbgraph.deploy.docker.client import named
from nbgraph.deploy.docker.job_broker import JobBroker, swept
from nbgraph.deploy.docker.network import forget_callers, hosts_of, join_called
from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.function_project import FunctionProject
from nbgraph.deploy.project.image import bases_there, image_of
from nbgraph.deploy.project.job_project import WORKER, JobRequest, last_words, limits
from nbgraph.errors import DeployError
from nbgraph.streams.transport import StreamAddress

if TYPE_CHECKING:
    from docker import DockerClient

ID = 12  # digits of a container's id that are its host's name


class JobContainers:
    """As many workers as were asked for, on a network of their own with their broker."""

    def __init__(self, client: DockerClient, request: JobRequest, image: str, given: Provision) -> None:
        self._client, self._request, self._image, self._given = client, request, image, given
        self._network = named(request.name)
        self._turn = threading.Lock()
        self._is_over = False
        self._broker: JobBroker | None = None
        weakref.finalize(self, client.close)

    @classmethod
    def start(cls, client: DockerClient, request: JobRequest, project: FunctionProject, say: Say) -> JobContainers:
        """Build the image, and start all."""
        import docker

        bases_there(client, [project], say)
        containers = cls(client, request, image_of(client, project, say), project.given)
        try:
            swept(client, request.name)  # what a process that was killed has left
            containers._begin(say)
        except docker.errors.APIError as error:
            containers.stop()
            raise DeployError(f"The workers of the job can't be started: {error.explanation or error}") from error
        except BaseException:
            containers.stop()
            raise
        return containers

    def _begin(self, say: Say) -> None:
        say("Starting the broker")
        self._client.networks.create(self._network, labels=self._request.labels(""))
        with listening("127.0.0.1", None) as bound:
            port = int(bound.getsockname()[1])
        self._broker = JobBroker.start(self._client, self._request, self._network, port, say)
        say("Starting the workers")
        self.alive()

    @property
    def _joined(self) -> JobBroker:
        assert self._broker is not None
        return self._broker

    @property
    def address(self) -> StreamAddress:
        return self._joined.address

    def alive(self) -> frozenset[str]:
        """The workers that run, once those that have ended are replaced, as is their broker."""
        import docker

        with self._turn:
            if self._is_over:
                return frozenset()
            try:
                self._joined.mend()
                return frozenset(self._kept())
            except docker.errors.APIError as error:
                raise DeployError(f"A worker of the job can't be started: {error.explanation or error}") from error

    def last_words(self) -> str:
        """What workers wrote into the job's folder: their containers are gone."""
        return last_words(self._request.folder)

    def stop(self) -> None:
        with self._turn:
            self._is_over = True
            if self._broker is not None:
                self._broker.close()
            swept(self._client, self._request.name)
            forget_callers(self._client)
            self._client.close()

    def _kept(self) -> list[str]:
        chosen = [f"{DEPLOYMENT_LABEL}={self._request.name}", f"{FUNCTION_LABEL}={WORKER}"]
        found = self._client.containers.list(filters={"label": chosen}, ignore_removed=True)
        running = [str(one.id)[:ID] for one in found]
        return [*running, *(self._worker() for _ in range(self._request.workers - len(running)))]

    def _worker(self) -> str:
        from docker.types import Mount

        given: dict[str, Any] = limits() | {"auto_remove": True}
        places = self._request.places()
        given["tmpfs"] = {path: how for path, how in given["tmpfs"].items() if path not in places}
        mounts = [Mount(path, here, "bind", read_only=is_fixed) for path, (here, is_fixed) in places.items()]
        container = self._client.containers.create(
            self._image, [], entrypoint=self._request.command(), name=f"{self._network}-{secrets.token_hex(3)}",
            labels=self._request.labels(WORKER), network=self._network, working_dir=self._request.cwd, mounts=mounts,
            healthcheck={"test": ["NONE"]}, environment=dict(self._given.env), extra_hosts=hosts_of(self._given),
            **given,
        )  # fmt: skip
        join_called(self._client, container, self._given)
        container.start()
        return str(container.id)[:ID]
