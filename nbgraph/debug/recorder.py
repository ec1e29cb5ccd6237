"""The Recorder: the observer that keeps a frame of every step's call."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from nbgraph.debug.console import Console
from nbgraph.debug.frame import Frame
from nbgraph.debug.redact import Redaction
from nbgraph.debug.trace import Trace
from nbgraph.engine import loop
from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.interpret.observer import Observer, Skip, StepRun
from nbgraph.errors import StepError
from nbgraph.event import Event, entering
from nbgraph.graph.graph import Graph
from nbgraph.handler import OnExit


class FrameSlot:
    """The place of a call's frame among those of its step; the frame is replaced when the call ends."""

    __slots__ = ("frame",)

    def __init__(self, frame: Frame) -> None:
        self.frame = frame


class Recorder(Observer):
    """Records snapshots of each step's input and output."""

    def __init__(self, redaction: Redaction) -> None:
        self.frames: list[Frame] = []
        self.answer: Any = None
        self.error: StepError | None = None
        self.console = Console()  # listens while whoever drives the run lets it
        self._redaction, self.keep = redaction, redaction.keep
        self.inner: list[FrameSlot] = []  # one for each call that the running step makes itself
        self._running: StepRun | None = None  # the call that began last, and a copy of its input
        self._input: Any = None
        self._last: tuple[Any, Any] = (None, None)  # the last output and its copy: most often the next input

    def before(self, move: StepRun) -> Skip | None:
        output, copy = self._last
        self._running = move
        self._input = copy if output is not None and output is move.input else self.keep(move.input)
        inner: list[FrameSlot] = []
        self.inner = inner
        move.listen(lambda route, input: self._on_enter(move, inner, route, input))
        return None

    def _on_enter(self, move: StepRun, inner: list[FrameSlot], route: str, input: Any) -> OnExit:
        """A call that the step makes itself begins; frames stand in the order of their beginnings."""
        identity = (move.event.id, f"{move.step}/{route}", move.visit, self.keep(input))
        began, slot = time.perf_counter(), FrameSlot(Frame(*identity))  # one for each call: routes may run on threads
        mark = len(self.console)
        inner.append(slot)

        def on_leave(output: Any, error: BaseException | None) -> None:
            seconds = time.perf_counter() - began
            printed = self._redaction.text(self.console.since(mark))
            slot.frame = Frame(*identity, self.keep(output), self._redaction.error(error), seconds, printed=printed)

        return on_leave

    def after(self, move: StepRun) -> None:
        output = self.keep(move.output)
        self._last = (move.output, output)
        has_begun = move is self._running
        input = self._input if has_begun else self._first_input(move)
        inner = tuple([slot.frame for slot in self.inner]) if has_begun else ()
        error, reason = self._redaction.error(move.error), self._redaction.text(move.reason)
        printed = self._redaction.text(self.console.take())
        result = (output, error, move.seconds, move.edges, reason, move.dropped, inner, move.copied, printed)
        self.frames.append(Frame(move.event.id, move.step, move.visit, input, *result))

    def _first_input(self, move: StepRun) -> Any:
        """The input of the call that began, for a step that goes on giving its results."""
        call = move.step, move.visit, move.event.id
        recorded = (one for one in reversed(self.frames) if (one.step, one.visit, one.event_id) == call)
        first = next(recorded, None)
        return self.keep(move.input) if first is None else first.input

    def finished(self, event: Event, answers: Sequence[Any], error: StepError | None) -> None:
        self.answer, self.error = (answers[0] if answers else None), error


def trace(graph: Graph, body: Any) -> Trace:
    """Run one event and keep a frame of every step; an error is kept, not raised.

    >>> graph = Graph("inverse")
    >>> _ = graph.to(lambda body: 1 / body, "inverse")
    >>> graph.trace(0).error
    StepError('Step "inverse" failed: ZeroDivisionError: division by zero')
    """
    redaction = Redaction(graph)
    plan, recorder = graph.plan(), Recorder(redaction)
    event = entering(body)
    received = event.with_body(redaction.keep(event.body))
    run = Interpreter(plan, event, [recorder, *graph.observers])
    with recorder.console, suppress(StepError):  # the recorder has it
        (loop.complete if plan.is_async else loop.without_waiting)(run.finish())
    answer = {"id": event.id} if plan.confirms and recorder.error is None else redaction.keep(recorder.answer)
    return Trace(recorder.frames, graph=graph, answer=answer, error=redaction.error(recorder.error), event=received)
