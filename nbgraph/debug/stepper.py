"""The Stepper: one run, executed step by step, forward and back.

It drives an `Interpreter` as any run does and looks at what waits on its stack. Before each step it takes a checkpoint
(what waited, what was answered, what the step remembered), so that going back means restoring a checkpoint. Behind the
last of several events come the results that steps still hold, as at the end of a stream. A step that calls others, such
as a router its routes, can be entered: see `NestedStepper`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from msgspec.structs import replace

from nbgraph.debug.breakpoint import NOT_EVALUATED, BreakpointMarks, Breakpoints, Pins
from nbgraph.debug.checkpoint import Checkpoint, Checkpoints
from nbgraph.debug.copies import Copies, UncopiedError, snapshot
from nbgraph.debug.frame import Frame
from nbgraph.debug.nested_stepper import CallKey, NestedStepper
from nbgraph.debug.pending_events import Lifecycle, PendingEvents
from nbgraph.debug.recorder import Recorder
from nbgraph.debug.redact import Redaction
from nbgraph.debug.state_history import StateChange, StateHistory
from nbgraph.debug.trace import Trace
from nbgraph.engine import loop
from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.interruptible import InterruptibleCalls
from nbgraph.engine.plan import Plan
from nbgraph.errors import GraphError, NbgraphError, StepError
from nbgraph.event import Event
from nbgraph.failure import Failure
from nbgraph.graph.graph import Graph


class _MoveStart(msgspec.Struct, frozen=True):  # one for each move
    """The state that a move started from; `frames` is how many there were.

    `nested` is the step that was entered at this move.
    """

    checkpoint: Checkpoint
    changes: tuple[StateChange, ...]
    frames: int
    events: PendingEvents
    marks: BreakpointMarks
    nested: NestedStepper | None = None

    @property
    def frame(self) -> Frame:
        """The frame of the move's step as it began."""
        pending = self.checkpoint.top.pending
        visit = pending.visit or self.checkpoint.visits + 1
        return Frame(pending.event.id, pending.step, visit, pending.event.body)

    @property
    def obstacle(self) -> str:
        """Why it can't be restored; empty where it can."""
        uncopied = [change.copy.why for change in self.changes if change.step == self.checkpoint.step]
        what = "its input" if self.checkpoint.top.why else "what it remembers"
        why = next(filter(None, (self.checkpoint.top.why, *uncopied)), "")
        return why and f"{what} can't be copied ({why})"


