"""Picture: the static output of a graph in a cell, beside the live widget, and brought up to date after a run."""

from __future__ import annotations

from nbgraph.graph.graph import Graph


def show(graph: Graph, *, live: bool = True) -> None:
    """Display a graph in the current cell: a static picture that stays in the notebook, and the live widget."""
    from IPython.display import display

    from nbgraph.render.svg import mimebundle

    display(mimebundle(graph), raw=True, display_id=True)
    if live:
        display(graph.view())
