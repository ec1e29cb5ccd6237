"""Project: an exported folder becomes a graph again."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from nbgraph.contract import FUNCTION_FILE, GRAPH_FILE, HANDLERS_MODULE, SNAPSHOTS
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.errors import NbgraphError
from nbgraph.graph.graph import Graph


def load_function(folder: Path) -> FunctionSpec:
    """What the folder's function is in its graph, and how it runs."""
    path = folder / FUNCTION_FILE
    return FunctionSpec.from_json(path.read_bytes()) if path.is_file() else FunctionSpec()


def load_project(folder: Path) -> Graph:
    """The graph of the folder, its names bound in the folder's `handlers.py`."""
    folder = folder.resolve()
    if not (folder / GRAPH_FILE).is_file():
        raise NbgraphError(
            f"{folder} is no exported graph: there is no {GRAPH_FILE} in it; write one with graph.export()."
        )
    if (folder / SNAPSHOTS).is_dir():
        from nbgraph.features.snapshot import offer

        offer(folder / SNAPSHOTS)
    sys.path.insert(0, str(folder))
    handlers = importlib.import_module(HANDLERS_MODULE)
    found = Path(handlers.__file__ or "")
    if found.parent != folder:
        raise NbgraphError(f'"{HANDLERS_MODULE}" was imported from {found}, not from the project {folder}.')
    return Graph.load(folder / GRAPH_FILE, namespace=vars(handlers))
