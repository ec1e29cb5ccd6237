"""The targets "docker", containers of a Docker daemon, and "compose", the same as a file for `docker compose`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbgraph.deploy.target import ExportTarget, HostTarget

if TYPE_CHECKING:
    from nbgraph.deploy.backend import Backend, DeployRequest
    from nbgraph.deploy.progress import Say
    from nbgraph.deploy.project.export_spec import ExportSpec
    from nbgraph.deploy.project.function_project import FunctionProject, Projects
    from nbgraph.deploy.project.job_project import JobRequest, JobWorkers
    from nbgraph.graph.documents.catalogue import RunningGraph


class DockerTarget(HostTarget):
    """Containers on one machine."""

    name, rank = "docker", 1
    daemon = "docker"

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
        from nbgraph.deploy.docker.backend import DockerBackend
        from nbgraph.deploy.docker.client import connected

        with connected() as client:
            return DockerBackend.start(client, request, projects, replicas, is_safe=is_safe, say=say)

    def find(self, name: str) -> Backend | None:
        from nbgraph.deploy.docker.backend import DockerBackend
        from nbgraph.deploy.docker.client import found_at

        return found_at(DockerBackend.find, name)

    def place_of(self, name: str, running: RunningGraph | None) -> str:
        """By its name on a network of its callers; what is no container, at the address that it is open on."""
        from nbgraph.deploy.docker.network import place_of

        return place_of(name, running)

    def work(self, request: JobRequest, project: FunctionProject, say: Say) -> JobWorkers:
        from nbgraph.deploy.docker.client import connected
        from nbgraph.deploy.docker.job_containers import JobContainers

        with connected() as client:
            return JobContainers.start(client, request, project, say)

    def check_job(self) -> None:
        from nbgraph.deploy.docker.client import connect

        connect().close()


class ComposeTarget(ExportTarget):
    """One machine, started by `docker compose up`."""

    name, rank = "compose", 0
    has_one_port = True
    chooses_port = True
    scales = False

    def files(self, spec: ExportSpec) -> dict[str, bytes]:
        from nbgraph.deploy.docker.compose import compose_files

        return compose_files(spec)


HOST, EXPORT = DockerTarget(), ComposeTarget()
