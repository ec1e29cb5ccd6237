"""A foreign Fleet: processes that another notebook or command started, looked after from here."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nbgraph.deploy.backend import DeployRequest, FunctionState, callable_at, several
from nbgraph.deploy.broker import BrokerClient
from nbgraph.deploy.counts import Counts
from nbgraph.deploy.deployed_function import DeployedFunction, hands_of
from nbgraph.deploy.options.certificate import kept_in
from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.process.backend import KEY, PREFIX, STATE, TOKEN
from nbgraph.deploy.process.control import ask, ended, is_same
from nbgraph.deploy.process.worker import LOG, READY, metrics_url
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.function_project import Projects
from nbgraph.deploy.project.hardening import GRACE_SECONDS
from nbgraph.errors import DeployError
from nbgraph.streams.transport import OWN, StreamAddress

PATIENCE = 180.0  # seconds that the owner may take for what it is asked


class AttachedBackend:
    """Everything is read from the fleet's folder when it is asked for; changes are made by its owner."""

    target = "process"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        told = self._told()
        key = folder / KEY
        self.request = DeployRequest(
            told["name"], told["graph"], self.functions[0], told["host"], told["port"],
            key.read_text() if key.exists() else None, PATIENCE, kept_in(folder),
            self._streams(told.get("streams", "")),
        )  # fmt: skip
        self._reach: BrokerClient | None = None
        self.counts = Counts()

    @classmethod
    def find(cls, name: str) -> AttachedBackend | None:
        """The running fleet of that name, or of that graph where there is just one."""
        every = {folder: told for folder in _folders() if (told := _living(folder)) is not None}
        for word in ("name", "graph"):
            found = [folder for folder, told in every.items() if told[word] == name]
            if len(found) > 1:
                raise several(name, [every[folder]["name"] for folder in found])
            if found:
                return cls(found[0])
        return None

    @property
    def functions(self) -> list[str]:
        return [duty.name for duty in self._duties()]

    @property
    def url(self) -> str:
        is_secure = self.request.certificate is not None
        return callable_at(self.request.host, self.request.port or 0, is_secure=is_secure)

    def states(self) -> list[FunctionState]:
        return [FunctionState(**state) for state, _, _ in self._told()["members"]]

    def sources(self) -> list[tuple[str, str]]:
        every = [(state["function"], Path(folder)) for state, _, folder in self._told()["members"]]
        return [(function, metrics_url(folder)) for function, folder in every if (folder / READY).exists()]

    def logs(self, lines: int, function: str | None = None) -> str:
        every = [(state["function"], Path(folder)) for state, _, folder in self._told()["members"]]
        texts = [(folder / LOG).read_text(errors="replace") for name, folder in every if function in (None, name)]
        return "\n".join("\n".join(text.splitlines()[-lines:]) for text in texts)

    def replicas(self, function: str) -> int:
        return sum(state["function"] == function for state, _, _ in self._told()["members"])

    def backlog(self, function: str) -> int:
        names = [queue.name for duty in self._duties() if duty.name == function for queue in duty.queues]
        reach = self._reached()
        return reach.backlog(names) if reach is not None and names else 0

    def provisions(self) -> dict[str, Provision]:
        return {duty.name: duty.given for duty in self._duties()}

    def hands(self) -> tuple[dict[str, int], int]:
        return hands_of(self._duties())

    def letters(self, limit: int = 100) -> list[dict[str, Any]]:
        reach = self._reached()
        return reach.letters(limit) if reach is not None else []

    def resubmit(self, function: str, id: str, body: Any) -> None:
        queues = [queue for duty in self._duties() if duty.name == function for queue in duty.queues]
        reach = self._reached()
        if reach is None:
            raise DeployError(f'There is no function "{function}" any more; send the event again.')
        reach.resubmit(id, queues, body)

    def scale(self, function: str, n: int) -> None:
        self._ask({"what": "scale", "function": function, "n": n})

    def heed(self, stop: Callable[[], None]) -> None:
        """Nobody asks it: who wants its end ends it."""

    def mend(self) -> list[str]:
        """Its owner does so by itself."""
        return []

    def update(self, projects: Projects, replicas: Mapping[str, int], say: Say) -> list[str]:
        raise DeployError(
            f'Deployment "{self.request.name}" belongs to another process, which alone can give it new workers; update '
            "it there, or stop it and deploy again."
        )

    def stop(self) -> None:
        self._ask({"what": "stop"})
        _living(self._folder)  # where its owner was killed meanwhile, nothing is left either

    def _ask(self, asked: dict[str, Any]) -> None:
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            told = self._told()
            ask(self._folder, asked, PATIENCE, lambda: is_same(told["owner"], told["born"]))

    def _told(self) -> dict[str, Any]:
        return _read(self._folder)

    def _duties(self) -> list[DeployedFunction]:
        return [DeployedFunction.of_text(text) for text in self._told()["duties"]]

    def _reached(self) -> BrokerClient | None:
        broker = self._told()["broker"]
        if self._reach is None and broker:
            self._reach = BrokerClient(self._streams(broker))
        return self._reach

    def _streams(self, url: str) -> StreamAddress:
        """The address of a broker with its secret; without a URL it is the deployment's own."""
        if not url:
            return OWN
        secret = self._folder / TOKEN
        return StreamAddress.of_url(url, secret.read_text() if secret.exists() else "")


def _folders() -> list[Path]:
    """Fleets' folders of this user; one that another user has put there is not to be believed."""
    found = Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{STATE}")
    mine = [state.parent for state in found if state.parent.stat().st_uid == os.getuid()]
    return [folder for folder in mine if not folder.stat().st_mode & 0o077]


def _living(folder: Path) -> dict[str, Any] | None:
    """What a fleet tells of itself; None, and nothing left of it, where its owner was killed."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        told = _read(folder)
        if is_same(told["owner"], told["born"]):
            return told
        for pid, since in [*((int(state["replica"]), since) for state, since, _ in told["members"]), told["server"]]:
            ended(pid, since, GRACE_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
    return None


def _read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / STATE).read_text())
    return found
