"""Project: an exported folder becomes a graph again."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from nbgraph.errors import NbgraphError
from nbgraph.graph.graph import Graph

GRAPH, HANDLERS = "graph.yaml", "handlers"


def load_project(folder: Path) -> Graph:
    """The graph of the folder, its names bound in the folder's `handlers.py`."""
    folder = folder.resolve()
    if not (folder / GRAPH).is_file():
        raise NbgraphError(f"{folder} is no exported graph: there is no {GRAPH} in it; write one with graph.export().")
    sys.path.insert(0, str(folder))
    handlers = importlib.import_module(HANDLERS)
    found = Path(handlers.__file__ or "")
    if found.parent != folder:
        raise NbgraphError(f'"{HANDLERS}" was imported from {found}, not from the project {folder}.')
    return Graph.load(folder / GRAPH, namespace=vars(handlers))
