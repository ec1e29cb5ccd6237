"""A Recorder: the observer that keeps a frame of every move."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from nbgraph.debug.frame import Frame
from nbgraph.debug.redact import Redaction
from nbgraph.debug.trace import Trace
from nbgraph.engine import loop
from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.interpret.observer import Observer, Skip, StepRun
from nbgraph.errors import StepError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph
from nbgraph.graph.input_event import entering
from nbgraph.handler import Left


class Recorder(Observer):
    """Keeps what went in and out of each step, as it was then."""

    def __init__(self, redaction: Redaction) -> None:
        self.frames: list[Frame] = []
        self.answer: Any = None
        self.error: StepError | None = None
        self._redaction, self.keep = redaction, redaction.keep
        self._moving: StepRun | None = None  # the call that was begun last, and what it got
        self._input: Any = None
        self.inner: list[list[Frame]] = []  # a place for each call that the running step makes itself
        self._last: tuple[Any, Any] = (None, None)  # the last output and its copy: most often the next input

    def before(self, move: StepRun) -> Skip | None:
        output, copy = self._last
        self._moving = move
        self._input = copy if output is not None and output is move.input else self.keep(move.input)
        inner: list[list[Frame]] = []
        self.inner = inner
        move.listen(lambda route, input: self._entered(move, inner, route, input))
        return None

    def _entered(self, move: StepRun, inner: list[list[Frame]], route: str, input: Any) -> Left:
        """A call that the step makes itself; its place is that of its beginning."""
        what = (move.event.id, f"{move.step}/{route}", move.visit, self.keep(input))
        began, place = time.perf_counter(), [Frame(*what)]  # a place of its own: routes may run on threads
        inner.append(place)

        def left(output: Any, error: BaseException | None) -> None:
            seconds = time.perf_counter() - began
            told = self._redaction.error(error)
            place[0] = Frame(*what, self.keep(output), told, seconds)

        return left

    def after(self, move: StepRun) -> None:
        output = self.keep(move.output)
        self._last = (move.output, output)
        is_begun = move is self._moving
        input = self._input if is_begun else self._given(move)
        inner = tuple([frame for (frame,) in self.inner]) if is_begun else ()
        error, reason = self._redaction.error(move.error), self._redaction.text(move.reason)
        self.frames.append(
            Frame(
                move.event.id, move.step, move.visit, input, output, error, move.seconds, move.edges, reason,
                move.dropped, inner, move.copied,
            )
        )  # fmt: skip

    def _given(self, move: StepRun) -> Any:
        """What a step got that goes on giving its results: the input of the call that began."""
        what = move.step, move.visit, move.event.id
        calls = (one for one in reversed(self.frames) if (one.step, one.visit, one.event_id) == what)
        begun = next(calls, None)
        return self.keep(move.input) if begun is None else begun.input

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
    came = event.with_body(redaction.keep(event.body))
    walk = Interpreter(plan, event, [recorder, *graph.observers])
    with suppress(StepError):  # the recorder has it
        (loop.complete if plan.is_async else loop.without_waiting)(walk.finish())
    answer = {"id": event.id} if plan.confirms and recorder.error is None else redaction.keep(recorder.answer)
    return Trace(recorder.frames, graph=graph, answer=answer, error=redaction.error(recorder.error), event=came)
