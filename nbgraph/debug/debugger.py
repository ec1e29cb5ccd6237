"""The Debugger: one run, made move by move, forward and back.

It drives a `Walk` as any run does and looks at what waits on its stack. Before each move it keeps a checkpoint (what
waited, what was answered, what steps remembered), so that going back is putting a checkpoint into place.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbgraph.debug.breakpoint import Breakpoint, On
from nbgraph.debug.checkpoint import Checkpoint
from nbgraph.debug.failure import Failure
from nbgraph.debug.frame import Frame
from nbgraph.debug.opening import Opening
from nbgraph.debug.pins import Pins
from nbgraph.debug.preview import snapshot
from nbgraph.debug.recorder import Recorder
from nbgraph.debug.redact import Redaction, is_dotted, restored
from nbgraph.debug.trace import Trace
from nbgraph.engine import loop
from nbgraph.engine.bind import predicate_of
from nbgraph.engine.walk import Walk
from nbgraph.errors import GraphError, NbgraphError, StepError
from nbgraph.event import Event
from nbgraph.graph.edge import Condition
from nbgraph.graph.entry import entering
from nbgraph.graph.graph import Graph


@dataclass(frozen=True, slots=True)
class Branch:
    """A fork: the step it was made at, the input it got, and the frames of the line that was left."""

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
        self.breakpoints: dict[str, Breakpoint] = {}
        self.branches: list[Branch] = []
        self.error: StepError | None = None
        self._pins = Pins()
        self.redaction = Redaction(graph)
        self._keep = self.redaction.keep
        self._recorder = Recorder(self.redaction)
        # One for each frame: the state it started from, and how often the breakpoints had held.
        self._done: list[tuple[Checkpoint, dict[str, int]]] = []
        self._undone: list[Frame] = []  # frames that back() took off, until the run goes over them again
        self._pausing = False
        self._counted = False  # whether the breakpoint of the step it stands before has looked at it
        self._halted: Frame | None = None  # the frame that an `after` or `error` breakpoint stopped at
        self._events = _several(events)
        self._walk = self._enter(self._events.pop(0))
        self._open = Opening()
        weakref.finalize(self, self._open.close).atexit = False
        self._open.tell(self._walk)
        if isinstance(events, Failure):  # it stands before the step that failed, with what was recorded upstream
            self._walk.stand_before(events.step, snapshot(events.input))
        for name in breakpoints:
            self.break_at(name)

    # --- where it stands ---

    @property
    def current(self) -> Frame | None:
        """The frame about to run, its input known; None when all is done.

        At an `after` or `error` breakpoint it is the frame that stopped, with what came of it.
        """
        if self._halted is not None:
            return self._halted
        if not self._walk.waiting:
            return None
        pending = self._walk.waiting[-1]
        visit = pending.visit or self._walk.visits.get(pending.step, 0) + 1
        return Frame(pending.event.id, pending.step, visit, self._keep(pending.event.body))

    @property
    def finished(self) -> bool:
        return self.current is None

    @property
    def answer(self) -> Any:
        """The answer of the event that runs, or ran last; None as long as nothing answered."""
        found = self._walk.answers.all()
        if self._walk.plan.confirms and not self._walk.waiting and self.error is None:
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

    # --- moving ---

    def next(self) -> Frame | None:
        """Run the step it stands before; the frame just run, with its error if it failed. None at the end."""
        if self._halted is not None:
            self._halted = None
            self._begin_next_event()
        if not self._walk.waiting:
            return None
        seen = {name: one.seen for name, one in self.breakpoints.items()}
        if not self._counted:  # it stands there already: that counts as a time, and is no reason to stop
            self._stops(self._walk.waiting[-1].step, On.BEFORE, self._walk.waiting[-1].event)
        self._counted, self.error = False, None
        self._walk.plan = self.graph.plan()  # code that was changed in the meantime takes effect
        self._require_steps()
        self._done.append((Checkpoint.of(self._walk, self.error, self._events), seen))
        made = len(self._recorder.frames)
        try:
            self._complete(self._walk.advance())
            self._complete(self._walk.settle())
        except StepError as error:
            self.error = error
            self._walk.waiting.clear()
        self._open.tell(self._walk, self.error)
        if len(self._recorder.frames) == made:  # a step had no further result: nothing ran
            self._done.pop()
            return self.next()
        frame = self._recorder.frames[made]
        del self._undone[:1]
        self._halt_at(frame)
        if self._halted is None:
            self._begin_next_event()
        return frame

    def back(self) -> Frame | None:
        """Undo the last move; stands before that step again."""
        if not self._done:
            return self.current
        self._halted, self._counted = None, False
        checkpoint, seen = self._done.pop()
        self._walk, self.error, self._events = checkpoint.restored(self._walk.observers)
        for name, count in seen.items():
            if name in self.breakpoints:
                self.breakpoints[name].seen = count
        self._undone.insert(0, self._recorder.frames.pop())
        self._open.tell(self._walk)
        return self.current

    def run_to(self, step: str) -> Frame | None:
        """Run until it stands before the step; earlier breakpoints stop too. None when the step is never reached."""
        self.graph.spec(step)
        self._run(until=step)
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

    def rerun(self, step: str) -> Frame | None:
        """Run the step again as it is coded now, on the input that was recorded; later frames become a fork."""
        indices = [index for index, frame in enumerate(self._recorder.frames) if frame.step == step]
        if not indices:
            self.graph.spec(step)
            raise NbgraphError(f'Step "{step}" has not run yet; go there first with run_to("{step}").')
        self._fork(step, self._recorder.frames[indices[-1]].input)
        while len(self._recorder.frames) > indices[-1]:
            self.back()
        self._undone.clear()
        return self.next()

    def set_input(self, value: Any) -> Frame | None:
        """Go on with another input for the step it stands before; the line that is left is kept in `branches`."""
        if self._halted is not None:
            self.back()
        if not self._walk.waiting:
            raise NbgraphError("The run is finished; step back() to the step whose input you want to change.")
        pending = self._walk.waiting[-1]
        value = restored(value, pending.event.body, self.graph.redacted)
        self._fork(pending.step, self._keep(value))
        self._walk.replace_input(value)
        return self.current

    def set_output(self, value: Any) -> Frame | None:
        """Go on as if the step that ran last had given another value; the line that is left is kept in `branches`."""
        if not self._recorder.frames:
            raise NbgraphError("No step has run yet; run one with next(), then change what it gave.")
        frame = self._recorder.frames[-1]
        before = self._pins.values.copy()
        self.pin(frame.step, value)
        try:
            self.back()
            self._fork(frame.step, frame.input)
            self.next()
        finally:
            self._pins.values = before
        return self.current

    # --- breakpoints and pins ---

    def break_at(self, step: str, when: Condition | None = None, hits: int = 1, on: str = "before") -> Breakpoint:
        """Stop at a step: before it, after it or on its error; where the condition holds; at every n-th time."""
        self.graph.spec(step)
        if not isinstance(hits, int) or hits < 1:
            raise GraphError(f'The breakpoint at "{step}" has hits={hits!r}; expected a whole number of at least 1.')
        condition = predicate_of(when, self.graph.scope) if when is not None else None
        text = when if isinstance(when, str) else getattr(when, "__name__", "")
        self.breakpoints[step] = Breakpoint(step, condition, hits, On.of(on), text)
        return self.breakpoints[step]

    def clear(self, step: str) -> None:
        """Take the step's breakpoint away."""
        self.breakpoints.pop(step, None)

    def pin(self, step: str, value: Any) -> None:
        """Let the step give this value from now on, without running."""
        self.graph.spec(step)
        if is_dotted(value, self.graph.redacted):
            raise NbgraphError(f'The value to pin at "{step}" has redacted fields; give what they should hold.')
        self._pins.values[step] = snapshot(value)

    def unpin(self, step: str) -> None:
        self._pins.values.pop(step, None)

    @property
    def pins(self) -> dict[str, Any]:
        return dict(self._pins.values)

    # --- inside ---

    def _enter(self, event: Event) -> Walk:
        observers = [self._pins, self._recorder, *self.graph.observers]
        return Walk(self.graph.plan(), event, observers, keeps_chunks=True)

    def _begin_next_event(self) -> None:
        if not self._walk.waiting and self._events and self._halted is None:
            self._walk = self._enter(self._events.pop(0))
            self._open.tell(self._walk)

    def _run(self, until: str | None = None) -> None:
        self._pausing = False
        while self.next() is not None:
            if self._halted is not None:
                return
            self._raise_unhandled()
            if self._pausing:
                return
            pending = self._walk.waiting[-1] if self._walk.waiting else None
            if pending is None:
                continue
            self._counted = True
            if self._stops(pending.step, On.BEFORE, pending.event) or pending.step == until:
                return
        self._raise_unhandled()

    def _raise_unhandled(self) -> None:
        if self.error is not None:
            raise self.error

    def _stops(self, step: str, on: On, event: Event) -> bool:
        found = self.breakpoints.get(step)
        return found is not None and found.on is on and found.stops(event.body)

    def _halt_at(self, frame: Frame) -> None:
        found = self.breakpoints.get(frame.step)
        if found is None or found.on is On.BEFORE:
            return
        failed = frame.error is not None
        if (found.on is On.ERROR) == failed and found.stops(frame.input if failed else frame.output):
            self._halted = frame

    def _fork(self, step: str, input: Any) -> None:
        self.branches.append(Branch(step, input, (*self._recorder.frames, *self._undone)))
        self._undone.clear()

    def _complete(self, coroutine: Any) -> Any:
        return (loop.complete if self._walk.plan.is_async else loop.without_waiting)(coroutine)

    def _require_steps(self) -> None:
        for pending in self._walk.waiting:
            if pending.step not in self._walk.plan.steps:
                raise GraphError(
                    f'Step "{pending.step}", which runs next, is no longer in graph "{self.graph.name}"; '
                    "step back() to before it, or start again with graph.debug()."
                )


def _several(events: Any) -> list[Event]:
    """A list made of Events only is several events; anything else is the body of one, or one Event."""
    if isinstance(events, Failure):
        return [entering(events.event)]
    if isinstance(events, list) and events and all(isinstance(event, Event) for event in events):
        return [entering(event) for event in events]
    return [entering(events)]
