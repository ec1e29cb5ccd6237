"""Project: an exported folder becomes a graph again."""

from __future__ import annotations

from pathlib import Path

from nbgraph.contract import FUNCTION_FILE, SNAPSHOTS
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.graph.documents.project import graph_of
from nbgraph.graph.graph import Graph


def load_function(folder: Path) -> FunctionSpec:
    """What the folder's function is in its graph, and how it runs."""
    path = folder / FUNCTION_FILE
    return FunctionSpec.from_json(path.read_bytes()) if path.is_file() else FunctionSpec()


def load_project(folder: Path) -> Graph:
    """The graph of the folder, which reads features from the snapshots that are there."""
    if (folder / SNAPSHOTS).is_dir():
        from nbgraph.features.snapshot import offer

        offer(folder.resolve() / SNAPSHOTS)
    return graph_of(folder)
