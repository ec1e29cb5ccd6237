"""SourceBuffer: the lines of generated functions, and the objects that their names refer to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import Any

from nbgraph.body import SCALARS, Copier
from nbgraph.engine.codegen.layout import FunctionLayout
from nbgraph.engine.codegen.names import Identifiers
from nbgraph.engine.codegen.traceback import SourceLine
from nbgraph.engine.interpret.edge_choice import by_outlets, raise_unless_event
from nbgraph.engine.paths import part, put
from nbgraph.engine.plan import Arrow, PlanStep, Tap
from nbgraph.errors import own
from nbgraph.event import RAW, Event, entering
from nbgraph.types import Shape


class CodeForm(Enum):
    LINE = "line"  # returns its one answer
    TREE = "tree"  # appends to the answers it is given
    STAGED = "staged"  # a tree that parks events at concurrent steps
    FUSED = "fused"  # a loop over all bodies of a stream that yields all answers


@dataclass(frozen=True)
class Place:
    """Where a line is written: its indentation, and the statement that ends an event's path there.

    `resumed` is the concurrent step whose result a function resumes with.
    """

    depth: int
    stop: str
    resumed: str | None = None

    def inner(self) -> Place:
        return Place(self.depth + 1, self.stop)

    def loop(self) -> Place:
        return Place(self.depth + 1, "continue")


class SourceBuffer:
    """Lines, which of them calls which step, and the objects that their names refer to."""

    def __init__(
        self,
        graph: str,
        layout: FunctionLayout,
        form: CodeForm,
        uses_events: bool,
        is_async: bool,
        copier: Copier | None,
    ) -> None:
        self.layout, self.form = layout, form
        self.copies = copier is not None
        self.uses_events, self.is_async = uses_events, is_async
        self.lines: list[str] = []
        self.calls: dict[int, SourceLine] = {}
        self.words = Identifiers(layout.steps)
        self.entry = self.words.entry(graph)
        self.globals: dict[str, Any] = {
            "part": part,
            "put": put,
            "passed": passed,
            "every": every,
            "RAW": RAW,
            "body_of": body_of,
            "own": own,
            "SCALARS": SCALARS,
            "copied": copier and copier.__call__,  # the bound method: the interpreter calls it faster than its object
        }
        for name, step in layout.steps.items():
            self.globals[self.words.step(name)] = step.call.function

    def add(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def add_call(
        self,
        step: PlanStep,
        place: Place,
        text: str,
        variable: str = "event",
        item: str = "item",
        arrow: Arrow | None = None,
    ) -> None:
        """A line in which the step may fail; the variables hold its body and event."""
        self.add(place.depth, text)
        self.calls[len(self.lines)] = SourceLine(step.name, variable, item, arrow)

    def call(self, step: PlanStep) -> str:
        """The call of a step with its argument."""
        by_event = step.call.shape in (Shape.EVENT, Shape.EVENTS)
        path = step.call.input_path
        given = "item" if by_event else f"part(event, {path!r})" if path else "event"
        return f"{'await ' if step.call.awaits else ''}{self.words.step(step.name)}({given})"

    def test(self, step: PlanStep, arrow: Arrow) -> str:
        """The condition of an arrow: its text if it is self-contained, else a call."""
        if arrow.is_inline:
            return arrow.text.strip()
        name = self.words.arrow(step.name, arrow.target, step.arrows.index(arrow))
        self.globals[name] = arrow.test
        path = self.layout.steps[arrow.target].call.input_path
        return f"{name}(part(event, {path!r}))" if path else f"{name}(event)"

    def tap(self, source: str, target: str, tap: Tap) -> str:
        """The name of what is told of an edge."""
        name = self.words.between(source, target)
        self.globals[name] = tap
        return name

    def chooser(self, step: PlanStep) -> str:
        """The name of the function that names the next steps."""
        name = self.words.made(step.name, "outlets")
        self.globals[name] = _chooser(step)
        return name

    def function(self, step: str) -> str:
        return self.words.before("from", step)

    def take(self, step: str) -> str:
        return self.words.before("take", step)

    def after(self, step: str) -> str:
        return self.words.before("after", step)

    @property
    def copied(self) -> str:
        """A copy of the body for a branch."""
        return "copied(event)" if self.copies else "event"

    def body_beside(self, when: str | None) -> str:
        """The body of a branch, copied if another branch runs `when` that holds: "" always, None never."""
        if when is None or not self.copies:
            return "event"
        return f"copied(event) if {when} else event" if when else "copied(event)"

    @property
    def answers(self) -> str:
        return "" if self.form is CodeForm.LINE else ", answers"

    @property
    def wait(self) -> str:
        return "await " if self.is_async else ""


def _chooser(step: PlanStep) -> Callable[[Any], list[str]]:
    return lambda body: [arrow.target for arrow in by_outlets(step, body)[0]]


def body_of(row: Any) -> Any:
    """The body of a text or an Event in a stream."""
    return entering(row).body


def passed(result: Any, event: Event) -> Event:
    """The event that goes on from a full_event handler: its result, or the event it changed."""
    raise_unless_event(result)
    return event if result is None else result


def every(results: Any, event: Event) -> Any:
    """The events of a full_event generator."""
    if hasattr(results, "__aiter__"):
        return _every_async(results, event)
    return (passed(result, event) for result in results)


async def _every_async(results: Any, event: Event) -> Any:
    async with aclosing(results):
        async for result in results:
            yield passed(result, event)
