"""Project: an exported folder becomes a graph again."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from nbgraph.contract import GRAPH_FILE, HANDLERS_MODULE
from nbgraph.errors import NbgraphError
from nbgraph.graph.graph import Graph


def graph_of(folder: Path) -> Graph:
    """The graph of the folder, its names bound in the folder's `handlers.py`."""
    folder = folder.resolve()
    if not (folder / GRAPH_FILE).is_file():
        raise NbgraphError(
            f"{folder} is no exported graph: there is no {GRAPH_FILE} in it; write one with graph.export()."
        )
    sys.path.insert(0, str(folder))
    handlers = importlib.import_module(HANDLERS_MODULE)
    found = Path(handlers.__file__ or "")
    if found.parent != folder:
        raise NbgraphError(f'"{HANDLERS_MODULE}" was imported from {found}, not from the project {folder}.')
    return Graph.load(folder / GRAPH_FILE, namespace=vars(handlers))


def fresh_project(folder: Path) -> Graph:
    """As `graph_of`, with objects of its own: none that an earlier graph of the folder has changed."""
    sys.modules.pop(HANDLERS_MODULE, None)
    sys.path[:] = [place for place in sys.path if place != str(folder)]
    return graph_of(folder)
