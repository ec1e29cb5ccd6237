"""SwarmFiles: what the services of a deployment read from files: secrets, and the broker's configuration."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nbgraph.contract import DEPLOYMENT_LABEL, KEY_SECRET, TOKEN_SECRET
from nbgraph.deploy.project.services import CONFIG, SERVER, TOKEN_LINE, broker_config
from nbgraph.deploy.swarm.service import NAMESPACE, short
from nbgraph.errors import DeployError

if TYPE_CHECKING:
    from docker import DockerClient

MARK = 8  # digits


def own_file(function: str, name: str) -> str:
    """What a secret of a function's own is found under; a function's name has no dot.

    >>> own_file("score", "db_password")
    'score.db_password'
    """
    return f"{function}.{name}"


class SwarmFiles:
    """A Swarm can't change them: each has its content's mark in its name, and a new one takes the old one's place."""

    def __init__(self, client: DockerClient, stack: str, labels: Mapping[str, str], token: str) -> None:
        self._client, self._stack, self._token = client, stack, token
        self._labels = {**labels, NAMESPACE: stack}
        self._chosen = {"label": f"{DEPLOYMENT_LABEL}={labels[DEPLOYMENT_LABEL]}"}

    def made(
        self, *, api_key: str | None, has_broker: bool, is_safe: bool, given: Mapping[str, Mapping[str, str]]
    ) -> dict[str, tuple[str, str]]:
        """The name and the id of each file that is needed; `given`: the secrets of functions, found under `own_file`.

        A secret without a text is one that the Swarm has already, and tells nobody.
        """
        told = {KEY_SECRET: api_key} if api_key is not None else {}
        if has_broker:
            told |= {TOKEN_SECRET: self._token, TOKEN_LINE: SERVER.token_text(self._token)}
        api: Any = self._client.api
        every = {own_file(function, name): text for function, its in given.items() for name, text in its.items()}
        before = api.secrets(self._chosen)
        kept = {file: self._kept(file, before) for file, text in every.items() if not text}
        told |= {file: text for file, text in every.items() if text}
        made = self._put(told, before, api.create_secret) | kept
        if has_broker:
            made |= self._put({CONFIG: broker_config(is_safe=is_safe)}, api.configs(self._chosen), api.create_config)
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

    def _kept(self, file: str, before: Iterable[Any]) -> tuple[str, str]:
        stem = short(f"{self._stack}-{file}-{'0' * MARK}")[:-MARK]
        found = [one for one in before if one["Spec"]["Name"].startswith(stem)]
        if not found:
            name = file.partition(".")[2]
            raise DeployError(
                f'The Swarm has no secret "{name}" any more; deploy again with secrets={{"{name}": None}}.'
            )
        newest = max(found, key=lambda one: str(one["CreatedAt"]))
        return str(newest["Spec"]["Name"]), str(newest["ID"])

    def _put(self, told: Mapping[str, str], before: Iterable[Any], create: Any) -> dict[str, tuple[str, str]]:
        there = {found["Spec"]["Name"]: found["ID"] for found in before}
        names = {file: self._name(file, text) for file, text in told.items()}
        return {
            file: (name, there.get(name) or create(name, told[file].encode(), self._labels)["ID"])
            for file, name in names.items()
        }

    def _name(self, file: str, text: str) -> str:
        # A plain hash of a short API key could be guessed from its name.
        mark = hmac.new(self._token.encode(), text.encode(), hashlib.sha256).hexdigest()[:MARK]
        return short(f"{self._stack}-{file}-{mark}")
