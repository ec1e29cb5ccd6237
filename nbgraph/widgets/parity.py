"""ParityView: what the notebook and a deployment answer to the same events, side by side, what differs first."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from nbgraph.widgets.assets import module, styles
from nbgraph.widgets.graph import Message
from nbgraph.widgets.picture.static_output import framed, show_beside
from nbgraph.widgets.values.preview import shown
from nbgraph.widgets.values.table_pages import page

ROWS = 50  # that stay in the notebook


class ParityView(anywidget.AnyWidget):
    """The table of `deployment.parity(events)`, in pages, sorted and filtered.

    >>> import pandas
    >>> found = {"event": [1, 2], "local": [2, 4], "deployed": [2, 5], "equal": [True, False]}
    >>> view = ParityView(pandas.DataFrame(found))
    >>> view.summary["words"], view.summary["table"]["rows"][0]
    ('1 of 2 answers are equal', ['1', '2', '4', '5', 'False'])
    >>> view.close()
    """

    _esm = module("values.js", "theme.js", "link.js", "parity.js")
    _css = styles("graph.css", "debugger.css")

    summary = traitlets.Dict().tag(sync=True)  # set by Python: how many are equal, and the first page

    def __init__(self, found: Any) -> None:
        reasons = found.attrs.get("differences", {})
        whole = found.assign(difference=[reasons.get(row, "") for row in found.index]) if reasons else found
        self.found = whole.sort_values("equal", kind="stable")  # kept: pages are made from it
        equal = int(found["equal"].sum())
        words = f"{'all ' if equal == len(found) else ''}{equal} of {len(found)} answers are equal"
        super().__init__(summary={"words": words, "isEqual": equal == len(found), "table": shown(self.found)})
        self.on_msg(_on_message)

    def _ipython_display_(self) -> None:
        """At the end of a cell: with the first rows, which stay when the kernel is gone."""
        words, rows = self.summary["words"], self.found.head(ROWS)
        html = framed(f"<p>{words}</p>{rows.to_html(index=False)}", is_live=True)
        show_beside(self, {"text/plain": f"{words}\n{rows.to_string(index=False)}", "text/html": html})

    def receive(self, message: Message) -> None:
        """Send the page that the view asks for."""
        if message.get("kind") == "rows":
            self.send(page(message))


def _on_message(widget: ParityView, message: Message, buffers: Any) -> None:
    widget.receive(message)
