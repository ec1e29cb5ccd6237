"""Failure: which step an exception rose in, found by the line of the generated function it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nbgraph.engine.plan import PlanStep
from nbgraph.errors import StepError
from nbgraph.event import Event


class Failure:
    """Turns an exception inside generated code into a `StepError`, or hands it to the step's error handler.

    A `try` costs nothing while nothing is raised, so generated code has one a function; which call failed is read off
    the traceback. `calls` maps a line to the step called there and the variable that holds the step's input.
    """

    def __init__(self, filename: str, calls: Mapping[int, tuple[str, str]], steps: Mapping[str, PlanStep]) -> None:
        self._filename, self._calls, self._steps = filename, calls, steps
        self.handlers: dict[str, Callable[..., Any]] = {}

    def failed(self, error: Exception, variables: Mapping[str, Any]) -> Exception:
        """The error to raise: a StepError, or the exception itself where an inner function has made one already."""
        found = self._step_and_input(error)
        if found is None:
            return error
        step, variable = found
        return StepError(step, self._event(variables, variable), error)

    def handled(self, error: Exception, variables: Mapping[str, Any]) -> tuple[Callable[..., Any], Any, Event]:
        """The function of the step's error handler with its body and event; raises where the step has none."""
        found = self._step_and_input(error)
        handler = self._steps[found[0]].handler_of(error) if found else None
        if found is None or handler is None:
            raise self.failed(error, variables)
        step, variable = found
        event = self._event(variables, variable)
        event.error, event.origin = error, step
        return self.handlers[handler], event.body, event

    def _step_and_input(self, error: Exception) -> tuple[str, str] | None:
        traceback = error.__traceback__
        if traceback is None or traceback.tb_frame.f_code.co_filename != self._filename:
            return None
        return self._calls.get(traceback.tb_lineno)

    def _event(self, variables: Mapping[str, Any], variable: str) -> Event:
        body, item = variables[variable], variables.get(f"{variable}_item", variables.get("item"))
        return Event(body) if item is None else item.with_body(body)
