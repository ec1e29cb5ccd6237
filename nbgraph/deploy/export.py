"""Export: a graph as a folder that can be read, kept in version control, built and run without this notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

from nbgraph.contract import PORT, REQUIREMENTS_FILE
from nbgraph.deploy.operation.autoscale import rules_of
from nbgraph.deploy.options.build import BuildOptions
from nbgraph.deploy.options.certificate import PROXIED
from nbgraph.deploy.options.provision import Provision, provisions_of
from nbgraph.deploy.options.replicas import check_most, replicas_of
from nbgraph.deploy.options.requirements import remarks_in
from nbgraph.deploy.options.secrets import asked_in
from nbgraph.deploy.options.shared_state import functions_of
from nbgraph.deploy.options.validation import (
    base_images_of,
    check_cors,
    check_durability,
    check_index,
    check_numbers,
    check_place,
    checked_name,
    requirements_of,
)
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.function_project import Projects
from nbgraph.deploy.project.output import MANIFEST, hashes, manifest, owned, replace
from nbgraph.deploy.project.project import digest
from nbgraph.deploy.project.services import services_of
from nbgraph.deploy.target import ExportTarget, export_target
from nbgraph.engine.partition import Function
from nbgraph.errors import ExportError
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import slug
from nbgraph.streams.transport import DEFAULT, address_of, check_reachable, transport_of


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


def export(
    graph: Graph,
    folder: Path,
    target: str = "compose",
    *,
    name: str | None = None,
    replicas: Any = None,
    threads: Any = None,
    workers: Any = None,
    port: int | None = None,
    host: str = "127.0.0.1",
    api_key: Any = None,
    base_image: str | Mapping[str, str] | None = None,
    requirements: Any = None,
    index_url: str | None = None,
    env: Any = None,
    secrets: Any = None,
    resources: Any = None,
    volumes: Any = None,
    cors: Sequence[str] | None = None,
    certificate: Any = None,
    autoscale: Mapping[str, tuple[int, int, float]] | None = None,
    durability: str | None = None,
    registry: str | None = None,
    streams: str = DEFAULT,
    capture: float = 0.0,
    include: Sequence[str] = (),
) -> Export:
    """See `Graph.export`."""
    kind = export_target(target)
    folder = folder.expanduser().resolve()
    before = owned(folder)
    functions = functions_of(graph)
    address = address_of(streams, checked_name(name) if name is not None else slug(graph.name))
    check_reachable(address, target)
    transport_of(address).check_export(address)
    names = [function.name for function in functions]
    check_numbers(1, capture)
    _check_place(kind, host, port, api_key)
    if certificate is not None:
        raise ExportError(f"What is exported speaks HTTP; leave `certificate` out, or {PROXIED}.")
    check_durability(durability)
    check_index(index_url)
    given = provisions_of(names, env, secrets, resources, volumes, are_values_needed=False)
    _check_values(secrets)
    recipe = BuildOptions(
        base_images_of(base_image, names), requirements_of(requirements, names), _completed(functions, given), capture,
        tuple(sorted(graph.redacted)), index_url, threads, workers, check_cors(cors), tuple(include),
        address.transport,
    )  # fmt: skip
    readers = transport_of(address).most_readers
    wanted = replicas_of(functions, replicas, has_one_port=kind.has_one_port, readers=readers)
    if autoscale and not kind.scales:
        raise ExportError(f'Target "{target}" does not scale by itself; say how many there are: replicas=...')
    rules = rules_of(autoscale or {}, names)
    for function in functions:
        check_most(function, rules[function.name].most if function.name in rules else 1, readers)
    told_of: list[str] = []
    projects = recipe.projects(functions, told_of.append)
    order = ExportSpec(
        graph.name, checked_name(name) if name is not None else slug(graph.name), projects,
        tuple(services_of(projects, wanted, registry=registry, streams=address)), rules, is_pushed=registry is not None,
        is_guarded=bool(api_key), is_safe=durability != "fast", host=host, port=PORT if port is None else port,
        streams=address,
    )  # fmt: skip
    files = kind.files(order)
    told = {"graph": graph.name, "target": target, "functions": names}
    files[MANIFEST] = manifest(told, files)
    files = dict(sorted(files.items()))
    replace(folder, files, before)
    return Export(folder, hashes(files), digest(files), "\n".join(filter(None, [_note(kind, projects), *told_of])))


def _note(target: ExportTarget, projects: Projects) -> str:
    """What is to be said of an export: of its target, and of packages that are here in another way."""
    said = [remark for part in projects for remark in remarks_in(part.files[REQUIREMENTS_FILE].decode())]
    return "\n".join([*([target.note] if target.note else []), *dict.fromkeys(said)])


def _completed(functions: Sequence[Function], given: Mapping[str, Provision]) -> dict[str, Provision]:
    """What steps ask for as well: an export names secrets and holds none, so whoever runs it is asked for them."""
    found = dict(given)
    for function in functions:
        one = given[function.name]
        asked = {name for _, name in asked_in(function.graph)} - set(one.env)
        found[function.name] = replaced(one, secrets=dict.fromkeys(sorted({*one.secrets, *asked}), ""))
    return found


def _check_place(target: ExportTarget, host: str, port: int | None, api_key: Any) -> None:
    """Refuse a place that the target has no word for."""
    check_place(host, port, "a key" if api_key is True else api_key)
    if not target.chooses_port and (port is not None or host != "127.0.0.1"):
        raise ExportError(f'Where callers reach target "{target.name}" is its own matter; leave `host` and `port` out.')


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
