"""Calls: the deployments that the functions of a graph call, and where their workers find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nbgraph.contract import KEYS_VARIABLE, PLACES_VARIABLE, places_in, places_text
from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.project.function_project import Projects
from nbgraph.deploy.target import HostTarget
from nbgraph.engine.partition import Function
from nbgraph.errors import ExportError
from nbgraph.graph.documents.catalogue import GraphCatalogue
from nbgraph.graph.documents.deployment_call import called_by, calls_of


def check_calls(target: HostTarget, functions: Sequence[Function], given: Mapping[str, Provision]) -> None:
    """Refuse to call what the workers of the target can't reach, before anything is built."""
    for function in functions:
        _given(target, function, given[function.name])


def with_places(target: HostTarget, projects: Projects) -> Projects:
    """The projects, whose workers are told where the deployments are that they call, as of now."""
    return [replace(part, given=_given(target, part.function, part.given)) for part in projects]


def check_told(functions: Sequence[Function], given: Mapping[str, Provision]) -> None:
    """Refuse to export a call that nobody has said the address of: there is no catalogue where an export runs."""
    for function in functions:
        told = places_in(given[function.name].env.get(PLACES_VARIABLE, ""))
        for call in calls_of(function.graph):
            if call.name not in told:
                raise ExportError(
                    f'Step "{call.step}" calls the deployment "{call.name}", and an export can\'t know where that is; '
                    f'say it: env={{"{PLACES_VARIABLE}": "{call.name}=https://HOST"}}; its key, if it needs one, is '
                    f"the secret {KEYS_VARIABLE}."
                )


def _given(target: HostTarget, function: Function, given: Provision) -> Provision:
    """What the workers of a function are given; what was said by hand is taken as it is."""
    told = places_in(given.env.get(PLACES_VARIABLE, ""))
    names = called_by(function.graph)
    if target.is_here or not set(names) - set(told):
        return given
    places, keys = dict(told), places_in(given.secrets.get(KEYS_VARIABLE, ""))
    for name in names:
        if name not in told:
            running = GraphCatalogue.here().find(name)
            places[name] = target.place_of(name, running)
            keys |= {name: running.api_key} if running is not None and running.api_key is not None else {}
    secrets = {**given.secrets, **({KEYS_VARIABLE: places_text(keys)} if keys else {})}
    return replace(given, env={**given.env, PLACES_VARIABLE: places_text(places)}, secrets=secrets)
