"""Generate: the synchronous or asynchronous code of a plan as readable Python functions.

Three forms come from one writer: a *line* returns its one answer (graphs whose events never split), a *tree* appends
to the answers it is given (any graph without a cycle), a *fused* loop takes all bodies of a stream and yields all
answers (graphs that need one function only). The order of calls is that of `walk.py`: depth first, arrows in order.
"""

from __future__ import annotations

import builtins
import keyword
import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from nbgraph.engine.failure import Failure
from nbgraph.engine.paths import part, put
from nbgraph.engine.plan import Arrow, Fused, Line, PlanStep
from nbgraph.engine.walk import by_outlets, raise_unless_event
from nbgraph.event import Event
from nbgraph.types import Shape

DEEPEST = 12  # nested blocks in one function; CPython allows 20
LONGEST = 150  # functions that call each other; the interpreter's stack holds about 1000

RESERVED = {"event", "item", "answers", "error", "events", "failed", "part", "put", "passed", "every", "chosen", "handle"}


class Form(Enum):
    LINE = "line"
    TREE = "tree"
    FUSED = "fused"


@dataclass(frozen=True)
class Functions:
    """The generated functions and the text they were made from; None where the plan does not allow the form."""

    source: str = ""
    line: Line | None = None
    tree: Callable[..., Any] | None = None
    fused: Fused | None = None
    after: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


def generate(
    graph: str,
    steps: Mapping[str, PlanStep],
    starts: Sequence[str],
    *,
    confirms: bool,
    uses_events: bool,
    is_async: bool,
) -> Functions:
    """All forms that the plan allows; none for a plan with a cycle, which is walked."""
    if any(step.limit is not None for step in steps.values()):
        return Functions()
    shape = _Layout(steps, starts)
    if shape.longest > LONGEST:
        return Functions()
    tree = _Writer(graph, shape, Form.TREE, uses_events, is_async)
    tree_made, after = tree.made()
    line_made: Line | None = None
    fused: Fused | None = None
    source = tree.source
    if not is_async and not confirms and shape.is_line():
        line = _Writer(graph, shape, Form.LINE, uses_events, is_async)
        line_made, source = line.made()[0], line.source
    if not is_async and not uses_events and not shape.functions and not shape.has_late_answers():
        fused = _Writer(graph, shape, Form.FUSED, uses_events, is_async).made()[0]
    return Functions(source, line_made, tree_made, fused, after)


