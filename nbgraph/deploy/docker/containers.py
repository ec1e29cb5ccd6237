"""The Yard: where the containers of a deployment are made, on one network, each with its secrets as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbgraph.contract import DEPLOYMENT_LABEL, SECRETS_FOLDER
from nbgraph.deploy.docker.client import archive
from nbgraph.deploy.options.volumes import Volume
from nbgraph.deploy.project.hardening import Hardening, hardened

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container


class Containers:
    """`network`: its name, by which the folders that outlive containers are called as well."""

    def __init__(self, client: DockerClient, network: str) -> None:
        self._client, self._network = client, network

    def join(self, marks: Mapping[str, str]) -> None:
        """Make the network, unless it is there."""
        if all(one.name != self._network for one in self._client.networks.list(names=[self._network])):
            self._client.networks.create(self._network, labels=dict(marks))

    def make(
        self,
        name: str,
        image: str,
        marks: Mapping[str, str],
        profile: Hardening,
        secrets: Mapping[str, str],
        *,
        ports: Mapping[str, Any],
        command: Sequence[str],
        kept: Mapping[str, str] | None = None,
        alias: str | None = None,
        env: Mapping[str, str] | None = None,
        volumes: Sequence[Volume] = (),
        hosts: Mapping[str, str] | None = None,
    ) -> Container:
        """A container that is only to be started; `kept`: folders in it that outlive it, by name.

        Its secrets stand in a volume that it alone has, and only reads. `volumes` are a person's own. `hosts`: names
        that it is told the addresses of.
        """
        import docker

        hidden = self._volume(f"{name}-secrets", marks)
        self._fill(hidden, image, secrets, marks)
        kept_volumes = {self._volume(f"{self._network}-{word}", marks): folder for word, folder in (kept or {}).items()}
        binds = [f"{hidden}:{SECRETS_FOLDER}:ro", *(f"{volume}:{folder}:rw" for volume, folder in kept_volumes.items())]
        own = [docker.types.Mount(one.path, one.source, one.kind, read_only=one.is_read_only) for one in volumes]
        endpoint = self._client.api.create_endpoint_config(aliases=[alias] if alias else None)
        return self._client.containers.create(
            image, list(command) or None, name=name, labels=dict(marks), ports=dict(ports), network=self._network,
            networking_config={self._network: endpoint},
            volumes=binds, mounts=own, environment=dict(env or {}), extra_hosts=dict(hosts or {}),
            **hardened(profile),
        )  # fmt: skip

    def _fill(self, volume: str, image: str, secrets: Mapping[str, str], marks: Mapping[str, str]) -> None:
        """Put files into a volume, by a container that never starts: one that may only read it can't be given any."""
        if not secrets:
            return
        label = {DEPLOYMENT_LABEL: marks[DEPLOYMENT_LABEL]}  # no function's, so that it is taken for none
        filler = self._client.containers.create(image, volumes=[f"{volume}:{SECRETS_FOLDER}:rw"], labels=label)
        try:
            for file, text in secrets.items():
                filler.put_archive(SECRETS_FOLDER, archive(file, text))
        finally:
            filler.remove()

    def _volume(self, name: str, marks: Mapping[str, str]) -> str:
        return str(self._client.volumes.create(name, labels=dict(marks)).name)
