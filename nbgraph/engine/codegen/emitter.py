"""Emitter: a plan as readable Python functions, called in the interpreter's order: depth first, edges in order."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from nbgraph.body import Copier
from nbgraph.engine.codegen.layout import FunctionLayout, is_choice
from nbgraph.engine.codegen.source import CodeForm, Place, SourceBuffer
from nbgraph.engine.codegen.traceback import TracebackMap
from nbgraph.engine.plan import Arrow, PlanStep, Taps
from nbgraph.types import Shape

RESULT = "result()"  # the result of a concurrent step's call


class Emitter:
    """Writes the functions of one form, and records which line calls which step."""

    def __init__(
        self,
        graph: str,
        layout: FunctionLayout,
        form: CodeForm,
        uses_events: bool,
        is_async: bool,
        copier: Copier | None,
        *,
        is_routed: bool = False,
        taps: Taps | None = None,
        counts: dict[tuple[str, str], int] | None = None,
    ) -> None:
        self._taps = taps or {}
        self._page = SourceBuffer(graph, layout, form, uses_events, is_async, copier)
        self._counts = counts  # of the events that go along each edge, to which a fused loop adds when it ends
        counted = layout.edges() if counts is not None else []
        self._numbers = {edge: self._page.words.made(edge[0], "count", str(at)) for at, edge in enumerate(counted)}
        self._layout, self._form, self._graph = layout, form, graph
        self._is_routed = is_routed  # an event enters by one of the starts
        self._write()
        self.source = "\n".join(self._page.lines)

    def made(self) -> tuple[Any, dict[str, Any]]:
        """The entry function, and the functions that take up what steps released."""
        filename = f"<nbgraph {self._graph} {self._form.value}>"
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(keepends=True), filename)
        failure = TracebackMap(filename, self._page.calls, self._layout.steps)
        self._page.globals.update(failed=failure.failed, handle=failure.handled)
        exec(compile(self.source, filename, "exec"), self._page.globals)
        after = {
            name: self._page.globals[self._page.after(name)]
            for name, step in self._layout.steps.items()
            if step.call.release is not None and self._form is not CodeForm.FUSED
        }
        failure.handlers.update(
            {name: self._page.globals[self._page.function(name)] for name in self._layout.functions}
        )
        return self._page.globals[self._page.entry], after

    def takes(self) -> dict[str, Any]:
        """The functions that resume events parked at a concurrent step."""
        return {
            name: self._page.globals[self._page.take(name)]
            for name in self._layout.steps
            if name in self._layout.stages
        }

    # --- functions ---

    def _write(self) -> None:
        layout = self._layout
        for name in layout.functions:
            self._function(self._page.function(name), partial(self._steps_from, name))
        for step in layout.steps.values():
            if layout.has_after(step) and self._form is not CodeForm.FUSED:
                self._function(self._page.after(step.name), partial(self._after_step, step))
        for name in layout.steps:
            if name in layout.stages:
                self._function(self._page.take(name), partial(self._take, name), ", result")
        if self._form is CodeForm.FUSED:
            self._fused(self._page.entry)
        else:
            self._function(self._page.entry, self._enter)

    def _enter(self, place: Place) -> None:
        if self._is_routed:
            for name in self._layout.starts:
                self._page.add(place.depth, f"if item.entry == {name!r}:")
                self._target("", name, place.inner(), is_last=True)
            return
        *others, last = self._layout.starts
        for name in others:
            self._tell("", name, place)
            self._call_function(name, place, is_last=False, body=self._page.copied)
        self._tell("", last, place)
        self._steps_from(last, place)

    def _tell(self, source: str, target: str, place: Place) -> None:
        """The line that tells the tap of an edge, where it has one."""
        tap = self._taps.get((source, target))
        if tap is not None:
            self._page.add(place.depth, f"{self._page.tap(source, target, tap)}(event, item)")
        if self._counts is not None:
            self._page.add(place.depth, f"{self._numbers[source, target]} += 1")

    def _after_step(self, step: PlanStep, place: Place) -> None:
        self._go_on(step, place)

    def _take(self, name: str, place: Place) -> None:
        """Continue with the result of a concurrent step's call: `result()` returns it, or raises its error."""
        self._steps_from(name, replace(place, resumed=name))

    def _function(self, name: str, write: Callable[[Place], None], more: str = "") -> None:
        if self._page.lines:
            self._page.lines += ["", ""]
        word = "async def" if self._page.is_async else "def"
        answers = "" if self._form is CodeForm.LINE else ", answers"
        item = "item=None" if self._form is CodeForm.LINE else "item"
        self._page.add(0, f"{word} {name}(event, {item}{answers}{more}):")
        self._page.add(1, "try:")
        write(Place(2, "return None" if self._form is CodeForm.LINE else "return"))
        self._page.add(1, "except own() as error:")
        self._except(Place(2, ""))

    def _except(self, place: Place) -> None:
        if not self._layout.has_handlers:
            self._page.add(place.depth, "raise failed(error, locals())")
            return
        self._page.add(place.depth, "handler, event, item = handle(error, locals())")
        self._page.add(place.depth, f"return {self._page.wait}handler(event, item{self._page.answers})")

    def _fused(self, entry: str) -> None:
        self._page.lines += ["", ""] if self._page.lines else []
        self._page.add(0, f"def {entry}(events):")
        self._page.add(1, "item = None")
        if self._counts is not None and self._numbers:
            self._page.add(1, f"{' = '.join(self._numbers.values())} = 0")
        self._page.add(1, "try:")
        self._page.add(2, "for event in events:")
        self._page.add(3, "if type(event) in RAW:")  # inline, not in a function: most streams have no such rows
        self._page.add(4, "event = body_of(event)")
        self._steps_from(self._layout.starts[0], Place(3, "continue"))
        if not any(line.lstrip().startswith("yield") for line in self._page.lines):
            self._page.add(2, "yield from ()")  # every step holds back: still a generator
        self._page.add(1, "except own() as error:")
        self._page.add(2, "raise failed(error, locals())")
        if self._counts is not None:
            self._page.globals["counted"] = partial(_add, self._counts, tuple(self._numbers))
            self._page.add(1, "finally:")
            self._page.add(2, f"counted([{', '.join(self._numbers.values())}])")

    # --- steps ---

    def _steps_from(self, name: str, place: Place) -> None:
        """Write a step and all that follows it in a straight line."""
        following: str | None = name
        while following is not None:
            step = self._layout.steps[following]
            is_made = following == place.resumed
            if following in self._layout.stages and not is_made:
                self._page.add(place.depth, f"answers.park({following!r}, event, item)")
                return
            call = RESULT if is_made else self._page.call(step)
            place = replace(place, resumed=None)  # another path to the same step parks again
            if self._layout.is_loop(step):
                self._loop(step, place, call)
                return
            self._one(step, place, call)
            if step.call.shape is Shape.HOLD:
                return
            following = self._go_on(step, place, is_chained=True)

    def _one(self, step: PlanStep, place: Place, call: str) -> None:
        """The line that calls a step."""
        shape = step.call.shape
        if shape is Shape.FILTER:
            self._page.add_call(step, place, f"if not {call}:")
            self._page.add(place.depth + 1, place.stop)
        elif shape in (Shape.EACH, Shape.HOLD):
            self._page.add_call(step, place, call)
        elif shape is Shape.EVENT:
            if call != RESULT:  # a concurrent step's call has been made, and may have changed the event
                self._page.add(place.depth, "item.body = event")
            self._page.add_call(step, place, f"item = passed({call}, item)")
            self._page.add(place.depth, "event = item.body")
        elif step.call.result_path:
            self._page.add_call(step, place, f"event = put(event, {step.call.result_path!r}, {call})")
        else:
            self._page.add_call(step, place, f"event = {call}")
        if step.call.hands_over and self._page.copies:
            self._page.add(place.depth, f"event = {self._page.copied}")

    def _loop(self, step: PlanStep, place: Place, call: str) -> None:
        """A step that makes several results: what follows runs for each before the next is drawn."""
        words, by_event = self._page.words, step.call.shape is Shape.EVENTS
        whole, item = words.made(step.name, "whole"), words.made(step.name, "whole", "item")
        self._page.add(place.depth, f"{whole} = event")
        kept = item if self._page.uses_events else "item"
        if self._page.uses_events:
            self._page.add(place.depth, f"{item} = item")
        if by_event:
            if call != RESULT:
                self._page.add(place.depth, "item.body = event")
            call, variable = f"every({call}, item)", "item"
        else:
            variable = "event"
        word = "async for" if step.call.draws_async else "for"
        self._page.add_call(step, place, f"{word} {variable} in {call}:", whole, kept)
        if by_event:
            self._page.add(place.depth + 1, "event = item.body")
        if self._page.copies and not step.call.results_are_new:  # the step may keep its result, and return it again
            self._page.add(place.depth + 1, "if type(event) not in SCALARS:")
            self._page.add(place.depth + 2, f"event = {self._page.copied}")
        if not by_event and self._page.uses_events:
            self._page.add(place.depth + 1, f"item = {item}.with_body(event)")
        if step.call.result_path and not by_event:
            self._page.add_call(
                step, place.inner(), f"event = put({whole}, {step.call.result_path!r}, event)", whole, kept
            )
        if self._layout.has_after(step) and self._form is not CodeForm.FUSED:
            name = self._page.after(step.name)
            self._page.add(place.depth + 1, f"{self._page.wait}{name}(event, item{self._page.answers})")
        else:
            self._go_on(step, place.loop())

    def _go_on(self, step: PlanStep, place: Place, *, is_chained: bool = False) -> str | None:
        """Write what follows a step's result; return the name of the next step if the caller writes it."""
        if not step.arrows:
            self._tell(step.name, "", place)
        if step.is_responder:
            self._answer(place, self._page.copied if step.arrows else "event")
        elif step.is_rescue:
            self._answer(place, "event", is_late=True)
        if step.call.outlets is not None:
            self._outlets(step, place)
            return None
        arrows = step.arrows
        if not arrows:
            if self._form is not CodeForm.LINE and not (step.is_responder or step.is_rescue):
                self._page.add(place.depth, "pass")
            return None
        if is_choice(arrows):
            self._choice(step, place)
            return None
        held = self._conditions(step, place)
        for number, arrow in enumerate(arrows[:-1]):
            body = self._page.body_beside(self._later(arrow, arrows[number + 1 :], held))
            self._arrow(step, arrow, held, place, is_last=False, body=body)
        last = arrows[-1]
        if last.target in self._layout.functions or last in held:
            self._arrow(step, last, held, place, is_last=True)
            return None
        self._tell(step.name, last.target, place)
        if is_chained:
            return last.target
        self._steps_from(last.target, place)
        return None

    def _choice(self, step: PlanStep, place: Place) -> None:
        held = next(arrow for arrow in step.arrows if arrow.test is not None)
        self._page.add_call(step, place, f"if {self._page.test(step, held)}:", arrow=held)
        self._target(step.name, held.target, place.inner())
        for arrow in step.arrows:
            if arrow.otherwise:
                self._page.add(place.depth, "else:")
                self._target(step.name, arrow.target, place.inner())

    def _conditions(self, step: PlanStep, place: Place) -> dict[Arrow, str]:
        """Evaluate all conditions before any branch runs; return the test of each arrow."""
        held: dict[Arrow, str] = {}
        for number, arrow in enumerate(step.arrows):
            if arrow.test is not None:
                held[arrow] = self._page.words.made(step.name, "is", str(number))
                text = f"{held[arrow]} = bool({self._page.test(step, arrow)})"
                self._page.add_call(step, place, text, arrow=arrow)
        none_held = f"not ({' or '.join(held.values())})"
        return held | {arrow: none_held for arrow in step.arrows if arrow.otherwise}

    def _later(self, arrow: Arrow, later: Sequence[Arrow], held: Mapping[Arrow, str]) -> str | None:
        """When an event on this arrow goes on along a later one as well: "" always, None never."""
        if any(one not in held for one in later):
            return ""
        words = [held[one] for one in later if not (one.otherwise or arrow.otherwise)]
        return " or ".join(words) or None

    def _arrow(
        self,
        step: PlanStep,
        arrow: Arrow,
        held: Mapping[Arrow, str],
        place: Place,
        *,
        is_last: bool,
        body: str = "event",
    ) -> None:
        if arrow in held:
            self._page.add(place.depth, f"if {held[arrow]}:")
            place = place.inner()
        self._target(step.name, arrow.target, place, is_last=is_last, body=body)

    def _target(self, source: str, name: str, place: Place, *, is_last: bool = True, body: str = "event") -> None:
        self._tell(source, name, place)
        if name in self._layout.functions:
            self._call_function(name, place, is_last=is_last, body=body)
        else:
            self._steps_from(name, place)

    def _call_function(self, name: str, place: Place, *, is_last: bool, body: str = "event") -> None:
        item = "item" if is_last or not self._page.uses_events else "item.with_body(event)"
        word = "return " if self._form is CodeForm.LINE else ""
        self._page.add(
            place.depth, f"{word}{self._page.wait}{self._page.function(name)}({body}, {item}{self._page.answers})"
        )

    def _outlets(self, step: PlanStep, place: Place) -> None:
        """The handler chooses: each arrow is tested in order for being chosen."""
        chooser, chosen = self._page.chooser(step), self._page.words.made(step.name, "chosen")
        self._page.add_call(step, place, f"{chosen} = {chooser}(event)")
        for arrow in step.arrows:
            is_last = arrow is step.arrows[-1]
            self._page.add(place.depth, f"if {arrow.target!r} in {chosen}:")
            body = "event" if is_last else self._page.body_beside(f"len({chosen}) > 1")
            self._target(step.name, arrow.target, place.inner(), is_last=is_last, body=body)
        if not step.arrows:
            self._page.add(place.depth, "pass")

    def _answer(self, place: Place, body: str, *, is_late: bool = False) -> None:
        words = {CodeForm.LINE: f"return {body}", CodeForm.FUSED: f"yield {body}"}
        appended = f"answers.late.append({body})" if is_late else f"answers.append({body})"
        self._page.add(place.depth, words.get(self._form, appended))


def _add(counts: dict[tuple[str, str], int], edges: Sequence[tuple[str, str]], numbers: Sequence[int]) -> None:
    for edge, number in zip(edges, numbers, strict=True):
        counts[edge] = counts.get(edge, 0) + number