class _Layout:
    """Which steps become functions of their own, and which are written where they are reached."""

    def __init__(self, steps: Mapping[str, PlanStep], starts: Sequence[str]) -> None:
        self.steps = steps
        self.starts = starts
        self.has_handlers = any(step.handler is not None for step in steps.values())
        self.functions: dict[str, None] = {}  # ordered: the source must not depend on hash seeds
        entries: dict[str, int] = dict.fromkeys(steps, 0)
        for step in steps.values():
            for arrow in step.arrows:
                entries[arrow.target] += 1
            for arrow in [] if is_choice(step.arrows) else step.arrows[:-1]:
                self.functions[arrow.target] = None
        for name, count in entries.items():
            if count > 1 or name in (step.handler for step in steps.values()) or name in starts[:-1]:
                self.functions[name] = None
        self._cut_deep_nests()
        self.longest = self._longest_call()

    def is_loop(self, step: PlanStep) -> bool:
        return step.call.shape in (Shape.FLAT, Shape.EVENTS)

    def has_after(self, step: PlanStep) -> bool:
        """Whether what follows the step is a function of its own: for what it releases, and for handled loops."""
        return step.call.release is not None or (self.is_loop(step) and self.has_handlers)

    def is_line(self) -> bool:
        """Whether an event never splits, so that the answer can simply be returned."""
        return len(self.starts) == 1 and all(
            not self.is_loop(step)
            and step.call.shape is not Shape.HOLD
            and step.call.release is None
            and step.call.outlets is None
            and not (step.answers and step.arrows)
            and (len(step.arrows) <= 1 or is_choice(step.arrows))
            for step in self.steps.values()
        )

    def has_late_answers(self) -> bool:
        return any(step.rescues for step in self.steps.values())

    def _cut_deep_nests(self) -> None:
        depth = dict.fromkeys(self.steps, 0)
        waiting = list(self.starts)
        seen = set(waiting)
        while waiting:
            name = waiting.pop()
            step = self.steps[name]
            nested = self.is_loop(step) or bool(step.arrows and not step.always) or step.call.outlets is not None
            for arrow in step.arrows:
                depth[arrow.target] = depth[name] + nested
                if depth[arrow.target] >= DEEPEST or arrow.target in self.functions:
                    self.functions.setdefault(arrow.target)
                    depth[arrow.target] = 0
                if arrow.target not in seen:
                    seen.add(arrow.target)
                    waiting.append(arrow.target)

    def _longest_call(self) -> int:
        """The longest chain of generated functions that call each other."""
        order: list[str] = []
        left = {name: len(step.arrows) + (step.handler is not None) for name, step in self.steps.items()}
        before: dict[str, list[str]] = {name: [] for name in self.steps}
        for name, step in self.steps.items():
            for target in [*(arrow.target for arrow in step.arrows), *([step.handler] if step.handler else [])]:
                before[target].append(name)
        waiting = [name for name, count in left.items() if count == 0]
        while waiting:
            name = waiting.pop()
            order.append(name)
            for parent in before[name]:
                left[parent] -= 1
                if left[parent] == 0:
                    waiting.append(parent)
        length: dict[str, int] = {}
        for name in order:
            step = self.steps[name]
            targets = [arrow.target for arrow in step.arrows] + ([step.handler] if step.handler else [])
            deepest = max((length[target] for target in targets), default=0)
            length[name] = deepest + (name in self.functions) + self.has_after(step)
        return max(length.values(), default=0)


def is_choice(arrows: Sequence[Arrow]) -> bool:
    """Whether the arrows are one `if`, with or without its `else`."""
    kinds = [(arrow.test is not None, arrow.otherwise) for arrow in arrows]
    return kinds in ([(True, False)], [(True, False), (False, True)], [(False, True), (True, False)])


