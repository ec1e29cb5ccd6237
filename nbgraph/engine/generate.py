"""Generate: the synchronous or asynchronous code of a plan as readable Python functions.

Three forms come from one writer: a *line* returns its one answer (graphs whose events never split), a *tree* appends
to the answers it is given (any graph without a cycle), a *fused* loop takes all bodies of a stream and yields all
answers (graphs that need one function only), a *staged* tree parks events at concurrent steps. The order of calls is that of `walk.py`: depth first, arrows in order.
"""

from __future__ import annotations

import builtins
import keyword
import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any

from nbgraph.engine.failure import Failure
from nbgraph.engine.layout import Layout, is_choice
from nbgraph.engine.paths import part, put
from nbgraph.engine.plan import Arrow, Fused, Line, PlanStep
from nbgraph.engine.walk import by_outlets, raise_unless_event
from nbgraph.event import Event
from nbgraph.types import Shape

LONGEST = 150  # functions that call each other; the interpreter's stack holds about 1000

RESERVED = {"event", "item", "answers", "error", "events", "failed", "part", "put", "passed", "every", "chosen", "handle", "result"}


class Form(Enum):
    LINE = "line"
    TREE = "tree"
    STAGED = "staged"
    FUSED = "fused"


@dataclass(frozen=True)
class Functions:
    """The generated functions and the text they were made from; None where the plan does not allow the form."""

    source: str = ""
    line: Line | None = None
    tree: Callable[..., Any] | None = None
    fused: Fused | None = None
    after: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    staged: Callable[..., Any] | None = None
    takes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


def generate(
    graph: str,
    steps: Mapping[str, PlanStep],
    starts: Sequence[str],
    *,
    is_line_wanted: bool,
    uses_events: bool,
    is_async: bool,
) -> Functions:
    """All forms that the plan allows; none for a plan with a cycle, which is walked."""
    if any(step.limit is not None for step in steps.values()):
        return Functions()
    shape = Layout(steps, starts)
    if shape.longest > LONGEST:
        return Functions()
    tree = _Writer(graph, shape, Form.TREE, uses_events, is_async)
    tree_made, after = tree.made()
    line_made: Line | None = None
    fused: Fused | None = None
    source = tree.source
    takes_events = any(step.call.shape in (Shape.EVENT, Shape.EVENTS) for step in steps.values())
    if not is_async and is_line_wanted and not takes_events and shape.is_line():
        line = _Writer(graph, shape, Form.LINE, uses_events, is_async)
        line_made, source = line.made()[0], line.source
    if not is_async and not uses_events and not shape.functions and not shape.has_late_answers():
        fused = _Writer(graph, shape, Form.FUSED, uses_events, is_async).made()[0]
    staged, takes = _staged(graph, steps, starts, uses_events)
    return Functions(source, line_made, tree_made, fused, after, staged, takes)


def _staged(
    graph: str, steps: Mapping[str, PlanStep], starts: Sequence[str], uses_events: bool
) -> tuple[Callable[..., Any] | None, Mapping[str, Callable[..., Any]]]:
    """The tree that parks events at concurrent steps; it waits only for the async steps that are not concurrent."""
    stages = {
        name
        for name, step in steps.items()
        if step.call.step.options.concurrency and not _is_async_generator(step)
    }
    if not stages:
        return None, {}
    is_async = any(step.call.is_async for name, step in steps.items() if name not in stages)
    writer = _Writer(graph, Layout(steps, starts, stages), Form.STAGED, uses_events, is_async)
    return writer.made()[0], writer.takes()


@dataclass(frozen=True)
class Place:
    """Where a line is written: how deep, and how the way of an event ends there."""

    depth: int
    stop: str

    def inner(self) -> Place:
        return Place(self.depth + 1, self.stop)

    def loop(self) -> Place:
        return Place(self.depth + 1, "continue")


