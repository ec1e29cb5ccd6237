"""JobView: a job while it runs: its parts as a strip, how fast it goes, counts by step, the rows that failed."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape
from itertools import pairwise
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
from nbgraph.widgets.picture.static_output import framed, show_beside
from nbgraph.widgets.values.preview import shown
from nbgraph.widgets.values.table_pages import page

PERIOD = 0.25  # seconds between two looks
CELLS = 200  # of the strip: parts are shown together where there are more
LISTED = 50  # failures, and steps
ORDER = "srxd."  # what is shown of several parts: the first of these that one of them has
LETTERS = {"searching": "s", "running": "r", "done": "d", "waiting": "."}


class Running(Protocol):
    """What is shown: a `Job`; widgets do not know that package."""

    name: str

    @property
    def graph(self) -> Graph | None: ...
    @property
    def state(self) -> str: ...
    @property
    def error(self) -> str: ...
    def pulse(self) -> Mapping[str, Any]: ...
    def failures(self, n: int = 100) -> Sequence[Failure]: ...
    def stop(self) -> None: ...
    def resume(self) -> Any: ...


class JobView(anywidget.AnyWidget):
    """The live view of a job; it looks four times a second while a browser shows it, and ends with the job."""

    _esm = module(*PICTURE, "child.js", "job.js")
    _css = styles("graph.css", "debugger.css", "job.css")

    told = traitlets.Dict().tag(sync=True)  # ours: how it stands, for whoever opens the view later

    def __init__(self, job: Running) -> None:
        self.job = job
        self._failures: Sequence[Failure] = ()
        self._debugger: DebugWidget | None = None
        self._views = 0
        self._closed = threading.Event()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="nbgraph-job-view")
        self._thread: threading.Thread | None = None
        super().__init__(told=self.look())
        self.on_msg(_on_message)

    def _ipython_display_(self) -> None:
        """At the end of a cell: with how it stands, which stays when the kernel is gone."""
        words = printable(str(self.told["words"]), 400)
        show_beside(self, {"text/plain": words, "text/html": framed(f"<p>{escape(words)}</p>", is_live=True)})

    def close(self) -> None:
        """End looking; the job goes on."""
        self._closed.set()
        self._worker.shutdown(wait=False, cancel_futures=True)
        if self._debugger is not None:
            self._debugger.close()
        super().close()

    def look(self) -> Message:
        """How the job stands, as a message."""
        pulse = self.job.pulse()
        return {
            "kind": "job", "state": self.job.state, "words": printable(str(pulse["words"]), 400),
            "parts": strip(pulse["states"], pulse["total"]), "of": len(pulse["states"]) or (pulse["total"] or 0),
            "failed": pulse["failed"], "steps": _rows(pulse["steps"]), "problem": printable(self.job.error, 600),
        }  # fmt: skip

    def receive(self, message: Message) -> None:
        """Do what the view asks for; what may take its time is left to a thread."""
        match message.get("kind"):
            case "opened":
                self._views += 1
                self._watch()
            case "left":
                self._views = max(0, self._views - 1)
            case "rows":
                self.send(page(message))
            case "failures":
                self._do(self._send_failures)
            case "debug":
                self._do(lambda: self._debug(int(message.get("index") or 0)))
            case "stop":
                self._do(self.job.stop)
            case "resume":
                self._do(self._resume)

    def _do(self, work: Callable[[], Any]) -> None:
        if not self._closed.is_set():
            self._worker.submit(self._tried, work)

    def _tried(self, work: Callable[[], Any]) -> None:
        problem = ""
        try:
            work()
        except Exception as error:  # whatever went wrong is one sentence here
            problem = printable(str(error) if isinstance(error, NbgraphError) else first_line(error), 600)
        if not self._closed.is_set():
            self.send({"kind": "did", "problem": problem})
            self.send(self.look())

    def _resume(self) -> None:
        self.job.resume()
        self._watch()

    def _send_failures(self) -> None:
        self._failures = self.job.failures(LISTED)
        rows = [
            {
                "step": printable(str(failure.step), 80), "error": printable(str(failure.error), 300),
                "id": str(failure.row), "body": shown(failure.event.body, 4_000),
            }
            for failure in self._failures
        ]  # fmt: skip
        self.send({"kind": "failures", "rows": rows, "canDebug": self.job.graph is not None})

    def _debug(self, index: int) -> None:
        if self.job.graph is None:
            raise NbgraphError("The job was attached to without its graph; graph.debug(job.failures()[0]) in a cell.")
        if self._debugger is not None:
            self._debugger.close()
        self._debugger = DebugWidget(self.job.graph.debug(self._failures[index]))
        self.send({"kind": "child", "model": self._debugger.model_id})

    def _watch(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            watch = _watching(weakref.ref(self), self._closed)
            self._thread = threading.Thread(target=watch, daemon=True, name="nbgraph-job-view")
            self._thread.start()


def _rows(steps: Mapping[str, tuple[int | None, int]]) -> list[list[Any]]:
    """The counts of the first steps, as a view takes them."""
    return [[printable(name, 80), came, failed] for name, (came, failed) in [*steps.items()][:LISTED]]


def strip(states: Mapping[int, str], total: int | None) -> str:
    """A letter a part, or for some of them together: done, with rows that failed (x), running, searching, waiting.

    >>> strip({0: "done", 1: "failed", 2: "running"}, 4)
    'dxr.'
    """
    number = max(total or 0, max(states, default=-1) + 1)
    letters = [LETTERS.get(states.get(at, "waiting"), "x") for at in range(number)]
    if number <= CELLS:
        return "".join(letters)
    bounds = [at * number // CELLS for at in range(CELLS + 1)]
    return "".join(_together(letters[low:high]) for low, high in pairwise(bounds))


def _together(letters: Sequence[str]) -> str:
    if "." in letters and set(letters) <= {"d", "x", "."}:
        return "."
    return next(letter for letter in ORDER if letter in letters)


def _watching(view: weakref.ref[JobView], closed: threading.Event) -> Callable[[], None]:
    """What looks as long as somebody does: the view alive, shown, its job running."""

    def watch() -> None:
        while not closed.is_set():
            living = view()
            if living is None or living._views == 0:
                return
            found = living.look()
            living.send(found)
            if found["state"] != "running":
                living.told = found
                return
            del living
            closed.wait(PERIOD)

    return watch


def _on_message(widget: JobView, message: Message, buffers: Any) -> None:
    widget.receive(message)
