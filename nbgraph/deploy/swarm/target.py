"""The target "swarm": services on the nodes of a Docker Swarm, started from here or by `docker stack deploy`."""

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


class SwarmTarget(HostTarget):
    """Several machines, which pull the images from a registry."""

    name, rank = "swarm", 2
    daemon = "docker"
    has_one_port = False
    is_local = False
    takes_registry = True
    takes_certificate = False
    takes_external_broker = False

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
        from nbgraph.deploy.docker.client import connected
        from nbgraph.deploy.swarm.backend import SwarmBackend

        with connected() as client:
            return SwarmBackend.start(client, request, projects, replicas, is_safe=is_safe, registry=registry, say=say)

    def find(self, name: str) -> Backend | None:
        from nbgraph.deploy.docker.client import found_at
        from nbgraph.deploy.swarm.backend import SwarmBackend

        return found_at(SwarmBackend.find, name)

    def work(self, request: JobRequest, project: FunctionProject, say: Say) -> JobWorkers:
        from nbgraph.deploy.docker.client import connected
        from nbgraph.deploy.swarm.job_service import JobService

        with connected() as client:
            return JobService.start(client, request, project, say)

    def check_job(self) -> None:
        from nbgraph.deploy.docker.client import connected
        from nbgraph.deploy.swarm.engine import check_manager

        with connected() as client:
            check_manager(client)
            client.close()


class SwarmExport(ExportTarget):
    """A stack file."""

    name, rank = "swarm", 1
    scales = False

    def files(self, spec: ExportSpec) -> dict[str, bytes]:
        from nbgraph.deploy.swarm.export import swarm_files

        return swarm_files(spec)


HOST, EXPORT = SwarmTarget(), SwarmExport()
