"""JobBroker: the server between a job and its workers, in a container of this machine that ends with the job's process.

Docker closes its standard input when that process is gone, however it went, and a shell in it waits for that.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from nbgraph.deploy.broker import broker_image, server_image
from nbgraph.deploy.docker.client import published, removed
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.job_project import BROKER_FOLDER, JobRequest, limits
from nbgraph.deploy.project.services import BROKER
from nbgraph.streams.transport import DEFAULT, StreamAddress

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

PATIENCE = 10.0  # seconds for Docker to end what it has begun to remove by itself
GUARD = 'exec 3<&0; "$@" & server=$!; (cat <&3 >/dev/null; kill -9 $server) & wait $server'


class JobBroker:
    """On the network of that name, which is there."""

    def __init__(self, client: DockerClient, request: JobRequest, network: str, image: str, port: int) -> None:
        self._client, self._request, self._network, self._image, self._port = client, request, network, image, port
        self._container = self._started()

    @classmethod
    def start(cls, client: DockerClient, request: JobRequest, network: str, port: int, say: Say) -> JobBroker:
        """`port`: of this machine, the same when it has to be started again."""
        return cls(client, request, network, broker_image(client, say), port)

    @property
    def address(self) -> StreamAddress:
        self._container.reload()
        return StreamAddress.of_url(
            f"{DEFAULT}://{published(self._container, server_image().port)}", self._request.token
        )

    def mend(self) -> None:
        """Start it again where it has ended: whoever talks over it tells all again."""
        import docker

        try:
            self._container.reload()
            if self._container.status == "running":
                return
        except docker.errors.NotFound:
            pass
        self.close()
        self._container = self._started()

    def close(self) -> None:
        """Let go of its input: it ends."""
        self._input._response.close()
        self._input.close()

    def _started(self) -> Container:
        from docker.types import Mount

        server = server_image()
        config = str(self._request.hosted / BROKER_FOLDER)
        command = [*self._client.images.get(self._image).attrs["Config"]["Entrypoint"], "-c",
                   f"{server.config_folder}/{server.config_name}"]  # fmt: skip
        endpoint = self._client.api.create_endpoint_config(aliases=[BROKER])
        given: dict[str, Any] = limits() | {"auto_remove": True}
        given["tmpfs"] |= {server.data: "mode=1777,size=64m"}
        container = self._client.containers.create(
            self._image, ["sh", *command], entrypoint=["sh", "-c", GUARD], stdin_open=True,
            name=f"{self._network}-{BROKER}-{secrets.token_hex(3)}", labels=self._request.labels(BROKER),
            network=self._network,
            networking_config={self._network: endpoint}, ports={f"{server.port}/tcp": ("127.0.0.1", self._port)},
            mounts=[Mount(server.config_folder, config, "bind", read_only=True)], **given,
        )  # fmt: skip
        api: Any = self._client.api
        self._input = api.attach_socket(container.id, params={"stdin": 1, "stream": 1})
        container.start()
        return container


def swept(client: DockerClient, name: str) -> None:
    """Remove at once what there is of a job on this machine."""
    import docker

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            removed(client, name)
            return
        except docker.errors.APIError:  # it is being removed
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
