"""GraphWidget: a graph as a live picture: states, counts and errors while events run, and what each step last saw."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from nbgraph.errors import NbgraphError
from nbgraph.graph.graph import Graph
from nbgraph.render.group import MARKS
from nbgraph.render.printable import printable
from nbgraph.render.svg import picture
from nbgraph.render.view import View, view
from nbgraph.widgets.assets import module, styles
from nbgraph.widgets.inspect import inspected
from nbgraph.widgets.watch import Change, Watch

Message = dict[str, Any]


class GraphWidget(anywidget.AnyWidget):
    """The live view of a graph. What the picture is made of is synced; what happens in it is sent.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.upper)
    >>> widget = GraphWidget(graph)
    >>> widget.picture["steps"][0]["name"]
    'upper'
    >>> widget.close()
    """

    _esm = module("values.js", "stage.js", "graph.js")
    _css = styles("graph.css")

    picture = traitlets.Dict().tag(sync=True)  # ours: the SVG and the data of steps and lines, by id
    breakpoints = traitlets.List(traitlets.Unicode()).tag(sync=True)  # ours: the names of steps that have one
    direction = traitlets.Enum(["LR", "TB"], default_value="LR").tag(sync=True)  # the view's

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.watch = Watch.on(graph)
        self._view = view(graph)
        super().__init__(picture=self._drawn(), breakpoints=list(self.watch.breakpoints))
        self._leave = self.watch.subscribe(_weakly(self))
        weakref.finalize(self, self._leave)
        self.on_msg(_answer)
        self.observe(lambda _: self.redraw(), "direction")

    def close(self) -> None:
        """Free everything: the graph does not know this view any more."""
        self._leave()
        super().close()

    def redraw(self) -> None:
        """Show the graph as it is now."""
        self._view = view(self.graph)
        self.picture = self._drawn()
        self.send_status(self.watch.everything())

    def update(self, change: Change) -> None:
        """Show what a watch has seen; called on the watch's thread."""
        if change.is_redrawn:
            self.redraw()
            return
        self.breakpoints = list(self.watch.breakpoints)
        self.send_status(change)

    def send_status(self, change: Change) -> None:
        ids = self._view.ids
        lines = {(line.source, line.target): line.id for line in self._view.lines}
        counts = {
            lines[ids[source], ids[target]]: count
            for (source, target), count in change.lines.items()
            if source in ids and target in ids and (ids[source], ids[target]) in lines
        }
        steps = {ids[name]: record.now() for name, record in change.steps.items() if name in ids}
        self.send({"kind": "status", "steps": steps, "lines": counts, "running": change.is_running})

    def answer(self, message: Message) -> None:
        """Do what the view asks for."""
        names = {id: name for name, id in self._view.ids.items()}
        step = names.get(str(message.get("step")), "")
        match message.get("kind"):
            case "hello":
                self.send_status(self.watch.everything())
            case "inspect" if step:
                self.send({"kind": "inspected", "step": message["step"], **inspected(self.graph, self.watch, step)})
            case "break" if step:
                self.watch.break_at(step, bool(message.get("on")))

    def _drawn(self) -> Message:
        try:
            drawn = picture(self._view, prefix="nbg", direction=self.direction)
        except NbgraphError as error:  # no engine, or a picture that it can't lay out: say so where it would stand
            return {"svg": "", "problem": str(error), "name": self._view.name, "steps": [], "lines": [], "marks": {}}
        return {"svg": drawn, "problem": "", "name": self._view.name, "marks": MARKS, **_data(self._view)}


def _data(shown: View) -> Message:
    steps = [
        {"id": node.id, "name": printable(node.name, 200), "title": node.title, "type": node.kind}
        for node in shown.all_nodes()
        if node.kind != "any"
    ]
    lines = [{"id": line.id, "source": line.source, "target": line.target} for line in shown.all_lines()]
    return {"steps": steps, "lines": lines}


def _weakly(widget: GraphWidget) -> Callable[[Change], None]:
    """A subscriber that does not keep the widget alive."""
    reference = weakref.ref(widget)

    def update(change: Change) -> None:
        living = reference()
        if living is not None and living.comm is not None:
            living.update(change)

    return update


def _answer(widget: GraphWidget, message: Message, buffers: Any) -> None:
    widget.answer(message)
