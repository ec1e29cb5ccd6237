"""Rlimit: what of a function's resources a process can be held to."""

from __future__ import annotations

import contextlib
import sys

from nbgraph.deploy.options.resources import Resources
from nbgraph.deploy.options.volumes import Volume
from nbgraph.errors import DeployError


def check_process(function: str, resources: Resources, volumes: tuple[Volume, ...]) -> None:
    """Refuse what only a container can be held to, or given."""
    asked = [word for word in ("cpus", "gpus", "tmp") if getattr(resources, word)]
    if asked or volumes:
        words = ", ".join([*(f"resources {word}" for word in asked), *(["volumes"] if volumes else [])])
        raise DeployError(
            f'"{function}" is given {words}, and processes share this machine with its files, cores and devices: leave '
            'that out, or deploy to containers: graph.deploy("docker").'
        )
    if resources.memory is not None and not sys.platform.startswith("linux"):
        raise DeployError(f'"{function}" is given resources memory, and only on Linux can a process be held to it.')


def limit(pid: int, memory: int) -> None:
    """Hold a process to that many bytes of data: what asks for more gets a MemoryError."""
    import resource

    with contextlib.suppress(ProcessLookupError):  # it has ended already, which is told elsewhere
        resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))
