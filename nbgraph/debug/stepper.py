"""The Stepper: one run, made move by move, forward and back.

It drives a `Walk` as any run does and looks at what waits on its stack. Before each move it keeps a checkpoint (what
waited, what was answered, what steps remembered), so that going back is putting a checkpoint into place. A step that
calls others, as a router its routes, may be gone into: see `Within`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from nbgraph.debug.breakpoint import Breakpoint, On
from nbgraph.debug.checkpoint import Checkpoint
from nbgraph.debug.failure import Failure
from nbgraph.debug.frame import Frame
from nbgraph.debug.opening import Opening
from nbgraph.debug.pins import Pins
from nbgraph.debug.preview import snapshot
from nbgraph.debug.recorder import Recorder
from nbgraph.debug.redact import Redaction
from nbgraph.debug.within import Key, Within
from nbgraph.engine import loop
from nbgraph.engine.walk import Walk
from nbgraph.errors import GraphError, StepError
from nbgraph.event import Event
from nbgraph.graph.entry import entering
from nbgraph.graph.graph import Graph


@dataclass(frozen=True, slots=True)
class _Past:
    """What a move started from: the state of the walk, how often breakpoints had held, the step that was gone into."""

    checkpoint: Checkpoint
    seen: dict[str, int]
    within: Within | None = None


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
        self._done: list[_Past] = []  # one for each frame, and one for the step that it is within
        self._within: Within | None = None
        self._undone: list[Frame] = []  # frames that back() took off, until the run goes over them again
        self._counted = False  # whether the breakpoint of the step it stands before has looked at it
        self._halted: Frame | None = None  # the frame that an `after` or `error` breakpoint stopped at
        self._events = _several(events)
        self._walk = self._enter(self._events.pop(0))
        self._open = Opening()
        weakref.finalize(self, self._open.close).atexit = False
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
        if not self._begin_move():
            return None
        if self._within is not None:
            at = self._within.now.at
            self._within.remember()
            return self._call(lambda key: at is not None and key == at.key)
        made = len(self._recorder.frames)
        self._carry_out(self._walk.advance())
        if len(self._recorder.frames) == made:  # a step had no further result: nothing ran
            self._done.pop()
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
        elif self._begin_move() and self._within is not None:
            self._within.remember()
            self._within.open()
            self._call(lambda key: False)
        else:
            self._done_with(self._carry_out(self._enter_step()))
        return self.current

    def back(self) -> Frame | None:
        """Undo the last move; stands before that step again."""
        if self._within is not None and self._within.back():
            self._halted, self._counted = None, False
            return self.current
        if not self._done:
            return self.current
        past = self._undo()
        if past.within is not None:  # the last move was a call of this step
            self._done.append(past)
            past.within.begin(self._walk.depart())
            past.within.back()
            self._within = past.within
        return self.current

    def back_to(self, index: int) -> Frame | None:
        """Undo everything back to where the trace had so many frames; stands before the step of the next one."""
        while len(self._done) > index:
            self._undo()
        return self.current

    # --- inside ---

    def _enter(self, event: Event) -> Walk:
        observers = [self._pins, self._recorder, *self.graph.observers]
        return Walk(self.graph.plan(), event, observers, keeps_chunks=True)

    def _begin_move(self) -> bool:
        """Come away from where it halted and remember how it stands; False at the end."""
        if self._halted is not None:
            self._halted = None
            self._begin_next_event()
        pending = self._next()
        if pending is None:
            return False
        seen = {name: one.seen for name, one in self.breakpoints.items()}
        if not self._counted:  # it stands there already: that counts as a time, and is no reason to stop
            self._stops(*pending)
        self._counted, self.error = False, None
        if self._within is not None:
            return True
        self._walk.plan = self.graph.plan()  # code that was changed in the meantime takes effect
        self._require_steps()
        self._done.append(_Past(Checkpoint.of(self._walk, self.error, self._events), seen))
        return True

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
            self._complete(self._walk.settle())
        except StepError as error:
            self.error = error
            self._walk.waiting.clear()
        self._open.tell(self._walk, self.error)
        return True

    async def _enter_step(self) -> bool:
        departure = self._walk.depart()
        if departure.is_made:
            return True
        self._within = Within(departure, self._done[-1].checkpoint, self._recorder)
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
            self._begin_next_event()
        return frames[-1]

    def _undo(self) -> _Past:
        """Put the state before the last frame, or before the step that it is within, into place."""
        self._halted, self._counted = None, False
        past = self._done.pop()
        self._walk, self.error, self._events = past.checkpoint.restored(self._walk.observers)
        for name, count in past.seen.items():
            if name in self.breakpoints:
                self.breakpoints[name].seen = count
        if self._within is None:
            self._undone.insert(0, self._recorder.frames.pop())
        self._within = None
        self._open.tell(self._walk)
        return past

    def _begin_next_event(self) -> None:
        if self._within is None and not self._walk.waiting and self._events and self._halted is None:
            self._walk = self._enter(self._events.pop(0))
            self._open.tell(self._walk)

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
