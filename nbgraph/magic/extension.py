"""Extension: what `%load_ext nbgraph` adds to a notebook."""

from __future__ import annotations

from typing import Any

from nbgraph.errors import NbgraphError
from nbgraph.magic.completion import install
from nbgraph.magic.magics import register
from nbgraph.magic.traceback import rendered
from nbgraph.widgets.picture import static_output


def load(shell: Any) -> None:
    """Add the magics, completion in their cells, the debugger's view, and tracebacks without nbgraph's frames."""
    register(shell)
    install(shell)
    static_output.register(shell)
    NbgraphError._render_traceback_ = rendered  # type: ignore[attr-defined]  # IPython asks for it
