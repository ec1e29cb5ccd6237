"""Catalogue: deployments enter the catalogue when they run, and leave it when they are stopped."""

from __future__ import annotations

import logging
import os

from nbgraph.deploy.backend import Backend
from nbgraph.deploy.operation.process_identity import born
from nbgraph.deploy.options.features import features_in
from nbgraph.deploy.target import host_target
from nbgraph.errors import GraphError
from nbgraph.graph.documents.catalogue import GraphCatalogue, RunningGraph
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import slug

log = logging.getLogger("nbgraph.deploy")


def enter(hosted: Backend, graph: Graph) -> None:
    """Tell the catalogue what runs, and keep the graph as it was deployed; a catalogue on a full disk stops nothing."""
    request, catalogue = hosted.request, GraphCatalogue.here()
    ends = host_target(hosted.target).ends_with_owner
    features = dict.fromkeys(f"{place}#{found.name}" for _, found, place in features_in(graph))
    running = RunningGraph(
        name=request.name, graph=graph.name, version=request.version, target=hosted.target, url=hosted.url,
        host=request.host, features=tuple(features), api_key=request.api_key,
        owner=(os.getpid(), born(os.getpid())) if ends else None,
    )  # fmt: skip
    try:
        catalogue.enter(running)
        catalogue.keep(slug(graph.name), request.version, graph.to_yaml())
    except (OSError, GraphError) as error:
        log.warning("The catalogue in %s does not tell of it: %s", catalogue.folder, error)


def leave(hosted: Backend) -> None:
    """Tell the catalogue that it runs no more."""
    GraphCatalogue.here().leave(hosted.target, hosted.request.name)
