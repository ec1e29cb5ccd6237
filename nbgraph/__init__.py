"""nbgraph: real-time graphs in the notebook, in the debugger, in containers, with one meaning."""

from typing import Any

from nbgraph.errors import GraphError, NbgraphError, StepError
from nbgraph.event import Event
from nbgraph.graph import Graph, step

__all__ = ["Event", "Graph", "GraphError", "NbgraphError", "StepError", "load_ipython_extension", "step", "steps"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`nbgraph.steps` is loaded when first asked for, so that the import stays small."""
    if name == "steps":
        import importlib

        return importlib.import_module("nbgraph.steps")
    raise AttributeError(f"module 'nbgraph' has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext nbgraph`: the magics, completion and the rest of the notebook side."""
    from nbgraph.magic import load

    load(shell)
