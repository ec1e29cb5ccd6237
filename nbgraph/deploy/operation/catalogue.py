"""Catalogue: deployments enter it when they run, and leave it when they are stopped; what it tells, and what it has."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nbgraph.deploy.backend import Backend
from nbgraph.deploy.operation.process_identity import born, is_same
from nbgraph.deploy.options.features import features_in
from nbgraph.deploy.target import host_target
from nbgraph.errors import GraphError, NbgraphError
from nbgraph.graph.documents.catalogue import GraphCatalogue, RunningGraph
from nbgraph.graph.documents.deployment_call import called_by
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import slug
from nbgraph.graph.step import handler_name
from nbgraph.render.step_kind import SOURCE, kind_of, resolved

if TYPE_CHECKING:
    import pandas

COLUMNS = ("graph", "version", "where", "inputs", "url", "callers")
LOOK_SECONDS = 0.5  # for a port to say that somebody listens
log = logging.getLogger("nbgraph.deploy")


def catalog(*, all: bool = False) -> pandas.DataFrame:
    """What runs, a row for each deployment: graph, version, where, inputs, url, callers.

    >>> list(catalog().columns)
    ['graph', 'version', 'where', 'inputs', 'url', 'callers']

    `inputs` are the routes of a graph, else `POST /`, and its sources; `callers` the deployed graphs that call it.

    Parameters
    ----------
    all
        Also the graphs of the catalogue that do not run, each in its newest version.
    """
    import pandas

    catalogue = GraphCatalogue.here()
    running = living(catalogue)
    rows: list[tuple[Any, ...]] = [
        (one.graph, one.version, one.target, list(one.inputs), one.url, _callers(one, running)) for one in running
    ]
    if all:
        known = {slug(one.graph) for one in running}
        rest = {name: versions for name, versions in catalogue.graphs().items() if name not in known and versions}
        rows += [(name, versions[-1], "", [], None, []) for name, versions in rest.items()]
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def get(
    name: str,
    version: str | None = None,
    *,
    namespace: Mapping[str, Any] | None = None,
    allow: Sequence[str] = (),
    io: bool = True,
) -> Graph:
    """A graph of the catalogue, as it was deployed; loaded as any document is: no code of it runs.

    Its handlers are looked up in the caller's namespace, by their names.

    Parameters
    ----------
    name
        Name of the graph, or of a deployment that runs.
    version
        The version; None: the one that runs, else the newest.
    namespace
        Where names are looked up; None: the caller's own.
    allow
        Modules whose dotted names may be used.
    io
        Whether steps that read or write outside of the graph are allowed.
    """
    names = sys._getframe(1).f_globals if namespace is None else namespace
    return Graph.load(_document(name, version), namespace=names, allow=allow, io=io)


def enter(hosted: Backend, graph: Graph) -> None:
    """Tell the catalogue what runs, and keep the graph as it was deployed; a catalogue on a full disk stops nothing."""
    request, catalogue = hosted.request, GraphCatalogue.here()
    ends = host_target(hosted.target).ends_with_owner
    features = dict.fromkeys(f"{place}#{found.name}" for _, found, place in features_in(graph))
    running = RunningGraph(
        name=request.name, graph=graph.name, version=request.version, target=hosted.target, url=hosted.url,
        host=request.host, inputs=tuple(_inputs(graph)), calls=called_by(graph), features=tuple(features),
        api_key=request.api_key, owner=(os.getpid(), born(os.getpid())) if ends else None,
    )  # fmt: skip
    try:
        catalogue.enter(running)
        catalogue.keep(slug(graph.name), request.version, graph.to_yaml())
    except OSError as error:
        log.warning("The catalogue in %s does not tell of it: %s", catalogue.folder, error)
    except GraphError as error:  # it runs; its picture elsewhere is a plain step
        log.info("The catalogue has no document of graph %s: %s", graph.name, error)


def leave(hosted: Backend) -> None:
    """Tell the catalogue that it runs no more."""
    GraphCatalogue.here().leave(hosted.target, hosted.request.name)


def living(catalogue: GraphCatalogue) -> list[RunningGraph]:
    """What runs still; of what has ended with its process the catalogue is told."""
    found = []
    for one in catalogue.running():
        if one.owner is not None and not is_same(*one.owner):
            catalogue.leave(one.target, one.name)
        elif one.owner is not None or _listens(one.url):
            found.append(one)
    return found


def deployed_names() -> list[str]:
    """The names by which what runs may be called."""
    running = living(GraphCatalogue.here())
    return sorted({one.name for one in running} | {one.graph for one in running})


def check_circle(name: str, graph: Graph) -> None:
    """Refuse deployments that would call each other round and round: an event would never come out of them."""
    running = living(GraphCatalogue.here())
    new = RunningGraph(name=name, graph=graph.name, version="", target="", url="", calls=called_by(graph))
    others = [one for one in running if one.name != name]
    way = _way_back(new, [new], others)
    if way:
        raise GraphError(
            f"Deployments would call each other in a circle: {' -> '.join(way)}; an event would never come out. "
            "Let one of them do without the others."
        )


def _way_back(new: RunningGraph, way: list[RunningGraph], others: Sequence[RunningGraph]) -> list[str]:
    """The names on a way of calls that leads back to the new deployment; none where there is none."""
    for called in way[-1].calls:
        if new.is_meant(called):
            return [*(one.name for one in way), new.name]
        for one in (one for one in others if one.is_meant(called) and one not in way):
            if found := _way_back(new, [*way, one], others):
                return found
    return []


def _callers(called: RunningGraph, running: Sequence[RunningGraph]) -> list[str]:
    return list(dict.fromkeys(one.graph for one in running if any(map(called.is_meant, one.calls))))


def _inputs(graph: Graph) -> Iterator[str]:
    """What callers may ask, and what it reads by itself."""
    routes = [step.name for step in graph.steps if step.name in graph.routes]
    yield from routes or ["POST /"]
    for step in graph.steps:
        handler = resolved(step, graph)
        if step.name not in graph.routes and kind_of(step, handler) == SOURCE:
            yield handler_name(handler) or type(handler).__name__


def _document(name: str, version: str | None) -> Path:
    catalogue = GraphCatalogue.here()
    running = catalogue.find(name)
    graph = slug(running.graph) if running is not None else slug(name)
    wanted = version or (running.version if running is not None else None)
    found = catalogue.document(graph, wanted) or (catalogue.document(name) if version is None else None)
    if found is None:
        known = ", ".join(f"{one} {'/'.join(filter(None, told[-3:]))}" for one, told in catalogue.graphs().items())
        what = f'graph "{name}"' + (f' in version "{version}"' if version is not None else "")
        raise NbgraphError(
            f"There is no {what} in the catalogue in {catalogue.folder}; known: {known or 'none'}. Deploying a graph "
            "enters it."
        )
    return found


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), LOOK_SECONDS).close()
    except OSError:
        return False
    return True
