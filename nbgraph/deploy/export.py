"""Export: a graph as a folder that can be read, kept in version control, built and run without this notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

from nbgraph.contract import PORT, REQUIREMENTS_FILE
from nbgraph.deploy.operation.autoscale import ScalingRule, rules_of
from nbgraph.deploy.options.build import BuildOptions
from nbgraph.deploy.options.calls import check_told
from nbgraph.deploy.options.certificate import PROXIED
from nbgraph.deploy.options.features import check_features, features_in
from nbgraph.deploy.options.provision import Provision, provisions_of
from nbgraph.deploy.options.replicas import check_most, replicas_of
from nbgraph.deploy.options.requirements import remarks_in
from nbgraph.deploy.options.secrets import asked_in
from nbgraph.deploy.options.shared_state import functions_of
from nbgraph.deploy.options.validation import (
    check_durability,
    check_numbers,
    check_place,
    checked_key,
    checked_name,
)
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.function_project import Projects
from nbgraph.deploy.project.output import MANIFEST, hashes, manifest, owned, replace
from nbgraph.deploy.project.project import digest
from nbgraph.deploy.project.services import services_of
from nbgraph.deploy.target import ExportTarget, export_target
from nbgraph.engine.partition import Function
from nbgraph.errors import ExportError
from nbgraph.graph.deploy_options import ExportOptions
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import slug
from nbgraph.streams.transport import StreamAddress, address_of, check_reachable, transport_of


@dataclass(frozen=True, slots=True)
class Export:
    """What was written: the folder, its files by path with their SHA-256, and one hash over all of them."""

    folder: Path
    files: Mapping[str, str]
    digest: str
    note: str = ""

    def __repr__(self) -> str:
        listed = "\n".join(f"  {path}" for path in self.files)
        return f"{self.folder}\n{listed}" + (f"\n{self.note}" if self.note else "")


def export(graph: Graph, options: ExportOptions) -> Export:
    """See `Graph.export`."""
    from nbgraph.monitor import export as monitoring  # which loads NumPy

    target = export_target(options.target)
    folder = Path(options.folder).expanduser().resolve()
    before = owned(folder)
    functions = functions_of(graph)
    check_features(options.target, functions, is_here=False, snapshot=options.snapshot)
    remarks: list[str] = []
    spec = _spec(graph, functions, target, options, remarks.append)
    watching = monitoring.files_of(graph.name, graph.watched, has_queues=len(functions) > 1)
    files = target.files(spec) | {f"{monitoring.FOLDER}/{path}": content for path, content in watching.items()}
    written = {"graph": graph.name, "target": options.target, "functions": [each.name for each in functions]}
    files[MANIFEST] = manifest(written, files)
    files = dict(sorted(files.items()))
    replace(folder, files, before)
    note = "\n".join(filter(None, [_note(target, spec.projects), *remarks]))
    return Export(folder, hashes(files), digest(files), note)


def _spec(
    graph: Graph, functions: Sequence[Function], target: ExportTarget, options: ExportOptions, say: Say
) -> ExportSpec:
    """What is to be written, checked."""
    name = slug(graph.name) if options.name is None else checked_name(options.name)
    streams = address_of(options.streams, name)
    _check(target, options, streams)
    recipe = _recipe(graph, functions, options, streams.transport)
    replicas, rules = _replicas(functions, target, options, streams)
    projects = recipe.projects(functions, say)
    return ExportSpec(
        graph.name,
        name,
        projects,
        tuple(services_of(projects, replicas, registry=options.registry, streams=streams)),
        rules,
        is_pushed=options.registry is not None,
        is_guarded=bool(options.api_key),
        is_safe=options.durability != "fast",
        host=options.host,
        port=PORT if options.port is None else options.port,
        streams=streams,
    )


def _check(target: ExportTarget, options: ExportOptions, streams: StreamAddress) -> None:
    """Refuse what no export, or not this one, can say."""
    check_reachable(streams, options.target)
    transport_of(streams).check_export(streams)
    check_numbers(1, options.capture)
    check_place(options.host, options.port, checked_key("a key" if options.api_key is True else options.api_key))
    if not target.chooses_port and (options.port is not None or options.host != "127.0.0.1"):
        raise ExportError(f'Where callers reach target "{target.name}" is its own matter; leave `host` and `port` out.')
    if options.certificate is not None:
        raise ExportError(f"What is exported speaks HTTP; leave `certificate` out, or {PROXIED}.")
    check_durability(options.durability)


def _recipe(graph: Graph, functions: Sequence[Function], options: ExportOptions, transport: str) -> BuildOptions:
    given = provisions_of([function.name for function in functions], options, are_values_needed=False)
    _check_values(options.secrets)
    check_told(functions, given)
    return BuildOptions.of(graph, functions, _completed(functions, given), options, transport)


def _replicas(
    functions: Sequence[Function], target: ExportTarget, options: ExportOptions, streams: StreamAddress
) -> tuple[dict[str, int], dict[str, ScalingRule]]:
    """How many workers each function begins with, and the rules of those that scale by themselves."""
    readers = transport_of(streams).most_readers
    wanted = replicas_of(functions, options.replicas, has_one_port=target.has_one_port, readers=readers)
    if options.autoscale and not target.scales:
        raise ExportError(f'Target "{target.name}" does not scale by itself; say how many there are: replicas=...')
    rules = rules_of(options.autoscale or {}, [function.name for function in functions])
    for function in functions:
        check_most(function, rules[function.name].most if function.name in rules else 1, readers)
    return wanted, rules


def _note(target: ExportTarget, projects: Projects) -> str:
    """What is to be said of an export: of its target, and of packages that are here in another way."""
    said = [remark for part in projects for remark in remarks_in(part.files[REQUIREMENTS_FILE].decode())]
    return "\n".join([*([target.note] if target.note else []), *dict.fromkeys(said)])


def _completed(functions: Sequence[Function], given: Mapping[str, Provision]) -> dict[str, Provision]:
    """What steps ask for as well: an export names secrets and holds none, so whoever runs it is asked for them."""
    found = dict(given)
    for function in functions:
        one = given[function.name]
        stores = {place.secret for _, _, place in features_in(function.graph) if place.secret is not None}
        asked = ({name for _, name in asked_in(function.graph)} | stores) - set(one.env)
        found[function.name] = replaced(one, secrets=dict.fromkeys(sorted({*one.secrets, *asked}), ""))
    return found


def _check_values(given: Any) -> None:
    """Refuse two values under one name: an export has a file for each name, and asks for it when it is started."""
    found: dict[str, Any] = {}
    for its in given.values() if isinstance(given, Mapping) else ():
        for name, value in its.items() if isinstance(its, Mapping) else ():
            if value is not None and found.setdefault(name, value) != value:
                raise ExportError(
                    f'secrets gives "{name}" to two functions with two values, and an export asks for one of each '
                    "name; give them two names."
                )
