"""Deploy: a graph becomes a running deployment, or one clear sentence says why not and nothing is left behind."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from nbgraph.deploy.backend import DeployRequest, listening
from nbgraph.deploy.broker import check_there
from nbgraph.deploy.deployment import Deployment
from nbgraph.deploy.operation import discovery
from nbgraph.deploy.operation.autoscale import rules_of
from nbgraph.deploy.operation.catalogue import enter
from nbgraph.deploy.operation.version import next_version
from nbgraph.deploy.options.build import BuildOptions
from nbgraph.deploy.options.certificate import PROXIED, Certificate, certificate_of
from nbgraph.deploy.options.features import check_features
from nbgraph.deploy.options.provision import provisions_of
from nbgraph.deploy.options.replicas import replicas_of
from nbgraph.deploy.options.secrets import check_given
from nbgraph.deploy.options.shared_state import functions_of
from nbgraph.deploy.options.validation import (
    base_images_of,
    check_cors,
    check_durability,
    check_here,
    check_index,
    check_numbers,
    check_place,
    checked_name,
    requirements_of,
)
from nbgraph.deploy.options.workers import with_hands
from nbgraph.deploy.progress import told
from nbgraph.deploy.target import HostTarget, host_target, hosts
from nbgraph.errors import DeployError
from nbgraph.graph.documents.catalogue import checked_version
from nbgraph.graph.graph import Graph
from nbgraph.streams.transport import StreamAddress, address_of, check_reachable, transport_of


def deploy(
    graph: Graph,
    target: str,
    *,
    name: str | None,
    version: str | None,
    replicas: Any,
    threads: Any,
    workers: Any,
    port: int | None,
    host: str,
    api_key: str | None,
    base_image: str | Mapping[str, str] | None,
    requirements: Any,
    index_url: str | None,
    env: Any,
    secrets: Any,
    resources: Any,
    volumes: Any,
    cors: Sequence[str] | None,
    certificate: Any,
    autoscale: Mapping[str, tuple[int, int, float]] | None,
    durability: str | None,
    registry: str | None,
    streams: str,
    capture: float,
    include: Sequence[str],
    timeout: float,
    progress: bool,
) -> Deployment:
    """See `Graph.deploy`."""
    check_here()
    host_kind = host_target(target)
    check_durability(durability)
    if version is not None:
        checked_version(version)
    functions = functions_of(graph)
    check_features(target, functions)
    called = name or f"{functions[0].name}-{os.urandom(2).hex()}"
    address = address_of(streams, called)
    _check_target(host_kind, certificate, address, registry)
    readers = transport_of(address).most_readers
    wanted = replicas_of(functions, replicas, has_one_port=host_kind.has_one_port, readers=readers)
    rules = rules_of(autoscale or {}, [function.name for function in functions[1:]])
    check_numbers(timeout, capture)
    names = [function.name for function in functions]
    bases = base_images_of(base_image, names)
    more = requirements_of(requirements, names)
    check_index(index_url)
    check_place(host, port, api_key)
    secured = certificate_of(certificate)
    given = provisions_of(names, env, secrets, resources, volumes)
    check_given(host_kind, functions, given)
    with_hands(functions, threads, workers)
    redacted = tuple(sorted(graph.redacted))
    allowed = check_cors(cors)
    recipe = BuildOptions(
        bases, more, given, capture, redacted, index_url, threads, workers, allowed, tuple(include), address.transport
    )
    if name is not None:
        _check_alone(name, target)
    if (
        name is not None
        and (running := _running(checked_name(name), target, port, host, api_key, secured, address)) is not None
    ):
        running.recipe = recipe
        running.update(graph, version=version, replicas=replicas, progress=progress)
        running.autoscale(rules)
        return running
    if port is not None:
        listening(host, port).close()
    if len(functions) > 1:
        check_there(address)
    request = DeployRequest(
        called, graph.name, functions[0].name, host, port, api_key, timeout, secured, address,
        version or next_version(graph),
    )  # fmt: skip
    with told(progress) as say:
        say("Capturing what the steps use")
        projects = recipe.projects(functions, say)
        is_safe = durability == "sync" if durability else host_kind.is_safe
        hosted = host_kind.start(request, projects, wanted, is_safe=is_safe, registry=registry, say=say)
    deployment = Deployment(hosted, graph, recipe=recipe)
    enter(hosted, graph)
    deployment.left = tuple(path for part in projects for path in part.left)
    deployment.autoscale(rules)
    return deployment


def _check_alone(name: str, target: str) -> None:
    """Refuse a name that runs on another target: whoever says `stop` could mean either."""
    for other in hosts():
        if other != target and any(found.request.name == name for found in discovery.running(name, other)):
            raise DeployError(f'A deployment "{name}" runs on {other} already; stop that first, or take another name.')


def _running(
    name: str,
    target: str,
    port: int | None,
    host: str,
    api_key: str | None,
    certificate: Certificate | None,
    streams: StreamAddress,
) -> Deployment | None:
    """The deployment of that name, if it runs; what callers know of it stays as it is."""
    found = Deployment.find(name, target)
    if found is None or found.name != name:
        return None
    kept = found.request
    changed = {
        "port": port not in (None, kept.port), "host": host != kept.host,
        "api_key": api_key is not None and api_key != kept.api_key,
        "certificate": certificate is not None and certificate != kept.certificate,
        "streams": streams.url != kept.streams.url,
    }  # fmt: skip
    if any(changed.values()):
        words = ", ".join(word for word, is_changed in changed.items() if is_changed)
        raise DeployError(f'Deployment "{name}" runs with another {words}; stop it first, or leave that as it is.')
    return found


def _check_target(host: HostTarget, certificate: Any, address: StreamAddress, registry: str | None) -> None:
    """Refuse what the target has no use for."""
    if registry is not None and not host.takes_registry:
        raise DeployError(f'Target "{host.name}" runs on one machine and asks no registry; leave `registry` out.')
    if certificate is not None and not host.takes_certificate:
        raise DeployError(f'Target "{host.name}" speaks HTTP; leave `certificate` out, or {PROXIED}.')
    if address.is_external and not host.takes_external_broker:
        raise DeployError(
            f'Target "{host.name}" brings a broker of its own; leave `streams` out, deploy on "docker", or export the '
            "graph."
        )
    if not host.is_here:
        check_reachable(address, host.name)
