"""The Debugger: a run that is gone through: to a step, to a breakpoint, over and out, on with other values."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nbgraph.debug.breakpoint import Breakpoint, On
from nbgraph.debug.frame import Frame
from nbgraph.debug.nested_stepper import NestedStepper
from nbgraph.debug.redact import is_dotted, restored
from nbgraph.debug.snapshot import snapshot
from nbgraph.debug.step_path import INNER, groups_of, head_of, is_in, require
from nbgraph.debug.stepper import Stepper
from nbgraph.debug.trace import Trace
from nbgraph.engine.compile.bind import predicate_of
from nbgraph.errors import GraphError, NbgraphError
from nbgraph.graph.edge import Condition
from nbgraph.graph.graph import Graph


class Debugger(Stepper):
    """Stands before a step, or at a breakpoint, of the run of one or several events.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper)
    >>> debugger = graph.debug(" hi ")
    >>> debugger.current.step, debugger.next().output, debugger.current.step
    ('strip', 'hi', 'upper')
    >>> debugger.back().step, debugger.resume()
    ('strip', 'HI')
    """

    def __init__(self, graph: Graph, events: Any, *, breakpoints: Sequence[str] = ()) -> None:
        super().__init__(graph, events)
        self.branches: list[Fork] = []
        self._pausing = False
        for name in breakpoints:
            self.break_at(name)

    # --- what came of it ---

    @property
    def answer(self) -> Any:
        """The answer of the event that runs, or ran last; None as long as nothing answered."""
        found = self._walk.answers.all()
        if self._walk.plan.confirms and not self._walk.waiting and self._within is None and self.error is None:
            return {"id": self._walk.event.id}
        return found[0] if found else None

    @property
    def answers(self) -> list[Any]:
        """Every answer of that event so far."""
        return list(self._walk.answers.all())

    @property
    def trace(self) -> Trace:
        """The frames that led here."""
        error = self.redaction.error(self.error)
        return Trace(self._recorder.frames, graph=self.graph, answer=self._keep(self.answer), error=error)

    # --- going through it ---

    def over(self) -> Frame | None:
        """Run what it stands before as one: a step, a router with its routes, an inner graph that begins here."""
        current, frames = self.current, self._recorder.frames
        if current is None or self._within is not None or self._halted is not None:
            self.next()
            return self.current
        last = frames[-1].step if frames and frames[-1].event_id == current.event_id else ""
        begun = [group for group in groups_of(current.step) if not is_in(last, group)]
        if begun:
            self._run(lambda name: not is_in(name, begun[0]))
        else:
            self.next()
        return self.current

    def out(self) -> Frame | None:
        """Run to the end of what it stands in: a router, or an inner graph; elsewhere a single step."""
        around = self.current.step.rpartition(INNER)[0] if self.current is not None else ""
        if around:
            self._run(lambda name: not is_in(name, around))
        else:
            self.next()
        return self.current

    def run_to(self, step: str) -> Frame | None:
        """Run until it stands before the step; earlier breakpoints stop too. None when the step is never reached."""
        require(self.graph, step)
        self._run(lambda name: name == step, step)
        return self.current

    def resume(self) -> Any:
        """Run to the next breakpoint: None, `current` stands there. Else to the end: the answer.

        An error that no handler took rises as in `graph.run`; `back()` then stands before the step that failed.
        """
        self._run()
        return self.answer if self.finished else None

    def pause(self) -> None:
        """From another thread: let a `resume` or `run_to` that is under way stop before its next step."""
        self._pausing = True

    # --- going on otherwise ---

    def rerun(self, step: str) -> Frame | None:
        """Run the step again as it is coded now, on the input that was recorded; later frames become a fork."""
        indices = [index for index, frame in enumerate(self._recorder.frames) if frame.step == step]
        if not indices:
            require(self.graph, step)
            head = head_of(self._walk.plan, step)
            if head != step:
                raise NbgraphError(f'Step "{head}" makes the call "{step}"; rerun("{head}") runs both again.')
            raise NbgraphError(f'Step "{step}" has not run yet; go there first with run_to("{step}").')
        self._fork(step, self._recorder.frames[indices[-1]].input)
        self.back_to(indices[-1])
        self._undone.clear()
        return self.next()

    def set_input(self, value: Any) -> Frame | None:
        """Go on with another input for the step it stands before; the line that is left is kept in `branches`."""
        if self._halted is not None:
            self.back()
        if self._within is not None:
            raise NbgraphError(
                f'"{self._within.step}" gives "{self._within.name}" its input; change the input of '
                f'"{self._within.step}", or what "{self._within.name}" gives.'
            )
        if not self._walk.waiting:
            raise NbgraphError("The run is finished; step back() to the step whose input you want to change.")
        pending = self._walk.waiting[-1]
        value = restored(value, pending.event.body, self.graph.redacted)
        self._fork(pending.step, self._keep(value))
        self._walk.replace_input(value)
        return self.current

    def set_output(self, value: Any) -> Frame | None:
        """Go on as if the step that ran last had given another value; the line that is left is kept in `branches`."""
        if self._within is not None and self._within.ended:
            return self._give(self._within, value)
        if not self._recorder.frames:
            raise NbgraphError("No step has run yet; run one with next(), then change what it gave.")
        frame = self._recorder.frames[-1]
        before = self._pins.values.copy()
        self.pin(frame.step, value)
        try:
            self.back_to(len(self._recorder.frames) - 1)
            self._fork(frame.step, frame.input)
            self.next()
        finally:
            self._pins.values = before
        return self.current

    # --- breakpoints and pins ---

    def break_at(self, step: str, when: Condition | None = None, hits: int = 1, on: str = "before") -> Breakpoint:
        """Stop at a step: before it, after it or on its error; where the condition holds; at every n-th time."""
        require(self.graph, step)
        if not isinstance(hits, int) or hits < 1:
            raise GraphError(f'The breakpoint at "{step}" has hits={hits!r}; expected a whole number of at least 1.')
        if isinstance(when, str):
            _require_expression(step, when)
        condition = predicate_of(when, self.graph.scope.as_own()) if when is not None else None
        text = when if isinstance(when, str) else getattr(when, "__name__", "")
        self.breakpoints[step] = Breakpoint(step, condition, hits, On.of(on), text)
        return self.breakpoints[step]

    def clear(self, step: str) -> None:
        """Take the step's breakpoint away."""
        self.breakpoints.pop(step, None)

    def pin(self, step: str, value: Any) -> None:
        """Let the step give this value from now on, without running."""
        require(self.graph, step)
        if is_dotted(value, self.graph.redacted):
            raise NbgraphError(f'The value to pin at "{step}" has redacted fields; give what they should hold.')
        self._pins.values[step] = snapshot(value)

    def unpin(self, step: str) -> None:
        self._pins.values.pop(step, None)

    @property
    def pins(self) -> dict[str, Any]:
        return dict(self._pins.values)

    # --- inside ---

    def _run(self, until: Callable[[str], bool] = lambda name: False, aim: str = "") -> None:
        self._pausing = False
        while self._forward(aim):
            if self._halted is not None:
                return
            self._raise_unhandled()
            if self._pausing:
                return
            pending = self._next()
            if pending is None:
                continue
            self._counted = True
            if self._stops(*pending) or until(pending[0]):
                return
        self._raise_unhandled()

    def _forward(self, aim: str) -> bool:
        """A move; into a step that has a breakpoint inside, or the aim. False at the end."""
        pending = self._next() if self._halted is None and (aim or self.breakpoints) else None
        if pending is not None and any(is_in(name, pending[0]) for name in (aim, *self.breakpoints)):
            self.into()
            return True
        return self.next() is not None

    def _raise_unhandled(self) -> None:
        if self.error is not None:
            raise self.error

    def _give(self, within: NestedStepper, value: Any) -> Frame | None:
        """Go on as if the call of a step that was made last had given another value."""
        made = within.ended[0]
        self._halted = None
        self._fork(made.step, made.input)
        within.remember(self._marks())
        within.replace(value)
        self._call(lambda key: False)
        return self.current

    def _fork(self, step: str, input: Any) -> None:
        self.branches.append(Fork(step, input, (*self._recorder.frames, *self._undone)))
        self._undone.clear()


def _require_expression(step: str, text: str) -> None:
    try:
        ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise GraphError(f'The condition of the breakpoint at "{step}" is not Python: {text!r}: {error.msg}.') from None


# A Branch: a line of a debugged run that was left.


@dataclass(frozen=True, slots=True)
class Fork:
    """A fork: the step it was made at, the input it got, and the frames of the line that was left."""

    step: str
    input: Any
    frames: tuple[Frame, ...]
