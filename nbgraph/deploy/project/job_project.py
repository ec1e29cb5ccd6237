"""JobProject: a graph as the image of a job's workers, and what they find in the job's folder."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nbgraph.capture.requirements import distribution_of
from nbgraph.contract import HOSTED_FOLDER, JOB_MODULE, SECRETS_FOLDER, TOKEN_SECRET, JobOption
from nbgraph.deploy.broker import server_image
from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.options.secrets import asked_in
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.dockerfile import PYTHON, default_base
from nbgraph.deploy.project.function_project import FunctionProject
from nbgraph.deploy.project.hardening import Hardening, hardened, labels
from nbgraph.deploy.project.project import project_files
from nbgraph.deploy.project.services import BROKER
from nbgraph.engine.context import SECRETS
from nbgraph.engine.partition import Function
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import slug
from nbgraph.streams.transport import DEFAULT, StreamAddress

WORKER = "job-worker"
BROKER_FOLDER = "broker"  # of its configuration, beneath the hosted folder


class JobWorkers(Protocol):
    """The workers of a job and the broker that they are reached by."""

    @property
    def address(self) -> StreamAddress: ...
    def alive(self) -> frozenset[str]: ...
    def last_words(self) -> str: ...
    def stop(self) -> None: ...


StartJobWorkers = Callable[[Callable[[str], None]], JobWorkers]


@dataclass(frozen=True)
class JobRequest:
    """What a job asks of whoever runs its workers.

    They see its `folder`, what it `reads` and what it `writes`, at the same paths as here, as the user of this process.
    """

    graph: Graph
    folder: Path
    cwd: str
    reads: Sequence[Path]
    writes: Sequence[Path]
    workers: int

    @property
    def name(self) -> str:
        """By which all of it is found again, whoever began it: a folder has one job at a time."""
        return f"job-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]}"

    @property
    def hosted(self) -> Path:
        return self.folder / HOSTED_FOLDER

    @property
    def token(self) -> str:
        """The broker's, which is made once for each run of the job."""
        return (self.hosted / TOKEN_SECRET).read_text()

    def labels(self, function: str) -> dict[str, str]:
        return labels(self.graph.name, function, self.name)

    def command(self) -> list[str]:
        """What a worker's container runs."""
        broker = f"{DEFAULT}://{BROKER}:{server_image().port}"
        return [PYTHON, "-P", "-m", JOB_MODULE, JobOption.FOLDER, str(self.folder), JobOption.BROKER, broker]

    def places(self) -> dict[str, tuple[str, bool]]:
        """Paths in a worker's container: the path here, and whether it may only be read."""
        found = {str(path): (str(path), True) for path in self.reads}
        found |= {str(path): (str(path), False) for path in self.writes}
        return {**found, SECRETS_FOLDER: (str(self.hosted / "secrets"), True)}

    def make_ready(self, given: Mapping[str, str]) -> None:
        """Write what workers and broker find in the job's folder: only its owner may read there.

        `given`: secrets besides those that steps ask for.
        """
        server, token = server_image(), secrets.token_hex(16)
        files = {
            TOKEN_SECRET: token,
            f"{BROKER_FOLDER}/{server.config_name}": server.config(token, is_safe=False),
            **{f"secrets/{name}": text for name, text in [*_secrets_of(self.graph), *given.items()]},
        }
        (self.hosted / "secrets").mkdir(exist_ok=True)
        for name, text in files.items():
            path = self.hosted / name
            path.parent.mkdir(exist_ok=True)
            path.touch(0o600)
            path.write_text(text)


def job_project(graph: Graph, packages: Sequence[str], say: Say) -> FunctionProject:
    """The project of the whole graph as one function; `packages`: modules that the image has besides its own."""
    function = Function(slug(f"{graph.name}-job"), graph=graph)
    lines = sorted({_pin(module) for module in packages})
    files, left = project_files(function, default_base(), lines, say=say)
    return FunctionProject(function, files, Provision(), default_base(), left=left)


def limits() -> dict[str, Any]:
    """What a container of a job may do: as one of a deployment, as the user of this process, with all the memory.

    A limit of memory would end rows here that a process of this machine gets through.
    """
    found = hardened(Hardening())
    for word in ("mem_limit", "memswap_limit"):
        del found[word]
    return found | {"user": f"{os.getuid()}:{os.getgid()}", "restart_policy": {"Name": "no"}}


def last_words(folder: Path) -> str:
    """The end of what a worker wrote that could not go on."""
    told = sorted((folder / "_job" / "logs").glob("container-*.txt"), key=lambda path: path.stat().st_mtime)
    return told[-1].read_text(errors="replace")[-2000:] if told else ""


def _pin(module: str) -> str:
    name = distribution_of(module) or module
    return f"{name}=={importlib.metadata.version(name)}"


def _secrets_of(graph: Graph) -> Iterator[tuple[str, str]]:
    """What steps ask for and this process has; what it has not a step that asks learns."""
    for name in dict.fromkeys(name for _, name in asked_in(graph)):
        if name in os.environ:
            yield name, os.environ[name]
        elif (SECRETS / name).is_file():
            yield name, (SECRETS / name).read_text()
