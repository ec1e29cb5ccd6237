"""The Stepper: one run, made move by move, forward and back.

It drives an `Interpreter` as any run does and looks at what waits on its stack. Before each move it keeps a checkpoint
(what waited, what was answered, what the step remembered), so that going back is putting a checkpoint into place.
Behind the last of several events comes what steps hold back, as at the end of a stream. A step that calls others, as a
router its routes, may be gone into: see `NestedStepper`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from msgspec.structs import replace

from nbgraph.debug.breakpoint import Breakpoint, On, Pins
from nbgraph.debug.checkpoint import Checkpoint, Checkpoints
from nbgraph.debug.copies import Copies, UncopiedError
from nbgraph.debug.failure import Failure
from nbgraph.debug.frame import Frame
from nbgraph.debug.nested_stepper import Key, NestedStepper
from nbgraph.debug.pending_events import Lifecycle, PendingEvents
from nbgraph.debug.recorder import Recorder
from nbgraph.debug.redact import Redaction
from nbgraph.debug.snapshot import snapshot
from nbgraph.debug.state_history import StateChange, StateHistory
from nbgraph.engine import loop
from nbgraph.engine.interpret.interpreter import Interpreter
from nbgraph.engine.plan import Plan
from nbgraph.errors import GraphError, NbgraphError, StepError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph


class Marks(msgspec.Struct, frozen=True, gc=False):
    """How often breakpoints had held, and whether that of the step it stands before has looked at it."""

    seen: tuple[tuple[Breakpoint, int], ...]
    is_counted: bool

    def restore(self) -> None:
        for breakpoint, count in self.seen:
            breakpoint.seen = count


FRESH, COUNTED = Marks((), False), Marks((), True)


class _MoveStart(msgspec.Struct, frozen=True):  # one for each move
    """What a move started from: the walk, the memory, how many frames there were, what was to come, the breakpoints.

    `within` is the step that was gone into.
    """

    checkpoint: Checkpoint
    changes: tuple[StateChange, ...]
    frames: int
    coming: PendingEvents
    marks: Marks
    within: NestedStepper | None = None

    @property
    def stuck(self) -> str:
        """Why it can't be gone back to; empty where it can."""
        held = [change.copy.why for change in self.changes if change.step == self.checkpoint.step]
        what = "its input" if self.checkpoint.top.why else "what it remembers"
        why = next(filter(None, (self.checkpoint.top.why, *held)), "")
        return why and f"{what} can't be copied ({why})"


