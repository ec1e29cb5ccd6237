"""SwarmFiles: what the services of a deployment read from files: secrets, and the broker's configuration."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nbgraph.deploy.docker import DEPLOYMENT
from nbgraph.deploy.services import CONFIG, KEY, TOKEN, TOKEN_LINE, broker_config
from nbgraph.deploy.swarm_service import NAMESPACE, short

if TYPE_CHECKING:
    from docker import DockerClient


class SwarmFiles:
    """A Swarm can't change them: each has its content's mark in its name, and a new one takes the old one's place."""

    def __init__(self, client: DockerClient, stack: str, labels: Mapping[str, str], token: str) -> None:
        self._client, self._stack, self._token = client, stack, token
        self._labels = {**labels, NAMESPACE: stack}
        self._chosen = {"label": f"{DEPLOYMENT}={labels[DEPLOYMENT]}"}

    def made(self, *, api_key: str | None, is_safe: bool) -> dict[str, tuple[str, str]]:
        """The name and the id of each file."""
        told = {TOKEN: self._token, TOKEN_LINE: f'token: "{self._token}"\n'}
        if api_key is not None:
            told[KEY] = api_key
        api: Any = self._client.api
        there = {found["Spec"]["Name"]: found["ID"] for found in api.secrets(self._chosen)}
        made = {}
        for file, text in told.items():
            name = self._name(file, text)
            made[file] = (name, there.get(name) or api.create_secret(name, text.encode(), self._labels)["ID"])
        text = broker_config(is_safe=is_safe)
        name = self._name(CONFIG, text)
        configs = {found["Spec"]["Name"]: found["ID"] for found in api.configs(self._chosen)}
        made[CONFIG] = (name, configs.get(name) or api.create_config(name, text.encode(), self._labels)["ID"])
        return made

    def clear(self, kept: Iterable[str] = ()) -> None:
        """Remove all but those with these ids."""
        import docker

        ids = set(kept)
        client: Any = self._client
        for found in [*client.secrets.list(filters=self._chosen), *client.configs.list(filters=self._chosen)]:
            if found.id not in ids:
                with contextlib.suppress(docker.errors.APIError):  # a service that went back to it still holds it
                    found.remove()

    def _name(self, file: str, text: str) -> str:
        # A plain hash of a short API key could be guessed from its name.
        mark = hmac.new(self._token.encode(), text.encode(), hashlib.sha256).hexdigest()[:8]
        return short(f"{self._stack}-{file}-{mark}")
