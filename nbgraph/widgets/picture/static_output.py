"""Picture: the static output of a graph in a cell, beside the live widget, and brought up to date after a run."""

from __future__ import annotations

import base64
import importlib
import threading
import uuid
from html import escape
from typing import Any

from nbgraph.debug.debugger import Debugger
from nbgraph.graph.graph import Graph
from nbgraph.render.svg import mimebundle
from nbgraph.widgets.graph import GraphWidget
from nbgraph.widgets.live.activity import ActivityChange, RunActivity
from nbgraph.widgets.picture.cells import after_cells

# Reopened without a kernel, the widget's output is an error box: where the picture stands before it, it is hidden.
# With a live view the picture is: the same rule stands in the widget's own style sheet, for pages without this one.
STYLE = (
    "<style>.jp-OutputArea-child:has(.nbg-live)+.jp-OutputArea-child:has(>.lm-Panel.jp-OutputArea-output)"
    ":not(:has(.nbg-root)){display:none}"
    ".jp-OutputArea-child:has(.nbg-live):has(+.jp-OutputArea-child .nbg-root){display:none}"
    ".nbg-static img{max-width:100%}</style>"
)
WIDGET = "application/vnd.jupyter.widget-view+json"
QUIET = 1.0  # seconds between two updates of the static picture


def show(graph: Graph, *, live: bool = True) -> None:
    """Display a graph in the current cell: a static picture that stays in the notebook, and the live widget."""
    if not live:
        _display().display(static(graph), raw=True)
        return
    show_widget(graph.view())


def show_widget(widget: GraphWidget) -> None:
    """Display a view with its static picture above it.

    The view's own output has no text/plain: a reader that can't show it shows the picture and nothing more.
    """
    kept = _CellOutput(widget.graph, widget.monitor)
    show_beside(widget, static(widget.graph, widget.monitor.states(), is_live=True), display_id=kept.id)
    widget.monitor.follow(kept.changed)


def show_beside(widget: Any, bundle: dict[str, Any], **options: Any) -> None:
    """Display what stays of a view in a notebook, and the view behind it."""
    _display().display(bundle, raw=True, **options)
    made: Any = widget._repr_mimebundle_()
    view = made[0] if isinstance(made, tuple) else made
    _display().display({WIDGET: view[WIDGET]}, raw=True)


def static(graph: Graph, status: dict[str, str] | None = None, *, is_live: bool = False) -> dict[str, Any]:
    """What stays in the notebook: the picture for every reader, as HTML too, so that it can carry its own style.

    >>> sorted(static(Graph("empty")))
    ['image/png', 'image/svg+xml', 'text/html', 'text/plain']
    """
    bundle = mimebundle(graph, status=status)
    data = base64.b64encode(bundle["image/svg+xml"].encode()).decode()
    words = escape(bundle["text/plain"], quote=True)
    image = f'<img src="data:image/svg+xml;base64,{data}" alt="{words}">'
    return {**bundle, "text/html": framed(image, is_live=is_live)}


def framed(html: str, *, is_live: bool) -> str:
    """HTML that stays in the notebook; where a live view stands behind it, that one alone is seen."""
    return f'<div class="nbg-static{" nbg-live" if is_live else ""}">{STYLE}{html}</div>'


def register(shell: Any) -> None:
    """Have a debugger that a cell ends with shown as its view; for `%load_ext nbgraph`."""
    formatter = shell.display_formatter.ipython_display_formatter
    formatter.for_type_by_name("nbgraph.debug.debugger", "Debugger", _show_debugger)


def _show_debugger(debugger: Debugger) -> None:
    from nbgraph.widgets.debugger import DebugWidget

    show_widget(DebugWidget(debugger))


class _CellOutput:
    """The static output of one cell: drawn anew with the steps' last states, after a cell, or a second after a run."""

    def __init__(self, graph: Graph, watch: RunActivity) -> None:
        self.graph = graph
        self.monitor = watch
        self.id = f"nbgraph-{uuid.uuid4().hex}"
        self._timer: threading.Timer | None = None
        self._shown = watch.states()
        after_cells(self)

    def changed(self, change: ActivityChange) -> None:
        if change.is_running or self._timer is not None:
            return
        self._timer = threading.Timer(QUIET, self._update)
        self._timer.daemon = True
        self._timer.start()

    def refresh(self) -> None:
        """A cell has run; it may have been the notebook's last, with no second to wait for."""
        self._draw()

    def _update(self) -> None:
        self._timer = None
        self._draw()

    def _draw(self) -> None:
        states = self.monitor.states()
        if states == self._shown or self.monitor.everything().is_running:  # the end of that run tells of itself
            return
        self._shown = states
        bundle = static(self.graph, states, is_live=True)
        _display().update_display(bundle, display_id=self.id, raw=True)


def _display() -> Any:
    """IPython's display functions, which have no types."""
    return importlib.import_module("IPython.display")
