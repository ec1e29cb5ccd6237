"""The Debugger: a run under control: to a step, to a breakpoint, into and out of steps, back, on with other values."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nbgraph.debug.breakpoint import Breakpoint, Breakpoints, On
from nbgraph.debug.copies import snapshot
from nbgraph.debug.frame import Frame
from nbgraph.debug.redact import Redaction, is_dotted, restored
from nbgraph.debug.step_path import INNER, groups_of, head_of, is_in, require
from nbgraph.debug.stepper import Stepper
from nbgraph.debug.trace import Trace
from nbgraph.engine.compile.bind import predicate_of
from nbgraph.engine.interruptible import InterruptibleCalls
from nbgraph.errors import GraphError, NbgraphError, StepError
from nbgraph.graph.edge import Condition
from nbgraph.graph.graph import Graph


@dataclass(frozen=True, slots=True)
class Fork:
    """A line of the run that was left: the step where, the input that the new line gets there, the frames of the old.

    `Debugger.branches` lists them.
    """

    step: str
    input: Any
    frames: tuple[Frame, ...]


class Debugger:
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
        self.graph = graph
        self.redaction = Redaction(graph)
        self.branches: list[Fork] = []
        self._stepper = Stepper(graph, events, self.redaction)
        self._is_pausing = False
        for name in breakpoints:
            self.break_at(name)

    # --- position ---

    @property
    def current(self) -> Frame | None:
        """The frame about to run, its input known; None when all is done.

        At an `after` or `error` breakpoint it is the frame that stopped, with its result.
        """
        return self._stepper.current

    @property
    def finished(self) -> bool:
        return self.current is None

    @property
    def at(self) -> str:
        """The name of the step that it stands before, or has entered; empty when all is done."""
        if self._stepper.nested is not None:
            return self._stepper.nested.step
        return self.current.step if self.current is not None else ""

    @property
    def inside(self) -> tuple[Frame, ...]:
        """The calls made so far by the step that was entered; empty where it stands before a step."""
        return self._stepper.nested.frames if self._stepper.nested is not None else ()

    @property
    def last(self) -> Frame | None:
        """The frame of the last move; None at the start."""
        return self._stepper.last

    @property
    def error(self) -> StepError | None:
        """The error that ended the event's run, since no handler took it."""
        return self._stepper.error

    @property
    def answer(self) -> Any:
        """The answer of the event that runs, or ran last; None as long as nothing answered."""
        run = self._stepper.interpreter
        found = run.answers.all()
        if run.plan.confirms and not run.waiting and self._stepper.nested is None and self.error is None:
            return {"id": run.event.id}
        return found[0] if found else None

    @property
    def answers(self) -> list[Any]:
        """Every answer of that event so far."""
        return list(self._stepper.interpreter.answers.all())

    @property
    def trace(self) -> Trace:
        """The frames that led here."""
        error = self.redaction.error(self.error)
        return Trace(self._stepper.frames, graph=self.graph, answer=self.redaction.keep(self.answer), error=error)

    # --- single moves ---

    def next(self) -> Frame | None:
        """Run the step it stands before; the frame just run, with its error if it failed. None at the end.

        Within a step (see `into`) that is the next of its calls.
        """
        return self._stepper.next()

    def into(self) -> Frame | None:
        """Go into the step it stands before: stands before the first call that it makes, as a router of its routes.

        A step that calls nothing, and one of an inner graph, runs as with `next`. Within a step, `next` makes the call
        it stands before, `out` all that are left, `back` undoes the last. The step's own code runs again at each move.
        """
        self._stepper.into()
        return self.current

    def back(self) -> Frame | None:
        """Undo the last move; stands before that step again.

        A move can't be undone whose step got, or remembers, what can't be copied: it would find that used up.
        """
        self._stepper.back()
        return self.current

    def back_to(self, index: int) -> Frame | None:
        """Undo everything back to where the trace had so many frames; stands before the step of the next one.

        Parameters
        ----------
        index
            Number of frames that stay.
        """
        self._stepper.back_to(index)
        return self.current

    # --- several moves ---

    def over(self) -> Frame | None:
        """Run what it stands before as one: a step, a router with its routes, an inner graph that begins here."""
        current, frames = self.current, self._stepper.frames
        if current is None or self._stepper.nested is not None or self._stepper.halted is not None:
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
        """Run until it stands before the step; earlier breakpoints stop too. None when the step is never reached.

        Parameters
        ----------
        step
            Name of the step.
        """
        require(self.graph, step)
        self._run(lambda name: name == step, step)
        return self.current

    def resume(self) -> Any:
        """Run to the next breakpoint: None, `current` stands there. Else to the end: the answer.

        An error that no handler took rises as in `graph.run`; `back()` then stands before the step that failed.
        """
        self._run()
        return self.answer if self.finished else None

    def make_calls_by(self, calls: InterruptibleCalls) -> None:
        """Let another thread make the calls of steps, so that one can be interrupted while this one waits for it.

        An interrupted move is undone: it stands before the step again.

        Parameters
        ----------
        calls
            Who makes them.
        """
        self._stepper.calls = calls

    def pause(self) -> None:
        """From another thread: let a `resume` or `run_to` that is under way stop before its next step."""
        self._is_pausing = True

    def _run(self, until: Callable[[str], bool] = lambda name: False, target: str = "") -> None:
        """Make moves up to a breakpoint, or until the name of what stands next says so; `target` is that name."""
        self._is_pausing = False
        stepper = self._stepper
        while self._advance(target):
            if stepper.halted is not None:
                return
            self._raise_unhandled()
            if self._is_pausing:
                return
            upcoming = stepper.upcoming
            if upcoming is None:
                continue
            stepper.breakpoints.is_evaluated = True
            if stepper.breakpoints.stops_before(*upcoming) or until(upcoming[0]):
                return
        self._raise_unhandled()

    def _advance(self, target: str) -> bool:
        """A move; into a step that has a breakpoint, or the target, inside. False at the end."""
        stepper = self._stepper
        upcoming = stepper.upcoming if stepper.halted is None and (target or stepper.breakpoints) else None
        if upcoming is not None and any(is_in(name, upcoming[0]) for name in (target, *stepper.breakpoints)):
            stepper.into()
            return True
        return stepper.next() is not None

    def _raise_unhandled(self) -> None:
        if self._stepper.error is not None:
            raise self._stepper.error

    # --- forks ---

    def rerun(self, step: str) -> Frame | None:
        """Run the step again as it is coded now, on the input that was recorded; later frames become a fork.

        Parameters
        ----------
        step
            Name of the step.
        """
        frames = self._stepper.frames
        indices = [index for index, frame in enumerate(frames) if frame.step == step]
        if not indices:
            require(self.graph, step)
            head = head_of(self._stepper.interpreter.plan, step)
            if head != step:
                raise NbgraphError(f'Step "{head}" makes the call "{step}"; rerun("{head}") runs both again.')
            raise NbgraphError(f'Step "{step}" has not run yet; go there first with run_to("{step}").')
        self._fork(step, frames[indices[-1]].input)
        self.back_to(indices[-1])
        self._stepper.undone.clear()
        return self.next()

    def set_input(self, value: Any) -> Frame | None:
        """Go on with another input for the step it stands before; the line that is left is kept in `branches`.

        Parameters
        ----------
        value
            New input.
        """
        if self._stepper.halted is not None:
            self.back()
        nested, run = self._stepper.nested, self._stepper.interpreter
        if nested is not None:
            raise NbgraphError(
                f'"{nested.step}" gives "{nested.name}" its input; change the input of '
                f'"{nested.step}", or what "{nested.name}" gives.'
            )
        if not run.waiting:
            raise NbgraphError("The run is finished; step back() to the step whose input you want to change.")
        pending = run.waiting[-1]
        value = restored(value, pending.event.body, self.graph.redacted)
        self._fork(pending.step, self.redaction.keep(value))
        run.replace_input(value)
        return self.current

    def set_output(self, value: Any) -> Frame | None:
        """Go on as if the step that ran last had given another value; the line that is left is kept in `branches`.

        Parameters
        ----------
        value
            New output.
        """
        stepper = self._stepper
        if stepper.nested is not None and stepper.nested.ended:
            call = stepper.nested.ended[0]
            self._fork(call.step, call.input)
            stepper.replace_output(stepper.nested, value)
            return self.current
        if not stepper.frames:
            raise NbgraphError("No step has run yet; run one with next(), then change what it gave.")
        frame = stepper.frames[-1]
        before = stepper.pins.values.copy()
        self.pin(frame.step, value)
        try:
            self.back_to(len(stepper.frames) - 1)
            self._fork(frame.step, frame.input)
            self.next()
        finally:
            stepper.pins.values = before
        return self.current

    def _fork(self, step: str, input: Any) -> None:
        stepper = self._stepper
        self.branches.append(Fork(step, input, (*stepper.frames, *stepper.undone)))
        stepper.undone.clear()

    # --- breakpoints and pins ---

    @property
    def breakpoints(self) -> Breakpoints:
        """The breakpoints by step name."""
        return self._stepper.breakpoints

    def break_at(self, step: str, when: Condition | None = None, hits: int = 1, on: str = "before") -> Breakpoint:
        """Stop at a step: before it, after it or on its error; where the condition holds; at every n-th time.

        Parameters
        ----------
        step
            Name of the step.
        when
            Predicate of the body, or an expression over `event`.
        hits
            Stops at every n-th time that the condition holds.
        on
            `"before"`, `"after"` or `"error"`.
        """
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
        """Remove the step's breakpoint.

        Parameters
        ----------
        step
            Name of the step.
        """
        self.breakpoints.pop(step, None)

    def pin(self, step: str, value: Any) -> None:
        """Let the step give this value from now on, without running.

        Parameters
        ----------
        step
            Name of the step.
        value
            What it gives.
        """
        require(self.graph, step)
        if is_dotted(value, self.graph.redacted):
            raise NbgraphError(f'The value to pin at "{step}" has redacted fields; give what they should hold.')
        self._stepper.pins.values[step] = snapshot(value)

    def unpin(self, step: str) -> None:
        """Let the step run again.

        Parameters
        ----------
        step
            Name of the step.
        """
        self._stepper.pins.values.pop(step, None)

    @property
    def pins(self) -> dict[str, Any]:
        """The pinned values by step name."""
        return dict(self._stepper.pins.values)


def _require_expression(step: str, text: str) -> None:
    try:
        ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise GraphError(f'The condition of the breakpoint at "{step}" is not Python: {text!r}: {error.msg}.') from None