class _Writer:
    """Writes the functions of one form, and remembers which line calls which step."""

    def __init__(self, graph: str, layout: _Layout, form: Form, uses_events: bool, is_async: bool) -> None:
        self._layout, self._form = layout, form
        self._uses_events, self._is_async = uses_events, is_async
        self._lines: list[str] = []
        self._calls: dict[int, tuple[str, str]] = {}  # line -> step, and the variable that holds its input
        self._names = _identifiers(graph, list(layout.steps))
        self._graph = graph
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
            if step.call.release is not None
        }
        failure.handlers.update({name: self._globals[self._function_name(name)] for name in self._layout.functions})
        return self._globals[self._names[0]], after

    # --- functions ---

    def _write(self) -> None:
        layout = self._layout
        for name in layout.functions:
            self._function(self._function_name(name), lambda depth, name=name: self._steps_from(name, depth))
        for step in layout.steps.values():
            if layout.has_after(step):
                self._function(self._after_name(step.name), lambda depth, step=step: self._go_on(step, depth), step)
        entry = self._names[0]
        if self._form is Form.FUSED:
            self._fused(entry)
        else:
            self._function(entry, self._enter)

    def _enter(self, depth: int) -> None:
        *others, last = self._layout.starts
        for name in others:
            self._call_function(name, depth, is_last=False)
        self._steps_from(last, depth)

    def _function(self, name: str, write: Callable[[int], None], after: PlanStep | None = None) -> None:
        if self._lines:
            self._lines += ["", ""]
        word = "async def" if self._is_async else "def"
        whole = f", {self._whole(after)}" if after is not None else ""
        answers = "" if self._form is Form.LINE else ", answers"
        item = "item=None" if self._form is Form.LINE else "item"
        self._add(0, f"{word} {name}(event, {item}{answers}{whole}):")
        self._add(1, "try:")
        write(2)
        self._add(1, "except Exception as error:")
        self._except(2)

    def _except(self, depth: int) -> None:
        if not self._layout.has_handlers:
            self._add(depth, "raise failed(error, locals())")
            return
        self._add(depth, "handler, event, item = handle(error, locals())")
        self._add(depth, f"return {self._await}handler(event, item{self._answers})")

    def _fused(self, entry: str) -> None:
        self._lines += ["", ""] if self._lines else []
        self._add(0, f"def {entry}(events):")
        self._add(1, "item = None")
        self._add(1, "try:")
        self._add(2, "for event in events:")
        self._steps_from(self._layout.starts[0], 3)
        self._add(1, "except Exception as error:")
        self._add(2, "raise failed(error, locals())")

    # --- steps ---

    def _steps_from(self, name: str, depth: int) -> None:
        """Write a step and all that follows it in a straight line."""
        following: str | None = name
        while following is not None:
            step = self._layout.steps[following]
            if self._layout.is_loop(step):
                self._loop(step, depth)
                return
            self._one(step, depth)
            if step.call.shape is Shape.HOLD:
                return
            following = self._go_on(step, depth, is_chained=True)

    def _one(self, step: PlanStep, depth: int) -> None:
        """The line that calls a step."""
        call = self._call(step)
        shape = step.call.shape
        if shape is Shape.FILTER:
            self._step_line(step, depth, f"if not {call}:")
            self._add(depth + 1, self._stop)
        elif shape in (Shape.EACH, Shape.HOLD):
            self._step_line(step, depth, call)
        elif shape is Shape.EVENT:
            self._add(depth, "item.body = event")
            self._step_line(step, depth, f"item = passed({call}, item)")
            self._add(depth, "event = item.body")
        elif step.call.result_path:
            self._step_line(step, depth, f"event = put(event, {step.call.result_path!r}, {call})")
        else:
            self._step_line(step, depth, f"event = {call}")

    def _loop(self, step: PlanStep, depth: int) -> None:
        """A step that makes several results: what follows runs for each before the next is drawn."""
        whole, by_event = self._whole(step), step.call.shape is Shape.EVENTS
        call = self._call(step)
        self._add(depth, f"{whole} = event")
        if self._uses_events:
            self._add(depth, f"{whole}_item = item")
        if by_event:
            self._add(depth, "item.body = event")
            call, variable = f"every({call}, item)", "item"
        else:
            variable = "event"
        is_generator = _is_async_generator(step)
        word = "async for" if is_generator else "for"
        self._step_line(step, depth, f"{word} {variable} in {call}:", whole)
        if by_event:
            self._add(depth + 1, "event = item.body")
        elif self._uses_events:
            self._add(depth + 1, f"item = {whole}_item.with_body(event)")
        if step.call.result_path and not by_event:
            self._step_line(step, depth + 1, f"event = put({whole}, {step.call.result_path!r}, event)", whole)
        if self._layout.has_after(step):
            name = self._after_name(step.name)
            self._add(depth + 1, f"{self._await}{name}(event, item{self._answers}, {whole})")
        else:
            self._go_on(step, depth + 1, in_loop=whole)

    def _go_on(
        self, step: PlanStep, depth: int, *, is_chained: bool = False, in_loop: str | None = None
    ) -> str | None:
        """What happens with a step's result; the name of the next step where the caller writes it itself."""
        variable = in_loop or (self._whole(step) if self._layout.is_loop(step) else "event")
        if step.call.outlets is not None:
            self._outlets(step, depth, variable)
            return None
        if step.answers:
            self._answer(depth)
        elif step.rescues:
            self._answer(depth, is_late=True)
        arrows = step.arrows
        if not arrows:
            if self._form is not Form.LINE and not (step.answers or step.rescues):
                self._add(depth, "pass")
            return None
        if is_choice(arrows):
            self._choice(step, depth, variable)
            return None
        held = self._conditions(step, depth, variable)
        for arrow in arrows[:-1]:
            self._arrow(arrow, held, depth, is_last=False)
        last = arrows[-1]
        if last.target in self._layout.functions or last in held:
            self._arrow(last, held, depth, is_last=True)
            return None
        if is_chained:
            return last.target
        self._steps_from(last.target, depth)
        return None

    def _choice(self, step: PlanStep, depth: int, variable: str) -> None:
        held = next(arrow for arrow in step.arrows if arrow.test is not None)
        self._step_line(step, depth, f"if {self._test(step, held)}:", variable)
        self._target(held.target, depth + 1)
        for arrow in step.arrows:
            if arrow.otherwise:
                self._add(depth, "else:")
                self._target(arrow.target, depth + 1)

    def _conditions(self, step: PlanStep, depth: int, variable: str) -> dict[Arrow, str]:
        """All conditions are looked at before any branch runs; returns what each arrow asks for."""
        held: dict[Arrow, str] = {}
        for number, arrow in enumerate(step.arrows):
            if arrow.test is not None:
                held[arrow] = f"{self._identifier(step.name)}_is_{number}"
                self._step_line(step, depth, f"{held[arrow]} = bool({self._test(step, arrow)})", variable)
        none_held = f"not ({' or '.join(held.values())})"
        return held | {arrow: none_held for arrow in step.arrows if arrow.otherwise}

    def _arrow(self, arrow: Arrow, held: Mapping[Arrow, str], depth: int, *, is_last: bool) -> None:
        if arrow in held:
            self._add(depth, f"if {held[arrow]}:")
            depth += 1
        self._target(arrow.target, depth, is_last=is_last)

    def _target(self, name: str, depth: int, *, is_last: bool = True) -> None:
        if name in self._layout.functions:
            self._call_function(name, depth, is_last=is_last)
        else:
            self._steps_from(name, depth)

    def _call_function(self, name: str, depth: int, *, is_last: bool) -> None:
        item = "item" if is_last or not self._uses_events else "item.with_body(event)"
        word = "return " if self._form is Form.LINE else ""
        self._add(depth, f"{word}{self._await}{self._function_name(name)}(event, {item}{self._answers})")

    def _outlets(self, step: PlanStep, depth: int, variable: str) -> None:
        """The handler chooses: arrows are asked in order whether they are among the chosen ones."""
        chooser, chosen = f"{self._identifier(step.name)}_outlets", f"{self._identifier(step.name)}_chosen"
        self._globals[chooser] = _chooser(step)
        self._step_line(step, depth, f"{chosen} = {chooser}(event)", variable)
        if step.answers:
            self._answer(depth)
        for arrow in step.arrows:
            is_last = arrow is step.arrows[-1]
            self._add(depth, f"if {arrow.target!r} in {chosen}:")
            self._target(arrow.target, depth + 1, is_last=is_last)
        if not step.arrows:
            self._add(depth, "pass")

    # --- words ---

    def _call(self, step: PlanStep) -> str:
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

    def _answer(self, depth: int, *, is_late: bool = False) -> None:
        words = {
            Form.LINE: "return event",
            Form.TREE: "answers.late.append(event)" if is_late else "answers.append(event)",
            Form.FUSED: "yield event",
        }
        self._add(depth, words[self._form])

    @property
    def _stop(self) -> str:
        in_loop = self._form is Form.FUSED or self._is_in_loop()
        return "continue" if in_loop else "return None" if self._form is Form.LINE else "return"

    def _is_in_loop(self) -> bool:
        """Whether the line to be written stands in a `for` of the function being written."""
        depth = len(self._lines[-1]) - len(self._lines[-1].lstrip())
        for line in reversed(self._lines):
            indent = len(line) - len(line.lstrip())
            if indent < depth and line.lstrip().startswith(("for ", "async for ")):
                return True
            if indent < depth:
                depth = indent
            if indent == 0:
                break
        return False

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

    def _after_name(self, step: str) -> str:
        return f"after_{self._identifier(step)}"

    def _whole(self, step: PlanStep) -> str:
        return f"{self._identifier(step.name)}_whole"

    def _step_line(self, step: PlanStep, depth: int, text: str, variable: str = "event") -> None:
        self._add(depth, text)
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
        taken |= {word, f"from_{word}", f"after_{word}", f"{word}_whole", f"{word}_outlets", f"{word}_chosen"}
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
