"""AttachedBackend: processes that another notebook or command started, looked after from here."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from nbgraph.deploy.backend import DeployRequest, FunctionState, callable_at, several
from nbgraph.deploy.broker import BrokerClient
from nbgraph.deploy.deployed_function import DeployedFunction
from nbgraph.deploy.hosted_functions import HostedFunctions
from nbgraph.deploy.options.certificate import kept_in
from nbgraph.deploy.process.backend import KEY, PREFIX, TOKEN
from nbgraph.deploy.process.control import Scale, Stop, Wish, ask
from nbgraph.deploy.process.record import FILE, DeploymentRecord
from nbgraph.deploy.process.worker import LOG, READY, metrics_url
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.function_project import Projects
from nbgraph.deploy.project.hardening import GRACE_SECONDS
from nbgraph.errors import DeployError
from nbgraph.streams.transport import OWN, StreamAddress

PATIENCE = 180.0  # seconds that the owner may take for what it is asked


class AttachedBackend(HostedFunctions):
    """Everything is read from the deployment's folder when it is needed; changes are made by its owner."""

    target = "process"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        record, key = self._record, folder / KEY
        self.request = DeployRequest(
            record.name, record.graph, self.functions[0], record.host, record.port,
            key.read_text() if key.exists() else None, PATIENCE, kept_in(folder),
            self._streams(record.streams), record.version,
        )  # fmt: skip
        self._reach: BrokerClient | None = None

    @classmethod
    def find(cls, name: str) -> AttachedBackend | None:
        """The running deployment of that name, or of that graph where there is just one."""
        every = {folder: record for folder in _folders() if (record := _living(folder)) is not None}
        by_name = [folder for folder, record in every.items() if record.name == name]
        found = by_name or [folder for folder, record in every.items() if record.graph == name]
        if len(found) > 1:
            raise several(name, [every[folder].name for folder in found])
        return cls(found[0]) if found else None

    @property
    def url(self) -> str:
        is_secure = self.request.certificate is not None
        return callable_at(self.request.host, self.request.port or 0, is_secure=is_secure)

    def states(self) -> list[FunctionState]:
        return [worker.state for worker in self._record.workers]

    def sources(self) -> list[tuple[str, str]]:
        every = [(worker.state.function, Path(worker.folder)) for worker in self._record.workers]
        return [(function, metrics_url(folder)) for function, folder in every if (folder / READY).exists()]

    def logs(self, lines: int, function: str | None = None) -> str:
        every = [(worker.state.function, Path(worker.folder)) for worker in self._record.workers]
        texts = [(folder / LOG).read_text(errors="replace") for name, folder in every if function in (None, name)]
        return "\n".join("\n".join(text.splitlines()[-lines:]) for text in texts)

    def replicas(self, function: str) -> int:
        return sum(worker.state.function == function for worker in self._record.workers)

    def scale(self, function: str, n: int) -> None:
        self._ask(Scale(function, n))

    def update(self, projects: Projects, replicas: Mapping[str, int], say: Say) -> list[str]:
        raise DeployError(
            f'Deployment "{self.request.name}" belongs to another process, which alone can give it new workers; update '
            "it there, or stop it and deploy again."
        )

    def mark(self) -> None:
        """Its owner alone makes another version of it, by an update."""

    def stop(self) -> None:
        self._ask(Stop())
        _living(self._folder)  # where its owner was killed meanwhile, nothing is left either

    def _hosted(self) -> Mapping[str, DeployedFunction]:
        return {function.name: function for function in self._record.functions}

    def _ask(self, wish: Wish) -> None:
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            owner = self._record.owner
            ask(self._folder, wish, PATIENCE, lambda: owner.is_alive)

    @property
    def _record(self) -> DeploymentRecord:
        return DeploymentRecord.read(self._folder)

    def _reached(self) -> BrokerClient | None:
        broker = self._record.broker
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
    """Folders of deployments of this user; one that another user has put there is not to be believed."""
    found = Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{FILE}")
    mine = [file.parent for file in found if file.parent.stat().st_uid == os.getuid()]
    return [folder for folder in mine if not folder.stat().st_mode & 0o077]


def _living(folder: Path) -> DeploymentRecord | None:
    """The record of a deployment; None, and nothing left of it, where its owner was killed."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        record = DeploymentRecord.read(folder)
        if record.owner.is_alive:
            return record
        for process in (*(worker.process for worker in record.workers), record.server):
            if process is not None:
                process.end(GRACE_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
    return None