class Stepper:
    """Stands before a step of the run of one or several events, or before a call that the step makes itself."""

    def __init__(self, graph: Graph, events: Any) -> None:
        self.graph = graph
        self.breakpoints: dict[str, Breakpoint] = {}
        self.error: StepError | None = None
        self._pins = Pins()
        self.redaction = Redaction(graph)
        self._keep = self.redaction.keep
        self._recorder = Recorder(self.redaction)
        self._copies = Copies(graph.plan())
        self._standings, self._memory = Checkpoints(self._copies), StateHistory(self._copies)
        self._done: list[_MoveStart] = []  # one for each move, and one for the step that it is within
        self._within: NestedStepper | None = None
        self._undone: list[Frame] = []  # frames that back() took off, until the run goes over them again
        self._counted = False  # whether the breakpoint of the step it stands before has looked at it
        self._halted: Frame | None = None  # the frame that an `after` or `error` breakpoint stopped at
        first, self._coming = PendingEvents.of(events)
        self._walk = self._enter(first, enters=not isinstance(events, Failure))
        self._open = Lifecycle()
        weakref.finalize(self, self._open.close).atexit = False
        weakref.finalize(self, self._memory.leave).atexit = False
        self._open.tell(self._walk)
        if isinstance(events, Failure):  # it stands before the step that failed, with what was recorded upstream
            self._walk.stand_before(events.step, snapshot(events.input))

    @property
    def current(self) -> Frame | None:
        """The frame about to run, its input known; None when all is done.

        At an `after` or `error` breakpoint it is the frame that stopped, with what came of it.
        """
        if self._halted is not None:
            return self._halted
        if self._within is not None and self._within.now.at is not None:
            event, input = self._walk.event, self._within.now.at.input
            return Frame(event.id, self._within.name, self._within.visit, self._keep(input))
        if not self._walk.waiting:
            return None
        pending = self._walk.waiting[-1]
        visit = pending.visit or self._walk.visits.get(pending.step, 0) + 1
        return Frame(pending.event.id, pending.step, visit, self._keep(pending.event.body))

    @property
    def finished(self) -> bool:
        return self.current is None

    @property
    def at(self) -> str:
        """The name of the step that it stands before, or is within; empty when all is done."""
        if self._within is not None:
            return self._within.step
        return self.current.step if self.current is not None else ""

    @property
    def inside(self) -> tuple[Frame, ...]:
        """The calls made so far by the step that it is within; empty where it stands before a step."""
        return self._within.frames if self._within is not None else ()

    @property
    def last(self) -> Frame | None:
        """The frame of the last move; None at the start."""
        if self._within is not None and self._within.ended:
            return self._within.ended[0]
        return self._recorder.frames[-1] if self._recorder.frames else None

    def next(self) -> Frame | None:
        """Run the step it stands before; the frame just run, with its error if it failed. None at the end.

        Within a step (see `into`) that is the next of its calls.
        """
        marks = self._marks() if self._within is not None else FRESH
        if not self._begin_move():
            return None
        if self._within is not None:
            at = self._within.now.at
            self._within.remember(marks)
            return self._call(lambda key: at is not None and key == at.key)
        made = len(self._recorder.frames)
        self._carry_out(self._walk.advance())
        if len(self._recorder.frames) == made:  # a step had no further result: nothing ran
            self._memory.forget(self._done.pop().changes)
            return self.next()
        return self._made(self._recorder.frames[made])

    def into(self) -> Frame | None:
        """Go into the step it stands before: stands before the first call that it makes, as a router of its routes.

        A step that calls nothing, and one of an inner graph, runs as with `next`. Within a step, `next` makes the call
        it stands before, `out` all that are left, `back` undoes the last. The step's own code runs again at each move.
        """
        is_due = bool(self._walk.waiting) and self._walk.waiting[-1].chunks is None
        if self._halted is not None or not (is_due or self._within is not None):
            self.next()
        elif self._within is not None:
            marks = self._marks()
            self._begin_move()
            self._within.remember(marks)
            self._within.open()
            self._call(lambda key: False)
        else:
            self._require_copy()
            self._begin_move()
            self._done_with(self._carry_out(self._enter_step()))
        return self.current

    def back(self) -> Frame | None:
        """Undo the last move; stands before that step again.

        A move can't be undone whose step got, or remembers, what can't be copied: it would find that used up.
        """
        if self._within is not None and self._within.has_moved:
            self._halted, marks = None, self._within.back()
            self._go_by(marks)
            return self.current
        if not self._done:
            return self.current
        [past] = self._undo(len(self._done) - 1)
        if past.within is not None:  # the last move was a call of this step
            changes = self._memory.look(past.checkpoint.plan, [past.checkpoint.step])
            self._done.append(replace(past, checkpoint=self._standings.of(self._walk), changes=changes))
            past.within.begin(self._walk.depart())
            self._go_by(past.within.back())
            self._within = past.within
        return self.current

    def back_to(self, index: int) -> Frame | None:
        """Undo everything back to where the trace had so many frames; stands before the step of the next one."""
        count = len(self._done)
        while count and self._done[count - 1].frames >= index:  # also out of a step that it went into
            count -= 1
        self._undo(count)
        return self.current

    # --- inside ---

    def _enter(self, event: Event, *, enters: bool = True) -> Interpreter:
        observers = [self._pins, self._recorder, *self.graph.observers]
        return Interpreter(self.graph.plan(), event, observers, copy=self._copies.or_itself, enters=enters)

    def _begin_move(self) -> bool:
        """Come away from where it halted and remember how it stands; False at the end."""
        if self._halted is not None:
            self._halted = None
            self._begin_next()
        pending = self._next()
        if pending is None:
            return False
        marks = self._marks()
        if not self._counted:  # it stands there already: that counts as a time, and is no reason to stop
            self._stops(*pending)
        self._counted, self.error = False, None
        if self._within is not None:
            return True
        self._walk.plan = plan = self.graph.plan()  # code that was changed in the meantime takes effect
        self._require_steps()
        self._copies.look_at(plan)
        changes = self._memory.look(plan, (pending[0], *plan.gatherers))
        frames = len(self._recorder.frames)
        self._done.append(_MoveStart(self._standings.of(self._walk), changes, frames, self._coming, marks))
        return True

    def _marks(self) -> Marks:
        if not self.breakpoints:
            return COUNTED if self._counted else FRESH
        return Marks(tuple([(one, one.seen) for one in self.breakpoints.values()]), self._counted)

    def _go_by(self, marks: Marks) -> None:
        marks.restore()
        self._counted = marks.is_counted

    def _next(self) -> tuple[str, Any] | None:
        """The name and the body of what it stands before."""
        if self._within is not None and self._within.now.at is not None:
            return self._within.name, self._within.now.at.input
        return (self._walk.waiting[-1].step, self._walk.waiting[-1].event.body) if self._walk.waiting else None

    def _carry_out(self, move: Coroutine[Any, Any, Any]) -> bool:
        """Make a move; False where it came to stand before a call within its step."""
        try:
            if self._complete(move) is False:
                return False
        except StepError as error:
            self._fail(error)
        else:
            self._settle()
            return True
        self._open.tell(self._walk, self.error)
        return True

    def _settle(self) -> None:
        """Let what runs next be on top; what is handed on for that may fail."""
        waiting = self._walk.waiting
        if not waiting or waiting[-1].chunks is not None:
            try:
                self._complete(self._walk.settle())
            except StepError as error:
                self._fail(error)
        self._open.tell(self._walk, self.error if not self._walk.waiting else None)

    def _fail(self, error: StepError) -> None:
        self.error = error
        self._walk.waiting.clear()

    async def _enter_step(self) -> bool:
        departure = self._walk.depart()
        if departure.is_made:
            return True
        self._within = NestedStepper(departure, self._memory, self._copies, self._recorder)
        return await self._within.move(self._walk, lambda key: False)

    def _call(self, allowed: Callable[[Key], bool]) -> Frame | None:
        """Make calls of the step that it is within; the frame of the last one, or of the step where none was made."""
        assert self._within is not None
        return self._done_with(self._carry_out(self._within.move(self._walk, allowed)))

    def _done_with(self, is_over: bool) -> Frame | None:
        """See where calls within a step led to: to the next one, or to the step's end."""
        within = self._within
        ended = within.ended if within is not None else []
        if is_over:
            self._within = None
            if within is not None and within.has_moved:
                self._done[-1] = replace(self._done[-1], within=within)
            ended = [*ended, self._made(*ended, self._recorder.frames[-1])]
        else:
            self._halt_at(*ended)
        return ended[0] if ended else None

    def _made(self, *frames: Frame) -> Frame:
        """A step has run, the last of these frames."""
        del self._undone[:1]
        self._halt_at(*frames)
        if self._halted is None:
            self._begin_next()
        return frames[-1]

    def _undo(self, count: int) -> list[_MoveStart]:
        """Put the state before a move into place, so that so many are left; what was undone, the last one first."""
        undone = self._done[count:][::-1]
        for past in undone:
            if past.stuck:
                step = past.checkpoint.step
                raise NbgraphError(f'It can\'t be stepped back past this step: "{step}" has run, and {past.stuck}.')
        self._halted = None
        del self._done[count:]
        for past in undone:
            self._standings.undo(past.checkpoint)
            self._memory.undo(past.changes)
        if undone:
            self._stand_as(undone[-1])
        return undone

    def _stand_as(self, past: _MoveStart) -> None:
        self._memory.restore()
        self._walk = self._standings.restore(past.checkpoint)
        self.error, self._coming, self._within = None, past.coming, None
        self._go_by(past.marks)
        frames = self._recorder.frames
        self._undone[:0] = frames[past.frames :]
        del frames[past.frames :]
        self._open.tell(self._walk)

    def _begin_next(self) -> None:
        """Let the next event enter, or what steps hold back go on behind the last one, where nothing waits."""
        while self._within is None and self._halted is None and not self._walk.waiting:
            plan = self.graph.plan()
            if self._coming.is_over:
                self._look_at_holders(plan)
            if (entering := self._coming.next(plan)) is None:
                self._memory.leave()
                return
            self._coming, entry = entering
            self._walk = self._enter(entry.event, enters=not entry.step)
            if entry.step:
                self._walk.resume_after(entry.step, entry.event, entry.chunk)
            self._open.tell(self._walk)
            self._settle()

    def _look_at_holders(self, plan: Plan) -> None:
        """What steps hold is let go at the end of the last move, which is undone together with that."""
        held = plan.holders if self._done else ()
        known = {change.step for change in self._done[-1].changes} if held else set()
        found = self._memory.look(plan, [name for name in held if name not in known])
        if found:
            self._done[-1] = replace(self._done[-1], changes=(*self._done[-1].changes, *found))

    def _stops(self, step: str, body: Any) -> bool:
        found = self.breakpoints.get(step)
        return found is not None and found.on is On.BEFORE and found.stops(body)

    def _halt_at(self, *frames: Frame) -> None:
        """Stop at the first of these that has a breakpoint which looks at what came of it."""
        for frame in frames:
            found = self.breakpoints.get(frame.step)
            if found is None or found.on is On.BEFORE:
                continue
            failed = frame.error is not None
            if (found.on is On.ERROR) == failed and found.stops(frame.input if failed else frame.output):
                self._halted = frame
                return

    def _complete(self, coroutine: Any) -> Any:
        return (loop.complete if self._walk.plan.is_async else loop.without_waiting)(coroutine)

    def _require_copy(self) -> None:
        """A step is called anew for each call that it makes, so its input must be there more than once."""
        pending = self._walk.waiting[-1]
        try:
            self._copies.of(pending.event.body)
        except UncopiedError as error:
            raise NbgraphError(
                f"\"{pending.step}\" can't be gone into: its input can't be copied ({error}); next() runs it as one."
            ) from None

    def _require_steps(self) -> None:
        for pending in self._walk.waiting:
            if pending.step not in self._walk.plan.steps:
                raise GraphError(
                    f'Step "{pending.step}", which runs next, is no longer in graph "{self.graph.name}"; '
                    "step back() to before it, or start again with graph.debug()."
                )
