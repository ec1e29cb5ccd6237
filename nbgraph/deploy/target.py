"""Targets: where a graph can be hosted, and what it can be exported for; each folder here tells about its own.

A folder that holds `target.py` with a `HOST`, an `EXPORT` or both is a target; nothing else lists it.
"""

from __future__ import annotations

import importlib.util
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from nbgraph.contract import PLACES_VARIABLE
from nbgraph.errors import DeployError, ExportError

if TYPE_CHECKING:
    from nbgraph.deploy.backend import Backend, DeployRequest
    from nbgraph.deploy.options.provision import Provision
    from nbgraph.deploy.progress import Say
    from nbgraph.deploy.project.export_spec import ExportSpec
    from nbgraph.deploy.project.function_project import FunctionProject, Projects
    from nbgraph.deploy.project.job_project import JobRequest, JobWorkers
    from nbgraph.graph.documents.catalogue import RunningGraph


class HostTarget(ABC):
    """A place where graphs can be hosted: `graph.deploy(name)`."""

    name: ClassVar[str]
    rank: ClassVar[int]  # its place in lists, the lowest first
    has_one_port: ClassVar[bool] = True  # callers reach one port, so the first function takes no `replicas`
    shares_port: ClassVar[bool] = False  # several workers may answer on that port; `scale` changes `workers`
    is_safe: ClassVar[bool] = True  # what is acknowledged is on the disk, unless `durability` says otherwise
    is_local: ClassVar[bool] = True  # it needs no more than this machine
    is_here: ClassVar[bool] = False  # workers inherit this environment and reach brokers on this machine
    ends_with_owner: ClassVar[bool] = False  # with the process that deployed it
    daemon: ClassVar[str] = ""  # what runs the workers, where it may not answer; targets may share one
    takes_registry: ClassVar[bool] = False
    takes_certificate: ClassVar[bool] = True
    takes_external_broker: ClassVar[bool] = True

    @abstractmethod
    def start(
        self,
        request: DeployRequest,
        projects: Projects,
        replicas: Mapping[str, int],
        *,
        is_safe: bool,
        registry: str | None,
        say: Say,
    ) -> Backend:
        """Start all functions, and wait until callers are answered; where that fails, nothing is left."""

    @abstractmethod
    def find(self, name: str) -> Backend | None:
        """A deployment that runs and that this process may not hold, by its name or its graph's.

        A `DaemonError` where nobody can tell.
        """

    def check_job(self) -> None:
        """Raise where this target can't run the workers of a job."""
        raise DeployError(f'A job has no workers in containers of "{self.name}"; take "docker" or "swarm".')

    def work(self, request: JobRequest, project: FunctionProject, say: Say) -> JobWorkers:
        """Start the workers of a job, and the broker between them and this process."""
        raise NotImplementedError(f"{type(self).__name__} runs no jobs")

    def place_of(self, name: str, running: RunningGraph | None) -> str:
        """The URL by which workers here call the deployment of that name; None: it does not run yet."""
        raise DeployError(
            f'Target "{self.name}" can\'t tell its workers where the deployment "{name}" is; deploy on "process" or '
            f'"docker", or say its address: env={{"{PLACES_VARIABLE}": "{name}=https://HOST"}}.'
        )

    def check(self, function: str, given: Provision) -> None:
        """Raise where a function is given what this target can't give; most can give all there is."""
        return


class ExportTarget(ABC):
    """What a graph can be exported for: `graph.export(folder, name)`."""

    name: ClassVar[str]
    rank: ClassVar[int]
    has_one_port: ClassVar[bool] = False  # callers reach one port of one container
    chooses_port: ClassVar[bool] = False  # `host` and `port` say where callers reach it
    scales: ClassVar[bool] = True  # it takes `autoscale`
    note: ClassVar[str] = ""  # what is to be said of every such export

    @abstractmethod
    def files(self, spec: ExportSpec) -> dict[str, bytes]:
        """The files of an export by their paths."""


@cache
def hosts() -> Mapping[str, HostTarget]:
    """The targets of `graph.deploy` by name.

    >>> list(hosts())
    ['process', 'docker', 'swarm']
    """
    found = [module.HOST for module in _modules() if hasattr(module, "HOST")]
    return {host.name: host for host in sorted(found, key=lambda host: host.rank)}


@cache
def exports() -> Mapping[str, ExportTarget]:
    """The targets of `graph.export` by name.

    >>> list(exports())
    ['compose', 'swarm', 'kubernetes', 'nuclio']
    """
    found = [module.EXPORT for module in _modules() if hasattr(module, "EXPORT")]
    return {export.name: export for export in sorted(found, key=lambda export: export.rank)}


def host_target(name: str) -> HostTarget:
    """The target of that name; a `DeployError` that lists all where there is none."""
    if name not in hosts():
        raise DeployError(f'There is no target "{name}"; targets: {", ".join(hosts())}.')
    return hosts()[name]


def export_target(name: str) -> ExportTarget:
    """The target of that name; an `ExportError` that lists all where there is none."""
    if name not in exports():
        raise ExportError(f'There is no target "{name}" for an export; targets: {", ".join(exports())}.')
    return exports()[name]


def local_hosts() -> tuple[str, ...]:
    """The names of the targets that need no more than this machine.

    >>> local_hosts()
    ('process', 'docker')
    """
    return tuple(name for name, host in hosts().items() if host.is_local)


def any_of(names: Iterable[str]) -> str:
    """The names as an offer.

    >>> any_of(["process", "docker", "swarm"])
    'process, docker or swarm'
    """
    *before, last = names
    return f"{', '.join(before)} or {last}" if before else last


def _modules() -> Iterator[object]:
    package = importlib.import_module(__package__)
    for folder in pkgutil.iter_modules(package.__path__):
        if folder.ispkg and importlib.util.find_spec(f"{__package__}.{folder.name}.target"):
            yield importlib.import_module(f"{__package__}.{folder.name}.target")
