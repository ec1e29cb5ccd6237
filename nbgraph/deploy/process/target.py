"""The target "process": workers are processes of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbgraph.deploy.target import HostTarget

if TYPE_CHECKING:
    from nbgraph.deploy.backend import Backend, DeployRequest
    from nbgraph.deploy.options.provision import Provision
    from nbgraph.deploy.progress import Say
    from nbgraph.deploy.project.function_project import Projects


class ProcessTarget(HostTarget):
    """Quick to start; all ends with the process that deployed."""

    name, rank = "process", 0
    shares_port = True
    is_safe = False
    is_here = True
    ends_with_owner = True

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
        from nbgraph.deploy.process.backend import ProcessBackend

        return ProcessBackend.start(request, projects, replicas, is_safe=is_safe, say=say)

    def find(self, name: str) -> Backend | None:
        from nbgraph.deploy.process.attachment import AttachedBackend

        return AttachedBackend.find(name)

    def check(self, function: str, given: Provision) -> None:
        from nbgraph.deploy.process.rlimit import check_process

        check_process(function, given.resources, given.volumes)


HOST = ProcessTarget()
