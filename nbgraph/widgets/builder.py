"""BuilderWidget: a graph put together by hand, its `%%graph` text beside it; each changes with the other."""

from __future__ import annotations

from typing import Any

import traitlets

from nbgraph.errors import NbgraphError
from nbgraph.graph.edge import WHOLE_GRAPH
from nbgraph.graph.graph import Graph
from nbgraph.render.printable import printable
from nbgraph.render.step_kind import resolved
from nbgraph.widgets.assets import PICTURE, module, styles
from nbgraph.widgets.editor.draft import Draft
from nbgraph.widgets.editor.palette import form, palette
from nbgraph.widgets.editor.source_edit import rewritten
from nbgraph.widgets.graph import GraphWidget, Message
from nbgraph.widgets.picture.cells import put_into_cell
from nbgraph.widgets.picture.handlers import by_id, faults


class BuilderWidget(GraphWidget):
    """The builder of a graph.

    >>> graph = Graph("shout")
    >>> widget = BuilderWidget(graph)
    >>> widget.receive({"kind": "edit", "what": "add", "name": "str.upper"})
    >>> [step.name for step in graph.steps]
    ['upper']
    >>> widget.close()
    """

    _esm = module(*PICTURE, "panel.js", "cell.js", "sheet.js", "builder.js")
    _css = styles("graph.css", "debugger.css", "builder.css")

    sheet = traitlets.Dict().tag(
        sync=True
    )  # ours: the text, problems, steps with their forms and arrows, what can be undone
    offered: Any = traitlets.List().tag(sync=True)  # ours: the palette

    def __init__(self, graph: Graph) -> None:
        self.draft = Draft(graph)
        self._problem = ""
        super().__init__(graph)
        self.offered = palette(graph.scope.namespace)
        self.sheet = self._sheet()

    def refresh(self) -> None:
        """A cell has run: there may be new functions."""
        super().refresh()
        self.offered = palette(self.graph.scope.namespace)
        self.sheet = self._sheet()

    def _reasons(self) -> dict[str, str]:
        return by_id(faults(self.graph), self._synced.ids)

    def redraw(self) -> None:
        super().redraw()
        self.sheet = self._sheet()

    def receive(self, message: Message) -> None:
        """Carry out an edit; what is wrong with it is said in the sheet."""
        if message.get("kind") != "edit":
            super().receive(message)
            return
        self._problem = ""
        try:
            self._edit(message)
        except NbgraphError as error:
            self._problem = printable(str(error), 600)
        except Exception as error:  # a text that even the parser has no words for
            self._problem = printable(f"{type(error).__name__}: {error}", 600)
        self.redraw()

    def to_cell(self) -> None:
        """Copy the text to a new cell: run in a cell, `builder.to_cell()` has it put in right below."""
        put_into_cell(self._text())

    def _edit(self, message: Message) -> None:
        draft, name = self.draft, str(message.get("name") or "")
        target = str(message.get("target") or "")
        match message.get("what"):
            case "add":
                draft.add(name, message.get("after"))
            case "remove":
                draft.remove(name)
            case "rename":
                draft.rename(name, target)
            case "connect":
                draft.connect(
                    name, target, when=str(message.get("when") or ""), otherwise=bool(message.get("otherwise")),
                    on_error=bool(message.get("error")),
                )  # fmt: skip
            case "disconnect":
                draft.disconnect(name, target)
            case "respond":
                draft.respond(name or None)
            case "arguments":
                draft.arguments(name, {str(key): str(text) for key, text in dict(message["texts"]).items()})
            case "text":
                draft.text(str(message.get("text") or ""))
            case "cell":
                self.to_cell()
            case "undo":
                draft.undo()
            case "redo":
                draft.redo()

    def _sheet(self) -> Message:
        ids = self._synced.ids  # of the last drawing: a step may have come or gone on another thread
        return {
            "text": self._text(),
            "problem": self._problem,
            "problems": self._problems(),
            "undo": len(self.draft.done),
            "redo": len(self.draft.undone),
            "steps": {ids[step.name]: self._step(step) for step in self.graph.steps if step.name in ids},
        }

    def _text(self) -> str:
        try:
            return rewritten(self.graph.written, self.graph)
        except NbgraphError as error:
            return f"# {printable(str(error), 300)}"

    def _problems(self) -> list[str]:
        try:
            return [printable(problem, 400) for problem in self.graph.check()]
        except NbgraphError as error:
            return [printable(str(error), 400)]

    def _step(self, step: Any) -> Message:
        arrows = [
            {
                "target": edge.target,
                "when": edge.when if isinstance(edge.when, str) else getattr(edge.when, "__name__", ""),
                "otherwise": edge.otherwise,
                "kind": edge.kind.value,
            }
            for edge in self.graph.edges
            if edge.source == step.name and edge.source != WHOLE_GRAPH
        ]
        return {
            "name": step.name, "answers": step.name in self.graph.responders, "arrows": arrows,
            "form": form(step, self._class_of(step)),
        }  # fmt: skip

    def _class_of(self, step: Any) -> Any:
        """The handler where the form of its parameters can be read from it."""
        handler = resolved(step, self.graph)
        if isinstance(handler, str):
            import nbgraph.steps

            return getattr(nbgraph.steps, handler, handler)
        return handler
