"""Cells: views are refreshed after a cell has run, and a text is put into a new cell."""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from nbgraph.errors import NbgraphError


class Refreshable(Protocol):
    """A view that can show the present state."""

    def refresh(self) -> None: ...


def put_into_cell(text: str) -> None:
    """Have the front end put in the text as a new cell, not run, below the cell that runs: this one, or the next.

    A kernel can say that only in its answer to a cell, so a click that comes between two cells waits for the next.
    """
    shell: Any = importlib.import_module("IPython").get_ipython()
    if shell is None:
        raise NbgraphError("There is no notebook to put a cell into; copy the text instead.")
    shell.set_next_input(text.rstrip())


def after_cells(view: Refreshable) -> Callable[[], None]:
    """Have the view refreshed after every cell while it lives; returns what ends that. Nothing outside IPython."""
    shell: Any = importlib.import_module("IPython").get_ipython()
    if shell is None:
        return lambda: None
    reference = weakref.ref(view)

    def ran(result: Any = None) -> None:
        living = reference()
        if living is None:
            end()
        else:
            living.refresh()

    def end() -> None:
        if ran in shell.events.callbacks["post_run_cell"]:
            shell.events.unregister("post_run_cell", ran)

    shell.events.register("post_run_cell", ran)
    return end