class _Writer:
    """Writes the functions of one form, and remembers which line calls which step."""

    def __init__(self, graph: str, layout: Layout, form: Form, uses_events: bool, is_async: bool) -> None:
        self._layout, self._form = layout, form
        self._uses_events, self._is_async = uses_events, is_async
        self._lines: list[str] = []
        self._calls: dict[int, tuple[str, str]] = {}  # line -> step, and the variable that holds its input
        self._names = _identifiers(graph, list(layout.steps))
        self._graph = graph
        self._taken: str | None = None  # the stage whose step is written behind its call
        self._globals: dict[str, Any] = {"part": part, "put": put, "passed": passed, "every": every}
        for name, step in layout.steps.items():
            self._globals[self._names[1][name]] = step.call.function
        self._write()
        self.source = "\n".join(self._lines)

    def made(self) -> tuple[Any, dict[str, Any]]:
        """The entry function, and the functions that take up what steps released."""
        filename = f"<nbgraph {self._graph} {self._form.value}>"
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(keepends=True), filename)
        failure = Failure(filename, self._calls, self._layout.steps)
        self._globals.update(failed=failure.failed, handle=failure.handled)
        exec(compile(self.source, filename, "exec"), self._globals)
        after = {
            name: self._globals[self._after_name(name)]
            for name, step in self._layout.steps.items()
            if step.call.release is not None and self._form is not Form.FUSED
        }
        failure.handlers.update({name: self._globals[self._function_name(name)] for name in self._layout.functions})
        return self._globals[self._names[0]], after

    def takes(self) -> dict[str, Any]:
        """The functions that take up what was parked at a stage, once they are made."""
        return {name: self._globals[self._take_name(name)] for name in self._layout.steps if name in self._layout.stages}

    # --- functions ---

    def _write(self) -> None:
        layout = self._layout
        for name in layout.functions:
            self._function(self._function_name(name), partial(self._steps_from, name))
        for step in layout.steps.values():
            if layout.has_after(step) and self._form is not Form.FUSED:
                self._function(self._after_name(step.name), partial(self._after_step, step))
        for name in layout.steps:
            if name in layout.stages:
                self._function(self._take_name(name), partial(self._take, name), ", result")
        entry = self._names[0]
        if self._form is Form.FUSED:
            self._fused(entry)
        else:
            self._function(entry, self._enter)

    def _enter(self, place: Place) -> None:
        *others, last = self._layout.starts
        for name in others:
            self._call_function(name, place, is_last=False)
        self._steps_from(last, place)

    def _after_step(self, step: PlanStep, place: Place) -> None:
        self._go_on(step, place)

    def _take(self, name: str, place: Place) -> None:
        """Go on with what a stage's call came to: `result()` gives it, or raises what the call raised."""
        self._taken = name
        self._steps_from(name, place)

    def _function(self, name: str, write: Callable[[Place], None], more: str = "") -> None:
        if self._lines:
            self._lines += ["", ""]
        word = "async def" if self._is_async else "def"
        answers = "" if self._form is Form.LINE else ", answers"
        item = "item=None" if self._form is Form.LINE else "item"
        self._add(0, f"{word} {name}(event, {item}{answers}{more}):")
        self._add(1, "try:")
        write(Place(2, "return None" if self._form is Form.LINE else "return"))
        self._add(1, "except Exception as error:")
        self._except(Place(2, ""))

    def _except(self, place: Place) -> None:
        if not self._layout.has_handlers:
            self._add(place.depth, "raise failed(error, locals())")
            return
        self._add(place.depth, "handler, event, item = handle(error, locals())")
        self._add(place.depth, f"return {self._await}handler(event, item{self._answers})")

    def _fused(self, entry: str) -> None:
        self._lines += ["", ""] if self._lines else []
        self._add(0, f"def {entry}(events):")
        self._add(1, "item = None")
        self._add(1, "try:")
        self._add(2, "for event in events:")
        self._steps_from(self._layout.starts[0], Place(3, "continue"))
        if not any(line.lstrip().startswith("yield") for line in self._lines):
            self._add(2, "yield from ()")  # every step holds back: still a generator
        self._add(1, "except Exception as error:")
        self._add(2, "raise failed(error, locals())")

    # --- steps ---

    def _steps_from(self, name: str, place: Place) -> None:
        """Write a step and all that follows it in a straight line."""
        following: str | None = name
        while following is not None:
            step = self._layout.steps[following]
            if following in self._layout.stages and following != self._taken:
                self._add(place.depth, f"answers.park({following!r}, event, item)")
                return
            if self._layout.is_loop(step):
                self._loop(step, place)
                return
            self._one(step, place)
            if step.call.shape is Shape.HOLD:
                return
            following = self._go_on(step, place, is_chained=True)

    def _one(self, step: PlanStep, place: Place) -> None:
        """The line that calls a step."""
        call = self._call(step)
        shape = step.call.shape
        if shape is Shape.FILTER:
            self._step_line(step, place, f"if not {call}:")
            self._add(place.depth + 1, place.stop)
        elif shape in (Shape.EACH, Shape.HOLD):
            self._step_line(step, place, call)
        elif shape is Shape.EVENT:
            self._add(place.depth, "item.body = event")
            self._step_line(step, place, f"item = passed({call}, item)")
            self._add(place.depth, "event = item.body")
        elif step.call.result_path:
            self._step_line(step, place, f"event = put(event, {step.call.result_path!r}, {call})")
        else:
            self._step_line(step, place, f"event = {call}")

    def _loop(self, step: PlanStep, place: Place) -> None:
        """A step that makes several results: what follows runs for each before the next is drawn."""
        whole, by_event = self._whole(step), step.call.shape is Shape.EVENTS
        call = self._call(step)
        self._add(place.depth, f"{whole} = event")
        if self._uses_events:
            self._add(place.depth, f"{whole}_item = item")
        if by_event:
            self._add(place.depth, "item.body = event")
            call, variable = f"every({call}, item)", "item"
        else:
            variable = "event"
        is_generator = _is_async_generator(step)
        word = "async for" if is_generator else "for"
        self._step_line(step, place, f"{word} {variable} in {call}:", whole)
        if by_event:
            self._add(place.depth + 1, "event = item.body")
        elif self._uses_events:
            self._add(place.depth + 1, f"item = {whole}_item.with_body(event)")
        if step.call.result_path and not by_event:
            self._step_line(step, place.inner(), f"event = put({whole}, {step.call.result_path!r}, event)", whole)
        if self._layout.has_after(step) and self._form is not Form.FUSED:
            name = self._after_name(step.name)
            self._add(place.depth + 1, f"{self._await}{name}(event, item{self._answers})")
        else:
            self._go_on(step, place.loop())

    def _go_on(self, step: PlanStep, place: Place, *, is_chained: bool = False) -> str | None:
        """What happens with a step's result; the name of the next step where the caller writes it itself."""
        if step.answers:
            self._answer(place)
        elif step.rescues:
            self._answer(place, is_late=True)
        if step.call.outlets is not None:
            self._outlets(step, place)
            return None
        arrows = step.arrows
        if not arrows:
            if self._form is not Form.LINE and not (step.answers or step.rescues):
                self._add(place.depth, "pass")
            return None
        if is_choice(arrows):
            self._choice(step, place)
            return None
        held = self._conditions(step, place)
        for arrow in arrows[:-1]:
            self._arrow(arrow, held, place, is_last=False)
        last = arrows[-1]
        if last.target in self._layout.functions or last in held:
            self._arrow(last, held, place, is_last=True)
            return None
        if is_chained:
            return last.target
        self._steps_from(last.target, place)
        return None

    def _choice(self, step: PlanStep, place: Place) -> None:
        held = next(arrow for arrow in step.arrows if arrow.test is not None)
        self._step_line(step, place, f"if {self._test(step, held)}:")
        self._target(held.target, place.inner())
        for arrow in step.arrows:
            if arrow.otherwise:
                self._add(place.depth, "else:")
                self._target(arrow.target, place.inner())

    def _conditions(self, step: PlanStep, place: Place) -> dict[Arrow, str]:
        """All conditions are looked at before any branch runs; returns what each arrow asks for."""
        held: dict[Arrow, str] = {}
        for number, arrow in enumerate(step.arrows):
            if arrow.test is not None:
                held[arrow] = f"{self._identifier(step.name)}_is_{number}"
                self._step_line(step, place, f"{held[arrow]} = bool({self._test(step, arrow)})")
        none_held = f"not ({' or '.join(held.values())})"
        return held | {arrow: none_held for arrow in step.arrows if arrow.otherwise}

    def _arrow(self, arrow: Arrow, held: Mapping[Arrow, str], place: Place, *, is_last: bool) -> None:
        if arrow in held:
            self._add(place.depth, f"if {held[arrow]}:")
            place = place.inner()
        self._target(arrow.target, place, is_last=is_last)

    def _target(self, name: str, place: Place, *, is_last: bool = True) -> None:
        if name in self._layout.functions:
            self._call_function(name, place, is_last=is_last)
        else:
            self._steps_from(name, place)

    def _call_function(self, name: str, place: Place, *, is_last: bool) -> None:
        item = "item" if is_last or not self._uses_events else "item.with_body(event)"
        word = "return " if self._form is Form.LINE else ""
        self._add(place.depth, f"{word}{self._await}{self._function_name(name)}(event, {item}{self._answers})")

    def _outlets(self, step: PlanStep, place: Place) -> None:
        """The handler chooses: arrows are asked in order whether they are among the chosen ones."""
        chooser, chosen = f"{self._identifier(step.name)}_outlets", f"{self._identifier(step.name)}_chosen"
        self._globals[chooser] = _chooser(step)
        self._step_line(step, place, f"{chosen} = {chooser}(event)")
        for arrow in step.arrows:
            is_last = arrow is step.arrows[-1]
            self._add(place.depth, f"if {arrow.target!r} in {chosen}:")
            self._target(arrow.target, place.inner(), is_last=is_last)
        if not step.arrows:
            self._add(place.depth, "pass")

    # --- words ---

    def _call(self, step: PlanStep) -> str:
        if step.name == self._taken:
            self._taken = None  # a second way to the same step parks again
            return "result()"
        by_event = step.call.shape in (Shape.EVENT, Shape.EVENTS)
        path = step.call.input_path
        given = "item" if by_event else f"part(event, {path!r})" if path else "event"
        waits = step.call.is_async and not _is_async_generator(step)
        return f"{'await ' if waits else ''}{self._identifier(step.name)}({given})"

    def _test(self, step: PlanStep, arrow: Arrow) -> str:
        if arrow.is_inline:
            return arrow.text.strip()
        name = f"{self._identifier(step.name)}_to_{self._identifier(arrow.target)}"
        self._globals[name] = arrow.test
        path = self._layout.steps[arrow.target].call.input_path
        return f"{name}(part(event, {path!r}))" if path else f"{name}(event)"

    def _answer(self, place: Place, *, is_late: bool = False) -> None:
        appended = "answers.late.append(event)" if is_late else "answers.append(event)"
        words = {
            Form.LINE: "return event",
            Form.TREE: appended,
            Form.STAGED: appended,
            Form.FUSED: "yield event",
        }
        self._add(place.depth, words[self._form])

    @property
    def _answers(self) -> str:
        return "" if self._form is Form.LINE else ", answers"

    @property
    def _await(self) -> str:
        return "await " if self._is_async else ""

    def _identifier(self, step: str) -> str:
        return self._names[1][step]

    def _function_name(self, step: str) -> str:
        return f"from_{self._identifier(step)}"

    def _take_name(self, step: str) -> str:
        return f"take_{self._identifier(step)}"

    def _after_name(self, step: str) -> str:
        return f"after_{self._identifier(step)}"

    def _whole(self, step: PlanStep) -> str:
        return f"{self._identifier(step.name)}_whole"

    def _step_line(self, step: PlanStep, place: Place, text: str, variable: str = "event") -> None:
        self._add(place.depth, text)
        self._calls[len(self._lines)] = (step.name, variable)

    def _add(self, depth: int, text: str) -> None:
        self._lines.append("    " * depth + text)


def _identifiers(graph: str, steps: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Python names for the graph and its steps: their own where they are usable."""
    taken = set(RESERVED)
    chosen: list[str] = []
    for number, name in enumerate([*steps, graph]):
        usable = name.isidentifier() and name.isascii() and not keyword.iskeyword(name) and not hasattr(builtins, name)
        word = name if usable and name not in taken and not name.startswith("_") else f"step_{number}"
        while word in taken:
            word += "_"
        taken |= {word, f"from_{word}", f"after_{word}", f"take_{word}", f"{word}_whole", f"{word}_outlets", f"{word}_chosen"}
        chosen.append(word)
    return chosen[-1], dict(zip(steps, chosen, strict=False))


def _is_async_generator(step: PlanStep) -> bool:
    import inspect

    function = step.call.function
    while hasattr(function, "func"):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    return inspect.isasyncgenfunction(function)


def _chooser(step: PlanStep) -> Callable[[Any], list[str]]:
    return lambda body: [arrow.target for arrow in by_outlets(step, body)[0]]


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
    async for result in results:
        yield passed(result, event)
