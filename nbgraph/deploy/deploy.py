"""Deploy: a graph becomes a running deployment, or one clear sentence says why not and nothing is left behind."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbgraph.deploy.autoscale import Autoscaler, rules_of
from nbgraph.deploy.deployment import Deployment
from nbgraph.deploy.docker import connect
from nbgraph.deploy.fleet import Fleet
from nbgraph.deploy.hosted import Hosted, Request
from nbgraph.deploy.process import Process
from nbgraph.deploy.profile import Profile, is_public
from nbgraph.deploy.progress import Say, told
from nbgraph.deploy.project import digest, profile_of, project_files
from nbgraph.deploy.replicas import replicas_of
from nbgraph.deploy.split import Function, split
from nbgraph.deploy.stack import Stack
from nbgraph.errors import DeployError
from nbgraph.graph.graph import Graph

if TYPE_CHECKING:
    from docker import DockerClient

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
    functions = split(graph)
    first = functions[0]
    wanted = replicas_of(functions, replicas)
    rules = rules_of(autoscale or {}, [function.name for function in functions[1:]])
    _check_place(host, port, api_key)
    name = f"{first.name}-{secrets.token_hex(2)}"
    request = Request(name, graph.name, first.name, host, port, api_key, timeout)
    with told(progress) as say:
        say("Capturing what the steps use")
        projects = [(function, project_files(function, base_image, requirements or ())) for function in functions]
        if len(functions) == 1:
            return Deployment(_hosted(target, request, projects[0][1], say), graph)
        fleet = _fleet(target, request, projects, wanted, durability, say)
    return Deployment(fleet, graph, Autoscaler(fleet, rules) if rules else None)


def _fleet(
    target: str,
    request: Request,
    projects: Sequence[tuple[Function, Mapping[str, bytes]]],
    replicas: Mapping[str, int],
    durability: str | None,
    say: Say,
) -> Fleet | Stack:
    """Several functions: processes are quick by default, containers safe."""
    if target == "process":
        say("Starting the broker and the workers")
        return Fleet.start(request, projects, replicas, is_safe=durability == "sync")
    client = connect()
    try:
        images = {function.name: _image(client, function.name, files, say) for function, files in projects}
        functions = [function for function, _ in projects]
        return Stack.start(client, request, functions, images, replicas, is_safe=durability != "fast", say=say)
    except BaseException:
        client.close()
        raise


def _image(client: DockerClient, function: str, files: Mapping[str, bytes], say: Say) -> tuple[str, Profile]:
    """The image of a function's project, and what its container may use."""
    from nbgraph.deploy.image import built, pruned
    from nbgraph.deploy.wheelhouse import can_fetch, fetched

    repository = f"nbgraph/{function}"
    wheels = []
    if can_fetch(client.version()["Arch"]):
        say("Fetching packages")
        wheels = fetched(_lines(files), _bundled(files))
    image = built(client, files, wheels, repository, digest(files), say)
    pruned(client, repository, image)
    return image, profile_of(files)


def _hosted(target: str, request: Request, files: Mapping[str, bytes], say: Say) -> Hosted:
    if target == "process":
        say("Starting the worker")
        return Process.start(request, files)
    return _in_docker(request, files, say)


def _in_docker(request: Request, files: Mapping[str, bytes], say: Say) -> Hosted:
    from nbgraph.deploy.docker import Container

    client = connect()
    try:
        image, profile = _image(client, request.function, files, say)
        say("Starting the container")
        return Container.start(client, image, profile, request)
    except BaseException:
        client.close()
        raise


def _bundled(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The wheels of the project's own, by file name."""
    return {path.removeprefix("wheels/"): files[path] for path in files if path.startswith("wheels/") and "whl" in path}


def _lines(files: Mapping[str, bytes]) -> list[str]:
    """Requirement lines of the project, the worker's and the code's."""
    text = files["requirements.txt"] + files["runtime/requirements.txt"]
    return sorted({line.partition("  #")[0] for line in text.decode().splitlines() if line})


def _check_target(target: str, durability: str | None) -> None:
    if target == "swarm":
        raise DeployError('Target "swarm" can\'t be deployed to yet; today: process, docker.')
    if target not in TARGETS:
        raise DeployError(f'There is no target "{target}"; targets: {", ".join(TARGETS)}.')
    if durability not in DURABILITIES:
        raise DeployError(f'durability={durability!r} is unknown; expected "sync" or "fast".')


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
