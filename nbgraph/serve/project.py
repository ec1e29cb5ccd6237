"""Project: an exported folder becomes a graph again."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from nbgraph.errors import NbgraphError
from nbgraph.graph.graph import Graph
from nbgraph.serve.function import FunctionRole

GRAPH, HANDLERS, FUNCTION = "graph.yaml", "handlers", "function.json"


def load_part(folder: Path) -> FunctionRole:
    """What the folder's function is in its graph, and how it runs."""
    path = folder / FUNCTION
    if not path.is_file():
        return FunctionRole()
    told = json.loads(path.read_text(encoding="utf-8"))
    return FunctionRole(**{**told, "reads": tuple(told["reads"])})


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
