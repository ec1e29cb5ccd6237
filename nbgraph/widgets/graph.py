"""GraphWidget: a graph as a live picture: states, counts and errors while events run, the last values of each step."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import anywidget
import traitlets

from nbgraph.debug.breakpoint import Breakpoint
from nbgraph.errors import NbgraphError
from nbgraph.graph.facade import deploy_targets
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import slug
from nbgraph.render.fold import foldable
from nbgraph.render.printable import printable
from nbgraph.render.view import INNER, view
from nbgraph.widgets.assets import PICTURE, module, styles
from nbgraph.widgets.live.activity import ActivityChange, RunActivity
from nbgraph.widgets.live.step_record import first_line
from nbgraph.widgets.picture.cells import after_cells
from nbgraph.widgets.picture.handlers import HandlerVersions, by_id, missing
from nbgraph.widgets.picture.save import TYPES, saved
from nbgraph.widgets.picture.synced_picture import SyncedPicture
from nbgraph.widgets.values.preview import part
from nbgraph.widgets.values.rich import rendered
from nbgraph.widgets.values.step_detail import inspected
from nbgraph.widgets.values.table_pages import page

OPEN = 60  # steps; of a larger graph the functions and inner graphs are folded at first
CHANGED = "code changed"
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

    _esm = module(*PICTURE, "child.js", "panel.js", "dock.js", "events.js", "graph.js")
    _css = styles("graph.css")

    picture = traitlets.Dict().tag(sync=True)  # set by Python: the SVG and the data of steps and lines, by id
    breakpoints = traitlets.List(traitlets.Unicode()).tag(sync=True)  # set by Python: the names of steps that have one
    direction = traitlets.Enum(["LR", "TB"], default_value="LR").tag(sync=True)  # set by the view
    targets: traitlets.List[str] = traitlets.List().tag(sync=True)  # set by Python: where a click may deploy to
    replaced = traitlets.Unicode().tag(sync=True)  # set by Python: which later cell has defined the graph anew
    faults = traitlets.Dict().tag(sync=True)  # set by Python: why steps can't run, by their ids

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.monitor = RunActivity.on(graph)
        self._drawing = threading.RLock()  # both the kernel's thread and the monitor's draw
        whole = SyncedPicture(graph, "LR") if len(graph.steps) <= OPEN else None
        self.closed: set[str] = set() if whole else set(foldable(view(graph)))
        self._synced = whole or SyncedPicture(graph, "LR", self.closed)
        marked, faults = self._marked(self.monitor.breakpoints), self._reasons()
        super().__init__(picture=self._synced.data, breakpoints=marked, faults=faults, targets=deploy_targets())
        self._handlers = HandlerVersions(graph)
        self._rendered: Any = None  # an output area, for the value that is shown as a cell would
        self._deployed: anywidget.AnyWidget | None = None  # the view of what was deployed from here
        self._forget_cells = after_cells(self)
        # Open in browsers; with none yet the graph is watched all the same, since the cell may run it at once.
        self._views = 0
        self._leave = self.monitor.subscribe(_weakly(self))
        self._is_watching = True
        weakref.finalize(self, self._leave)
        self.on_msg(_on_message)
        self.observe(lambda _: self.redraw(), "direction")

    def close(self) -> None:
        """Free everything: the graph does not refer to this view any more."""
        self._forget_cells()
        self._leave()
        for inner in (self._deployed, self._rendered):
            if inner is not None:
                inner.close()
        super().close()

    def _ipython_display_(self) -> None:
        """At the end of a cell: with the picture that stays when the kernel is gone."""
        from nbgraph.widgets.picture.static_output import show_widget

        show_widget(self)

    def refresh(self) -> None:
        """A cell has run: mark the steps whose functions it has defined anew, and those that lack theirs."""
        self.faults = self._reasons()
        changed = self._handlers.changed()
        if changed:
            self.mark_changed(changed)

    def mark_changed(self, steps: Sequence[str]) -> None:
        self.monitor.mark(steps, "changed", CHANGED)

    def opened(self) -> None:
        """A browser shows the view: watch the graph (again)."""
        self._views += 1
        if not self._is_watching:
            self._is_watching = True
            self._leave = self.monitor.subscribe(_weakly(self))
            self.redraw()

    def left(self) -> None:
        """A browser has removed the view, as when its cell runs again: after the last one the graph is not observed."""
        self._views = max(0, self._views - 1)
        if self._views == 0:
            self._is_watching = False
            self._leave()

    def fold(self, id: str, is_closed: bool) -> None:
        """Draw what a step belongs to (an inner graph, a function) as one, or open it; without a step everything.

        A router, or an inner graph that is drawn as one, is closed and opened itself.
        """
        foldable, inside = set(self._synced.foldable), self._synced.members.get(id, [])
        names = foldable
        if id:
            own = foldable & set(inside)
            around = {part for name in inside for part in (name.split(INNER)[0], self._synced.functions.get(name))}
            names = own if own and is_closed else own | foldable & around
            is_closed = is_closed and not (own and own <= self.closed)
        self.closed = self.closed | names if is_closed else self.closed - names
        self.redraw()

    def redraw(self) -> None:
        """Show the graph as it is now."""
        with self._drawing:
            self._synced = SyncedPicture(self.graph, self.direction, self.closed)
            self.picture = self._synced.data
            self.faults = self._reasons()
        self.send_status(self.monitor.everything())

    def _reasons(self) -> dict[str, str]:
        """Why steps can't run, by their ids."""
        return by_id(missing(self.graph), self._synced.ids)

    def update(self, change: ActivityChange) -> None:
        """Show a change; called on the monitor's thread."""
        if change.is_redrawn:
            self.redraw()
            return
        self.breakpoints = self._marked(self.monitor.breakpoints)
        self.send_status(change)

    @staticmethod
    def _marked(names: Iterable[str]) -> list[str]:
        """Steps that have a breakpoint, as the picture names them."""
        return [printable(name, 200) for name in names]

    def send_status(self, change: ActivityChange) -> None:
        lines = {self._synced.line(*ends): count for ends, count in change.lines.items()}
        lines.pop(None, None)
        steps = self._synced.steps(change.steps, self.monitor.records)
        status = {
            "steps": steps,
            "lines": lines,
            "running": change.is_running,
            "progress": self.monitor.progress.to_message(),
        }
        self.send({"kind": "status", **status})

    def receive(self, message: Message) -> None:
        """Handle a message of the view."""
        step = self._synced.names.get(str(message.get("step")), "")
        match message.get("kind"):
            case "opened":
                self.opened()
            case "left":
                self.left()
            case "hello":
                self.send_status(self.monitor.everything())
            case "inspect" if step:
                self.send({"kind": "inspected", "step": message["step"], **inspected(self.graph, self.monitor, step)})
            case "rows":
                self.send(page(message))
            case "part":
                self.send({"kind": "part", "token": message.get("token"), "value": self._part(message)})
            case "show":
                self._show(self.value_at(message.get("of") or {}))
            case "events":
                text, slower = str(message.get("text") or ""), float(message.get("slower") or 0)
                rows = self.monitor.events(text, only_failed=bool(message.get("failed")), slower=slower)
                self.send({"kind": "events", "rows": rows})
            case "event":
                self.send(
                    {"kind": "event", "id": message.get("id"), "stops": self.monitor.path(str(message.get("id")))}
                )
            case "line":
                line = str(message.get("line"))
                rows = self.monitor.on_line(lambda source, target: self._synced.line(source, target) == line)
                self.send({"kind": "line", "line": line, "title": self._synced.titles.get(line, ""), "rows": rows})
            case "fold":
                self.fold(str(message.get("step") or ""), bool(message.get("on")))
            case "save" if message.get("as") in TYPES:
                states = self.monitor.states()
                self.send({"kind": "saved", **saved(self.graph, str(message["as"]), states, self.direction)})
            case "break" if step:
                self.monitor.break_at(step, Breakpoint(step) if message.get("on") else None)
            case "deploy" if message.get("target") in self.targets:
                threading.Thread(
                    target=self._deploy, args=(message["target"],), daemon=True, name="nbgraph-deploy"
                ).start()
            case "hold" if step:
                self._hold(step, is_held=bool(message.get("on")))

    def value_at(self, of: Message) -> Any:
        """The value that a view shows a part of: the last input or output of a step."""
        record = self.monitor.record(self._synced.names.get(str(of.get("step")), ""))
        move = record.last if record is not None else None
        return None if move is None else move.input if of.get("side") == "input" else move.output

    def _part(self, message: Message) -> Message:
        path, start = [int(position) for position in message.get("path") or ()], int(message.get("from") or 0)
        try:
            return part(self.value_at(message.get("of") or {}), path, start, self.monitor.redaction)
        except (LookupError, StopIteration, RuntimeError, AttributeError):  # it has changed since it was shown
            return {"kind": "none", "text": "it is another one by now; open the step again"}

    def _show(self, value: Any) -> None:
        """Have the front end show a value as it would below a cell, with its own renderers."""
        if self._rendered is not None:
            self._rendered.close()
        self._rendered = rendered(self.monitor.redaction.value(value))
        self.send({"kind": "shown", "model": self._rendered.model_id})

    def _deploy(self, target: str) -> None:
        """Deploy the graph, report the progress, and show the deployment below the picture."""
        from nbgraph.widgets.deployment import DeploymentView

        def report(text: str) -> None:
            self.send({"kind": "deploying", "text": printable(text, 300)})

        progress: Any = report
        try:
            report(f"Deploying to {target}")
            self._deployed = DeploymentView(self.graph.deploy(target, name=slug(self.graph.name), progress=progress))
            self.send({"kind": "child", "model": self._deployed.model_id})
        except Exception as error:  # Docker, the network, what a step uses: one sentence says it
            text = str(error) if isinstance(error, NbgraphError) else first_line(error)
            self.send({"kind": "problem", "text": printable(text, 600)})

    def _hold(self, step: str, *, is_held: bool) -> None:
        try:
            self.monitor.hold(step, is_held=is_held)
        except NbgraphError as error:
            self.send({"kind": "problem", "text": printable(str(error), 400)})


def _weakly(widget: GraphWidget) -> Callable[[ActivityChange], None]:
    """A subscriber that does not keep the widget alive."""
    reference = weakref.ref(widget)

    def update(change: ActivityChange) -> None:
        living = reference()
        if living is not None and living.comm is not None:
            living.update(change)

    return update


def _on_message(widget: GraphWidget, message: Message, buffers: Any) -> None:
    widget.receive(message)
