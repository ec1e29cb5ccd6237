"""Deploy: a graph becomes a running deployment, or one clear sentence says why not and nothing is left behind."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nbgraph.deploy.backend import DeployRequest, listening
from nbgraph.deploy.broker import check_there
from nbgraph.deploy.deployment import Deployment
from nbgraph.deploy.operation.autoscale import ScalingRule, rules_of
from nbgraph.deploy.operation.catalogue import check_circle, enter
from nbgraph.deploy.operation.discovery import discover
from nbgraph.deploy.operation.version import next_version
from nbgraph.deploy.options.build import BuildOptions
from nbgraph.deploy.options.calls import check_calls, with_places
from nbgraph.deploy.options.certificate import PROXIED, certificate_of
from nbgraph.deploy.options.features import check_features, with_access
from nbgraph.deploy.options.provision import provisions_of
from nbgraph.deploy.options.replicas import replicas_of
from nbgraph.deploy.options.secrets import check_given
from nbgraph.deploy.options.shared_state import functions_of
from nbgraph.deploy.options.validation import (
    check_durability,
    check_here,
    check_numbers,
    check_place,
    checked_key,
    checked_name,
)
from nbgraph.deploy.progress import told
from nbgraph.deploy.target import HostTarget, host_target
from nbgraph.engine.partition import Function
from nbgraph.errors import DeployError
from nbgraph.graph.deploy_options import DeployOptions
from nbgraph.graph.documents.catalogue import checked_version
from nbgraph.graph.graph import Graph
from nbgraph.streams.transport import StreamAddress, address_of, check_reachable, transport_of


def deploy(graph: Graph, options: DeployOptions) -> Deployment:
    """See `Graph.deploy`."""
    check_here()
    asked = _checked(graph, options)
    running = _running(asked) if options.name is not None else None
    if running is None:
        deployment = _started(graph, asked, options)
    else:
        deployment, running.recipe = running, asked.recipe
        running.update(graph, version=options.version, replicas=options.replicas, progress=options.progress)
    deployment.autoscale(asked.rules)
    return deployment


@dataclass(frozen=True, slots=True)
class _Hosting:
    """What was asked for, checked; nothing has been started."""

    target: HostTarget
    functions: Sequence[Function]
    recipe: BuildOptions
    request: DeployRequest
    replicas: Mapping[str, int]
    rules: Mapping[str, ScalingRule]


def _checked(graph: Graph, options: DeployOptions) -> _Hosting:
    """All that can be known to be wrong before anything is started is refused here."""
    target = host_target(options.target)
    check_durability(options.durability)
    if options.version is not None:
        checked_version(options.version)
    functions = functions_of(graph)
    check_features(options.target, functions, is_here=target.is_here, snapshot=options.snapshot)
    request = _request(graph, functions[0].name, options)
    _check_target(target, request.streams, options)
    names = [function.name for function in functions]
    readers = transport_of(request.streams).most_readers
    replicas = replicas_of(functions, options.replicas, has_one_port=target.has_one_port, readers=readers)
    rules = rules_of(options.autoscale or {}, names[1:])
    given = with_access(provisions_of(names, options), functions)
    check_given(target, functions, given)
    check_calls(target, functions, given)
    check_circle(request.name, graph)
    recipe = BuildOptions.of(graph, functions, given, options, request.streams.transport)
    return _Hosting(target, functions, recipe, request, replicas, rules)


def _request(graph: Graph, function: str, options: DeployOptions) -> DeployRequest:
    """Where callers and the broker are to be; without a name it gets one of its own."""
    name = options.name or f"{function}-{os.urandom(2).hex()}"
    streams = address_of(options.streams, name)
    check_numbers(options.timeout, options.capture)
    key = checked_key(options.api_key)
    check_place(options.host, options.port, key)
    certificate = certificate_of(options.certificate)
    return DeployRequest(
        name, graph.name, function, options.host, options.port, key, options.timeout, certificate, streams
    )


def _started(graph: Graph, asked: _Hosting, options: DeployOptions) -> Deployment:
    request = replace(asked.request, version=options.version or next_version(graph))
    if request.port is not None:
        listening(request.host, request.port).close()
    if len(asked.functions) > 1:
        check_there(request.streams)
    with told(options.progress) as say:
        say("Capturing what the steps use")
        projects = with_places(asked.target, asked.recipe.projects(asked.functions, say))
        is_safe = options.durability == "sync" if options.durability else asked.target.is_safe
        hosted = asked.target.start(
            request, projects, asked.replicas, is_safe=is_safe, registry=options.registry, say=say
        )
    deployment = Deployment(hosted, graph, recipe=asked.recipe)
    enter(hosted, graph)
    deployment.left = tuple(path for part in projects for path in part.left)
    return deployment


def _running(asked: _Hosting) -> Deployment | None:
    """The deployment of that name, if it runs; what callers know of it stays as it is."""
    wanted, target = asked.request, asked.target
    discovery = discover(checked_name(wanted.name))
    for other in discovery.found:
        if other.request.name == wanted.name and other.target != target.name:  # whoever says `stop` could mean either
            raise DeployError(
                f'A deployment "{wanted.name}" runs on {other.target} already; stop that first, or take another name.'
            )
    if target.daemon in discovery.silent:
        raise discovery.silent[target.daemon]
    found = Deployment.find(wanted.name, target.name)
    if found is None or found.name != wanted.name:
        return None
    kept = found.request
    changed = {
        "port": wanted.port not in (None, kept.port),
        "host": wanted.host != kept.host,
        "api_key": wanted.api_key not in (None, kept.api_key),
        "certificate": wanted.certificate not in (None, kept.certificate),
        "streams": wanted.streams.url != kept.streams.url,
    }
    if any(changed.values()):
        words = ", ".join(word for word, is_changed in changed.items() if is_changed)
        raise DeployError(
            f'Deployment "{wanted.name}" runs with another {words}; stop it first, or leave that as it is.'
        )
    return found


def _check_target(target: HostTarget, streams: StreamAddress, options: DeployOptions) -> None:
    """Refuse what the target has no use for."""
    if options.registry is not None and not target.takes_registry:
        raise DeployError(f'Target "{target.name}" runs on one machine and asks no registry; leave `registry` out.')
    if options.certificate is not None and not target.takes_certificate:
        raise DeployError(f'Target "{target.name}" speaks HTTP; leave `certificate` out, or {PROXIED}.')
    if streams.is_external and not target.takes_external_broker:
        raise DeployError(
            f'Target "{target.name}" brings a broker of its own; leave `streams` out, deploy on "docker", or export '
            "the graph."
        )
    if not target.is_here:
        check_reachable(streams, target.name)