class Stepper:
    """Stands before a step of the run of one or several events, or before a call that an entered step makes itself.

    `interpreter` executes the event under way, `nested` the calls of the step that was entered, `frames` is what ran so
    far, `halted` the frame that an `after` or `error` breakpoint stopped at, `error` the one that no handler took.
    `undone` are the frames that `back` took off, until the run goes over them again.
    """

    def __init__(self, graph: Graph, events: Any, redaction: Redaction) -> None:
        self.graph = graph
        self.breakpoints, self.pins = Breakpoints(), Pins()
        self.nested: NestedStepper | None = None
        self.halted: Frame | None = None
        self.error: StepError | None = None
        self.undone: list[Frame] = []
        self.calls: InterruptibleCalls | None = None  # who makes them, where they are to be left behind if need be
        self._is_moving = False
        self._keep = redaction.keep
        self._recorder = Recorder(redaction)
        self.frames = self._recorder.frames
        self._copies = Copies(graph.plan())
        self._checkpoints, self._states = Checkpoints(self._copies), StateHistory(self._copies)
        self._moves: list[_MoveStart] = []  # one for each move, and one for the entered step
        first, self._events = PendingEvents.of(events)
        place = _place_of(events)
        self.interpreter = self._interpreter_of(first, enters=place is None)
        self._lifecycle = Lifecycle()
        weakref.finalize(self, self._lifecycle.close).atexit = False
        weakref.finalize(self, self._states.release).atexit = False
        self._lifecycle.update(self.interpreter)
        if place is not None:  # it stands before the step that failed, with what was recorded upstream
            self.interpreter.stand_before(place[0], snapshot(place[1]))

    # --- position ---

    @property
    def current(self) -> Frame | None:
        """The frame about to run, its input known; None when all is done.

        At an `after` or `error` breakpoint it is the frame that stopped, with its result.
        """
        if self.halted is not None:
            return self.halted
        if self._is_moving:
            frame = self._moves[-1].frame
            return replace(frame, input=self._keep(frame.input))
        interpreter, nested = self.interpreter, self.nested
        if nested is not None and nested.progress.stop is not None:
            return Frame(interpreter.event.id, nested.name, nested.visit, self._keep(nested.progress.stop.input))
        if not interpreter.waiting:
            return None
        pending = interpreter.waiting[-1]
        visit = pending.visit or interpreter.visits.get(pending.step, 0) + 1
        return Frame(pending.event.id, pending.step, visit, self._keep(pending.event.body))

    @property
    def upcoming(self) -> tuple[str, Any] | None:
        """The name and the body of what runs next; None where nothing waits."""
        if self.nested is not None and self.nested.progress.stop is not None:
            return self.nested.name, self.nested.progress.stop.input
        waiting = self.interpreter.waiting
        return (waiting[-1].step, waiting[-1].event.body) if waiting else None

    @property
    def last(self) -> Frame | None:
        """The frame of the last move; None at the start."""
        if self.nested is not None and self.nested.ended:
            return self.nested.ended[0]
        return self.frames[-1] if self.frames else None

    # --- forward ---

    def next(self) -> Frame | None:
        """Run what stands next; the frame just run, with its error if it failed. None at the end."""
        marks = self.breakpoints.marks() if self.nested is not None else NOT_EVALUATED
        if not self._begin_move():
            return None
        if self.nested is not None:
            stop = self.nested.progress.stop
            self.nested.remember(marks)
            return self._call(lambda key: stop is not None and key == stop.key)
        count = len(self.frames)
        self._carry_out(self.interpreter.advance())
        if len(self.frames) == count:  # a step had no further result: nothing ran
            self._states.discard(self._moves.pop().changes)
            return self.next()
        return self._step_has_run(self.frames[count])

    def into(self) -> None:
        """Enter the step it stands before; a step that calls nothing runs as with `next`."""
        waiting = self.interpreter.waiting
        is_due = bool(waiting) and waiting[-1].chunks is None
        if self.halted is not None or not (is_due or self.nested is not None):
            self.next()
        elif self.nested is not None:
            marks = self.breakpoints.marks()
            self._begin_move()
            self.nested.remember(marks)
            self.nested.open()
            self._call(lambda key: False)
        else:
            self._require_copy()
            self._begin_move()
            self._after_calls(self._carry_out(self._enter_step()))

    def replace_output(self, nested: NestedStepper, value: Any) -> None:
        """Go on as if the call of an entered step that ran last had given another value."""
        self.halted = None
        nested.remember(self.breakpoints.marks())
        nested.replace_output(value)
        self._call(lambda key: False)

    def _begin_move(self) -> bool:
        """Leave where it halted and take a checkpoint; False at the end."""
        if self.halted is not None:
            self.halted = None
            self._begin_next_event()
        upcoming = self.upcoming
        if upcoming is None:
            return False
        marks = self.breakpoints.marks()
        if not self.breakpoints.is_evaluated:  # it stands there already: that is a hit, and no reason to stop
            self.breakpoints.stops_before(*upcoming)
        self.breakpoints.is_evaluated, self.error = False, None
        if self.nested is not None:
            return True
        self.interpreter.plan = plan = self.graph.plan()  # code that was changed in the meantime takes effect
        self._require_steps()
        self._copies.use_plan(plan)
        changes = self._states.record(plan, (upcoming[0], *plan.gatherers))
        checkpoint = self._checkpoints.take(self.interpreter)
        self._moves.append(_MoveStart(checkpoint, changes, len(self.frames), self._events, marks))
        return True

    def _carry_out(self, move: Coroutine[Any, Any, Any]) -> bool:
        """Execute a move; False where it stopped before a call within its step. An interrupted one is undone."""
        self._is_moving = True
        try:
            return self._executed(move)
        except KeyboardInterrupt:
            self._break_off()
            raise
        finally:
            self._is_moving = False

    def _executed(self, move: Coroutine[Any, Any, Any]) -> bool:
        try:
            if self._complete(move) is False:
                return False
        except StepError as error:
            self._fail(error)
        else:
            self._settle()
            return True
        self._lifecycle.update(self.interpreter, self.error)
        return True

    def _break_off(self) -> None:
        """Stand again where the move began, whatever its step has done to what can't be copied."""
        self._recorder.console.take()
        if self.nested is not None and self.nested.has_moved:
            self.breakpoints.restore(self.nested.back())
        else:
            self._take_back(len(self._moves) - 1)

    def _settle(self) -> None:
        """Bring what runs next to the top of the stack; results that are handed on for that may fail."""
        waiting = self.interpreter.waiting
        if not waiting or waiting[-1].chunks is not None:
            try:
                self._complete(self.interpreter.settle())
            except StepError as error:
                self._fail(error)
        self._lifecycle.update(self.interpreter, self.error if not self.interpreter.waiting else None)

    def _fail(self, error: StepError) -> None:
        self.error = error
        self.interpreter.waiting.clear()

    async def _enter_step(self) -> bool:
        pending_call = self.interpreter.depart()
        if pending_call.is_made:
            return True
        self.nested = NestedStepper(pending_call, self._states, self._copies, self._recorder)
        return await self.nested.advance(self.interpreter, lambda key: False)

    def _call(self, allowed: Callable[[CallKey], bool]) -> Frame | None:
        """Make calls of the entered step; the frame of the last one, or of the step where none was made."""
        assert self.nested is not None
        return self._after_calls(self._carry_out(self.nested.advance(self.interpreter, allowed)))

    def _after_calls(self, is_over: bool) -> Frame | None:
        """Go on behind calls of an entered step: at the next call, or at the end of the step."""
        nested = self.nested
        ended = nested.ended if nested is not None else []
        if is_over:
            self.nested = None
            if nested is not None and nested.has_moved:
                self._moves[-1] = replace(self._moves[-1], nested=nested)
            ended = [*ended, self._step_has_run(*ended, self.frames[-1])]
        else:
            self.halted = self.breakpoints.stopping(ended)
        return ended[0] if ended else None

    def _step_has_run(self, *frames: Frame) -> Frame:
        """Halt at one of these frames, the last of which is the step's own, or let the next event enter."""
        del self.undone[:1]
        self.halted = self.breakpoints.stopping(frames)
        if self.halted is None:
            self._begin_next_event()
        return frames[-1]

    # --- back ---

    def back(self) -> None:
        """Undo the last move."""
        if self.nested is not None and self.nested.has_moved:
            self.halted = None
            self.breakpoints.restore(self.nested.back())
            return
        if not self._moves:
            return
        [undone] = self._undo(len(self._moves) - 1)
        if undone.nested is not None:  # the last move was a call of this step
            changes = self._states.record(undone.checkpoint.plan, [undone.checkpoint.step])
            checkpoint = self._checkpoints.take(self.interpreter)
            self._moves.append(replace(undone, checkpoint=checkpoint, changes=changes))
            undone.nested.resume(self.interpreter.depart())
            self.breakpoints.restore(undone.nested.back())
            self.nested = undone.nested

    def back_to(self, index: int) -> None:
        """Undo everything back to where there were so many frames."""
        count = len(self._moves)
        while count and self._moves[count - 1].frames >= index:  # also out of a step that was entered
            count -= 1
        self._undo(count)

    def _undo(self, count: int) -> list[_MoveStart]:
        """Undo moves until so many are left; those that were undone, the last one first."""
        undone = self._moves[count:][::-1]
        for move in undone:
            if move.obstacle:
                step = move.checkpoint.step
                raise NbgraphError(f'It can\'t be stepped back past this step: "{step}" has run, and {move.obstacle}.')
        return self._take_back(count)

    def _take_back(self, count: int) -> list[_MoveStart]:
        undone = self._moves[count:][::-1]
        self.halted = None
        del self._moves[count:]
        for move in undone:
            self._checkpoints.undo(move.checkpoint)
            self._states.undo(move.changes)
        if undone:
            self._restore(undone[-1])
        return undone

    def _restore(self, start: _MoveStart) -> None:
        self._states.restore()
        self.interpreter = self._checkpoints.restore(start.checkpoint)
        self.error, self._events, self.nested = None, start.events, None
        self.breakpoints.restore(start.marks)
        self.undone[:0] = self.frames[start.frames :]
        del self.frames[start.frames :]
        self._lifecycle.update(self.interpreter)

    # --- events ---

    def _interpreter_of(self, event: Event, *, enters: bool) -> Interpreter:
        observers = [self.pins, self._recorder, *self.graph.observers]
        return Interpreter(self.graph.plan(), event, observers, copy=self._copies.copy_or_same, enters=enters)

    def _begin_next_event(self) -> None:
        """Where nothing waits, let the next event enter, or a result that steps held go on behind the last event."""
        while self.nested is None and self.halted is None and not self.interpreter.waiting:
            plan = self.graph.plan()
            if self._events.is_draining:
                self._record_holders(plan)
            if (entering := self._events.next(plan)) is None:
                self._states.release()
                return
            self._events, entry = entering
            self.interpreter = self._interpreter_of(entry.event, enters=not entry.step)
            if entry.step:
                self.interpreter.resume_after(entry.step, entry.event, entry.chunk)
            self._lifecycle.update(self.interpreter)
            self._settle()

    def _record_holders(self, plan: Plan) -> None:
        """What steps hold is released at the end of the last move, and undone together with it."""
        holders = plan.holders if self._moves else ()
        known = {change.step for change in self._moves[-1].changes} if holders else set()
        found = self._states.record(plan, [name for name in holders if name not in known])
        if found:
            self._moves[-1] = replace(self._moves[-1], changes=(*self._moves[-1].changes, *found))

    def _complete(self, coroutine: Any) -> Any:
        is_async, calls = self.interpreter.plan.is_async, self.calls
        self.interpreter.caller = calls.make if calls is not None and not is_async else None
        with self._recorder.console:
            if not is_async:
                return loop.without_waiting(coroutine)
            return loop.complete(coroutine) if calls is None else loop.complete(coroutine, calls.waited_for)

    def _require_copy(self) -> None:
        """A step is called anew for each call that it makes, so its input must be there more than once."""
        pending = self.interpreter.waiting[-1]
        try:
            self._copies.copy(pending.event.body)
        except UncopiedError as error:
            raise NbgraphError(
                f"\"{pending.step}\" can't be gone into: its input can't be copied ({error}); next() runs it as one."
            ) from None

    def _require_steps(self) -> None:
        for pending in self.interpreter.waiting:
            if pending.step not in self.interpreter.plan.steps:
                raise GraphError(
                    f'Step "{pending.step}", which runs next, is no longer in graph "{self.graph.name}"; '
                    "step back() to before it, or start again with graph.debug()."
                )


def _place_of(events: Any) -> tuple[str, Any] | None:
    """The step before which a recorded event is to stand, and what it gets; None for one that enters by the start."""
    if isinstance(events, Failure):
        return events.step, events.input
    if not isinstance(events, Trace):
        return None
    if events.due is None or events.event is None:
        raise NbgraphError(
            "The trace ends behind its last step, so there is none to stand before; debug its event: "
            "graph.debug(trace.event)."
        )
    return events.due.step, events.due.input
