"""Version: what a deployment is called from one update to the next, for graphs that call it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from nbgraph.deploy.backend import Backend
from nbgraph.graph.documents.catalogue import GraphCatalogue, checked_version
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import slug


@dataclass(slots=True)
class VersionChange:
    """An update that is being made; `changed`: the functions that have new workers."""

    changed: list[str] = field(default_factory=list)


def next_version(graph: Graph) -> str:
    """One more than the catalogue has counted for graphs of that name."""
    return GraphCatalogue.here().next_version(slug(graph.name))


@contextmanager
def version_of(hosted: Backend, graph: Graph, version: str | None) -> Iterator[VersionChange]:
    """Make an update under its version: gateways that start know it, one that goes on is told in the end.

    Where nothing has changed, a count stays what it was; where the update fails, so does any version.
    """
    before, change = hosted.request, VersionChange()
    wanted = checked_version(version) if version is not None else next_version(graph)
    hosted.request = replace(before, version=wanted)
    try:
        yield change
    except BaseException:
        hosted.request = before
        raise
    if not change.changed and version is None:
        hosted.request = before
    elif hosted.functions[0] not in change.changed:
        hosted.mark()
