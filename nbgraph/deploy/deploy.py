"""Deploy: a graph becomes a running deployment, or one clear sentence says why not and nothing is left behind."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from nbgraph.deploy.deployment import Deployment
from nbgraph.deploy.export import digest, only_function, project_files
from nbgraph.deploy.hosted import Hosted, Request
from nbgraph.deploy.process import Process
from nbgraph.deploy.profile import Profile, is_public
from nbgraph.deploy.progress import Say, told
from nbgraph.deploy.split import Function
from nbgraph.errors import DeployError
from nbgraph.graph.graph import Graph

TARGETS = ("process", "docker")
DURABILITIES = (None, "sync", "fast")


def deploy(
    graph: Graph,
    target: str,
    *,
    replicas: Any,
    port: int | None,
    host: str,
    api_key: str | None,
    base_image: str | None,
    requirements: Sequence[str] | None,
    autoscale: Mapping[str, tuple[int, int, float]] | None,
    durability: str | None,
    timeout: float,
    progress: bool,
) -> Deployment:
    """See `Graph.deploy`."""
    _check_target(target, durability)
    function = only_function(graph)
    _check_scaling(function, replicas, autoscale)
    _check_place(host, port, api_key)
    name = f"{function.name}-{secrets.token_hex(2)}"
    request = Request(name, graph.name, function.name, host, port, api_key, timeout)
    with told(progress) as say:
        say("Capturing what the steps use")
        files = project_files(function, base_image, requirements or ())
        hosted = _hosted(target, request, files, say)
    return Deployment(hosted, graph)


def _hosted(target: str, request: Request, files: Mapping[str, bytes], say: Say) -> Hosted:
    if target == "process":
        say("Starting the worker")
        return Process.start(request, files)
    return _in_docker(request, files, say)


def _in_docker(request: Request, files: Mapping[str, bytes], say: Say) -> Hosted:
    from nbgraph.deploy.docker import Container, connect
    from nbgraph.deploy.image import built, pruned
    from nbgraph.deploy.wheelhouse import can_fetch, fetched

    client = connect()
    try:
        repository = f"nbgraph/{request.function}"
        wheels = []
        if can_fetch(client.version()["Arch"]):
            say("Fetching packages")
            wheels = fetched(_lines(files), _bundled(files))
        image = built(client, files, wheels, repository, digest(files), say)
        say("Starting the container")
        size = sum(len(content) for path, content in files.items() if path.startswith("artifacts/"))
        container = Container.start(client, image, Profile.of_artifacts(size), request)
        pruned(client, repository, image)
    except BaseException:
        client.close()
        raise
    return container


def _bundled(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The wheels of the project's own, by file name."""
    return {path.removeprefix("wheels/"): files[path] for path in files if path.startswith("wheels/") and "whl" in path}


def _lines(files: Mapping[str, bytes]) -> list[str]:
    """Requirement lines of the project, the worker's and the code's."""
    text = files["requirements.txt"] + files["runtime/requirements.txt"]
    return sorted({line.partition("  #")[0] for line in text.decode().splitlines() if line})


def _check_target(target: str, durability: str | None) -> None:
    if target == "swarm":
        raise DeployError('Target "swarm" comes together with graphs of several functions; today: process, docker.')
    if target not in TARGETS:
        raise DeployError(f'There is no target "{target}"; targets: {", ".join(TARGETS)}.')
    if durability not in DURABILITIES:
        raise DeployError(f'durability={durability!r} is unknown; expected "sync" or "fast".')


def _check_scaling(function: Function, replicas: Any, autoscale: Any) -> None:
    wanted = replicas.get(function.name, 1) if isinstance(replicas, Mapping) else replicas
    if wanted not in (None, 1) or autoscale:
        raise DeployError(
            f'"{function.name}" answers callers on one port and so has one replica; scaling needs queues, which a '
            "deployment can't run yet."
        )


def _check_place(host: str, port: int | None, api_key: str | None) -> None:
    if is_public(host) and not api_key:
        raise DeployError(
            f'host="{host}" opens the graph to everyone who reaches this machine; give an api_key as well, or leave '
            "`host` out to keep it to this machine."
        )
    if port is not None:
        from nbgraph.deploy.docker import port_in_use

        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise port_in_use(host, port) from error
