"""DeploymentView: a deployment as a picture: functions with replicas, rates, backlogs, errors; scaled and stopped."""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import Any, Protocol

import anywidget
import traitlets

from nbgraph.errors import NbgraphError
from nbgraph.failure import Failure
from nbgraph.graph.graph import Graph
from nbgraph.render.printable import printable
from nbgraph.widgets.assets import PICTURE, module, styles
from nbgraph.widgets.debugger import DebugWidget
from nbgraph.widgets.graph import Message
from nbgraph.widgets.live.step_record import first_line
from nbgraph.widgets.picture.static_output import framed, show_beside, static
from nbgraph.widgets.picture.synced_picture import SyncedPicture
from nbgraph.widgets.values.preview import shown
from nbgraph.widgets.values.table_pages import page

PERIOD = 0.5  # seconds between two looks
LISTED = 50  # failures


class HostedGraph(Protocol):
    """What is shown: a `Deployment`; widgets do not know that package."""

    name: str
    url: str
    graph: Graph | None

    @property
    def functions(self) -> list[str]: ...
    def pulse(self) -> Mapping[str, Any]: ...
    def scale(self, function: str, n: int) -> None: ...
    def logs(self, function: str | None = None, lines: int = 100) -> str: ...
    def failures(self) -> Sequence[Failure]: ...
    def stop(self) -> None: ...


class DeploymentView(anywidget.AnyWidget):
    """The live view of a deployment; it looks twice a second while a browser shows it, and ends with the deployment."""

    _esm = module(*PICTURE, "child.js", "panel.js", "replicas.js", "deployment.js")
    _css = styles("graph.css", "debugger.css", "deployment.css")

    picture = traitlets.Dict().tag(sync=True)  # ours: the graph with every step in its function, if it is known
    about = traitlets.Dict().tag(sync=True)  # ours: name, URL, the names of the functions
    direction = traitlets.Enum(["LR", "TB"], default_value="LR").tag(sync=True)  # the view's

    def __init__(self, deployment: HostedGraph) -> None:
        self.deployment = deployment
        self.is_over = False
        self._failures: Sequence[Failure] = ()
        self._debugger: DebugWidget | None = None
        self._views = 0
        self._closed = threading.Event()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="nbgraph-deployment")  # what a button asks for
        self._thread: threading.Thread | None = None
        super().__init__(picture=self._picture(), about=self._about())
        self.on_msg(_on_message)
        self.observe(lambda _: setattr(self, "picture", self._picture()), "direction")

    def _ipython_display_(self) -> None:
        """At the end of a cell: with the graph's picture, which stays when the kernel is gone."""
        graph = self.deployment.graph
        words = f"Deployment {self.deployment.name}"
        gone = {"text/plain": words, "text/html": framed(f"<p>{escape(words)}</p>", is_live=True)}
        show_beside(self, static(graph, is_live=True) if graph is not None else gone)

    def close(self) -> None:
        """End looking; the deployment goes on."""
        self._closed.set()
        self._worker.shutdown(wait=False, cancel_futures=True)
        if self._debugger is not None:
            self._debugger.close()
        super().close()

    def look(self) -> Message:
        """How every function is doing, as a message."""
        pulses = {name: _plain(pulse) for name, pulse in self.deployment.pulse().items()}
        self.is_over = not pulses
        return {"kind": "pulse", "functions": pulses, "over": self.is_over}

    def receive(self, message: Message) -> None:
        """Do what the view asks for; what may take its time is left to a thread."""
        function = str(message.get("function") or "")
        match message.get("kind"):
            case "opened":
                self._views += 1
                self._watch()
            case "left":
                self._views = max(0, self._views - 1)
            case "rows":
                self.send(page(message))
            case "scale":
                self._do(lambda: self._scale(function, int(message.get("n") or 0)))
            case "logs":
                self._do(lambda: self._send_logs(function))
            case "failures":
                self._do(self._send_failures)
            case "debug":
                self._do(lambda: self._debug(int(message.get("index") or 0)))
            case "stop":
                self._do(self._stop)

    def _do(self, work: Callable[[], None]) -> None:
        if not self._closed.is_set():
            self._worker.submit(self._tried, work)

    def _tried(self, work: Callable[[], None]) -> None:
        problem = ""
        try:
            work()
        except Exception as error:  # whatever the engine, the network or a worker says is one sentence here
            problem = printable(str(error) if isinstance(error, NbgraphError) else first_line(error), 600)
        if not self._closed.is_set():
            self.send({"kind": "did", "problem": problem})

    def _watch(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            watch = _watching(weakref.ref(self), self._closed)
            self._thread = threading.Thread(target=watch, daemon=True, name="nbgraph-deployment-view")
            self._thread.start()

    def _scale(self, function: str, n: int) -> None:
        self.deployment.scale(function, n)
        self.send(self.look())

    def _send_logs(self, function: str) -> None:
        text = self.deployment.logs(function or None, 200)
        self.send({"kind": "logs", "function": function, "text": text[-40_000:].encode("utf-8", "replace").decode()})

    def _send_failures(self) -> None:
        self._failures = self.deployment.failures()[:LISTED]
        rows = [
            {
                "step": printable(str(failure.step), 80), "error": printable(str(failure.error), 300),
                "id": printable(str(failure.event.id), 80), "body": shown(failure.event.body, 4_000),
            }
            for failure in self._failures
        ]  # fmt: skip
        self.send({"kind": "failures", "rows": rows, "canDebug": self.deployment.graph is not None})

    def _debug(self, index: int) -> None:
        if self.deployment.graph is None:
            raise NbgraphError("The deployment was attached to without its graph; Deployment.attach(name, graph=g).")
        if self._debugger is not None:
            self._debugger.close()
        self._debugger = DebugWidget(self.deployment.graph.debug(self._failures[index]))
        self.send({"kind": "child", "model": self._debugger.model_id})

    def _stop(self) -> None:
        self.deployment.stop()
        self.send(self.look())

    def _about(self) -> Message:
        named = {"name": printable(self.deployment.name, 200), "url": printable(self.deployment.url, 400)}
        return {**named, "functions": list(self.deployment.functions)}

    def _picture(self) -> Message:
        graph = self.deployment.graph
        if graph is None:
            return {"name": self.deployment.name, "svg": "", "problem": "", "marks": {}, "steps": [], "lines": []}
        return SyncedPicture(graph, self.direction, first=self.deployment.functions[0]).data


def _plain(pulse: Any) -> Message:
    found = dataclasses.asdict(pulse)
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()}


def _watching(view: weakref.ref[DeploymentView], closed: threading.Event) -> Callable[[], None]:
    """What looks as long as somebody does: the view alive, shown, its deployment not over."""

    def watch() -> None:
        while not closed.is_set():
            living = view()
            if living is None or living._views == 0:
                return
            try:
                living.send(living.look())
            except Exception as error:  # a worker that has just gone; the next look may be better
                living.send({"kind": "did", "problem": first_line(error)})
            if living.is_over:
                return
            del living
            closed.wait(PERIOD)

    return watch


def _on_message(widget: DeploymentView, message: Message, buffers: Any) -> None:
    widget.receive(message)
