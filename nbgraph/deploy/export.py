"""Export: a graph as a folder that can be read, kept in version control, built and run without this notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgraph.deploy import kubernetes, nuclio
from nbgraph.deploy.autoscale import rules_of
from nbgraph.deploy.compose import compose_files
from nbgraph.deploy.folder import MANIFEST, hashes, manifest, owned, replace
from nbgraph.deploy.kubernetes import kubernetes_files
from nbgraph.deploy.nuclio import nuclio_files
from nbgraph.deploy.order import Order
from nbgraph.deploy.project import digest, project_files
from nbgraph.deploy.replicas import check_most, replicas_of
from nbgraph.deploy.services import services_of
from nbgraph.deploy.split import split
from nbgraph.deploy.swarm_export import swarm_files
from nbgraph.errors import ExportError
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import slug

TARGETS: dict[str, Callable[[Order], dict[str, bytes]]] = {
    "compose": compose_files,
    "swarm": swarm_files,
    "kubernetes": kubernetes_files,
    "nuclio": nuclio_files,
}
NOTES = {"kubernetes": f"The manifests are {kubernetes.NOTE}.", "nuclio": f"The functions were {nuclio.NOTE}."}
ONE_DOOR = ("compose", "swarm")  # callers reach one port of one container there, and nobody scales the others


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
    replicas: Any = None,
    autoscale: Mapping[str, tuple[int, int, float]] | None = None,
    registry: str | None = None,
) -> Export:
    """Write the project of a graph; the same graph gives the same bytes."""
    if target not in TARGETS:
        raise ExportError(f'There is no target "{target}" for an export; targets: {", ".join(TARGETS)}.')
    folder = folder.expanduser().resolve()
    before = owned(folder)
    order = _order(graph, target, replicas, autoscale or {}, registry)
    files = TARGETS[target](order)
    told = {"graph": graph.name, "target": target, "functions": [function.name for function, _ in order.projects]}
    files[MANIFEST] = manifest(told, files)
    files = dict(sorted(files.items()))
    replace(folder, files, before)
    return Export(folder, hashes(files), digest(files), NOTES.get(target, ""))


def _order(
    graph: Graph,
    target: str,
    replicas: Any,
    autoscale: Mapping[str, tuple[int, int, float]],
    registry: str | None,
) -> Order:
    functions = split(graph)
    has_one_door = target in ONE_DOOR
    wanted = replicas_of(functions, replicas, has_one_door=has_one_door)
    if autoscale and has_one_door:
        raise ExportError(f'Target "{target}" does not scale by itself; say how many there are: replicas=...')
    rules = rules_of(autoscale, [function.name for function in functions])
    for function in functions:
        check_most(function, rules[function.name].most if function.name in rules else 1)
    projects = [(function, project_files(function)) for function in functions]
    services = services_of(projects, wanted, registry=registry)
    return Order(graph.name, slug(graph.name), projects, tuple(services), rules, is_pushed=registry is not None)
