"""TracebackMap: the step that raised an exception, found by the line of the generated function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nbgraph.engine.interpret.edge_choice import condition_failed
from nbgraph.engine.plan import Arrow, PlanStep
from nbgraph.errors import StepError
from nbgraph.event import Event


class SourceLine(NamedTuple):
    """What a line of generated code calls: the step, and the variables that hold the body and the event it got."""

    step: str
    body: str = "event"
    event: str = "item"
    arrow: Arrow | None = None  # whose condition the line evaluates


class TracebackMap:
    """Turns an exception inside generated code into a `StepError`, or passes it to the step's error handler.

    A `try` costs nothing while nothing is raised, so generated code has one per function; the traceback
    shows which call failed. `calls` maps its number to what a line calls.
    """

    def __init__(self, filename: str, calls: Mapping[int, SourceLine], steps: Mapping[str, PlanStep]) -> None:
        self._filename, self._calls, self._steps = filename, calls, steps
        self.handlers: dict[str, Callable[..., Any]] = {}

    def failed(self, error: BaseException, variables: Mapping[str, Any]) -> BaseException:
        """The error to raise: a StepError, or the exception itself if an inner function has made one already."""
        line = self._line_of(error)
        if line is None:
            return error
        event = self._event(variables, line)
        message = "" if line.arrow is None else condition_failed(line.step, line.arrow, self._steps, event.body, error)
        return StepError(line.step, event, error, message=message)

    def handled(self, error: BaseException, variables: Mapping[str, Any]) -> tuple[Callable[..., Any], Any, Event]:
        """The function of the step's error handler with its body and event; raises where the step has none."""
        line = self._line_of(error)
        handler = self._steps[line.step].handler_of(error) if line else None
        if line is None or handler is None:
            raise self.failed(error, variables)
        event = self._event(variables, line)
        event.error, event.origin = error, line.step
        return self.handlers[handler], event.body, event

    def _line_of(self, error: BaseException) -> SourceLine | None:
        traceback = error.__traceback__
        if traceback is None or traceback.tb_frame.f_code.co_filename != self._filename:
            return None
        return self._calls.get(traceback.tb_lineno)

    def _event(self, variables: Mapping[str, Any], line: SourceLine) -> Event:
        body, item = variables[line.body], variables.get(line.event)
        return Event(body) if item is None else item.with_body(body)
